"""Writes a trained run as a folder to share: weights in safetensors, config, a picture of samples, a model card.

    python scripts/export.py --workdir=DIR --out=FOLDER [--step=STEP|best] [--license=cc-by-4.0] [--push=OWNER/NAME]
        [--sampler=64] [--onnx=64]

`gen.load(FOLDER)` is then the same model, bit for bit, without the run. --push puts the folder on the Hugging Face Hub,
from where `gen.load("hf://OWNER/NAME")` has it (pip install -e '.[hub]').

--sampler=N adds a program that draws N samples without this package (`jax.export`; pip install -e '.[sampler]'), on a
CPU, an NVIDIA GPU or a TPU; later versions of JAX read it for six months at least.

--onnx=N adds the map from N latents to samples of a GAN or a VAE as an ONNX model (pip install -e '.[onnx]').
"""

from absl import flags

from gen import commands, launch

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "The run's folder.", required=True)
flags.DEFINE_string("out", None, "The folder to write.", required=True)
flags.DEFINE_string("step", None, "Step of the checkpoint, or 'best'; the newest by default.")
flags.DEFINE_string("license", "", "Licence of the weights, as the Hugging Face Hub names it.")
flags.DEFINE_string("push", None, "Put the folder on the Hugging Face Hub as OWNER/NAME.")
flags.DEFINE_integer("sampler", 0, "Add a program that draws so many samples without this package.")
flags.DEFINE_integer("onnx", 0, "Add the map from so many latents to samples as an ONNX model.")


def main() -> int:
    return commands.export(
        FLAGS.workdir, FLAGS.step, FLAGS.out, FLAGS.license, FLAGS.push, FLAGS.sampler, FLAGS.onnx)


if __name__ == "__main__":
    launch.command(main)
