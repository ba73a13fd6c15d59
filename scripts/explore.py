"""Serves a page on which one moves through the latents or codes of a trained run, on this machine alone.

    pip install -e '.[explore]'
    python scripts/explore.py --workdir=DIR [--port=8080] [--step=STEP]

A pad and sliders over the latents, the most informative first; label and truncation; a picture is encoded and moved
from; two pins and the way between them; the nearest training images; traversals; the discriminator's logit of what is
shown. Of a model of discrete codes, as a VQ-VAE: the grid of codes, a palette, and the picture that they make. The
page's address says what is shown. The page loads nothing from the internet.
"""

from absl import flags

import gen
from gen import commands, explore, launch

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "The run's folder.", required=True)
flags.DEFINE_integer("port", 8080, "Port of 127.0.0.1.", lower_bound=1, upper_bound=65535)
flags.DEFINE_string("step", None, "Step of the checkpoint, or 'best'; the newest by default.")


def main() -> int:
    explore.serve(gen.load(FLAGS.workdir, commands.checkpoint_step(FLAGS.step)), FLAGS.port)
    return 0


if __name__ == "__main__":
    launch.command(main)
