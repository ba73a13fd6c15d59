"""Trains a VAE on digits and a GAN on a ring of Gaussians, and writes one page that shows both.

    python scripts/demo.py [--out=runs/demo]

No download; under three minutes on two CPU cores. The folder's former contents stay: finished runs are shown at once.
"""

from pathlib import Path

from absl import flags

from gen import launch, resources

FLAGS = flags.FLAGS
flags.DEFINE_string("out", "runs/demo", "Folder of the runs and of the report.")

def main() -> int:
    specs = [str(resources.folder("experiments") / name) for name in ("vae/digits.py", "gan/ring.py")]
    return launch.demo(specs, Path(FLAGS.out))


if __name__ == "__main__":
    launch.command(main)
