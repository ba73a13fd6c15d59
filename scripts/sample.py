"""Draws samples from a trained run into a picture, or what lies between samples, or each into a file's array or PNG.

    python scripts/sample.py --workdir=DIR --n=64 --out=grid.png [--seed=0] [--label=3] [--step=STEP|best]
    python scripts/sample.py --workdir=DIR --n=50000 --out=samples.npz|FOLDER
    python scripts/sample.py --workdir=DIR --n=8 --interpolate=10 --out=paths.png
    python scripts/sample.py --workdir=DIR --truncation=0.7 --out=grid.png                of a GAN
    python scripts/sample.py --workdir=DIR --kind=reconstructions|traversals|interpolation|posterior|manifold|mixing
"""

from absl import flags

from gen import commands, launch

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "The run's folder.", required=True)
flags.DEFINE_integer("n", 64, "Number of samples.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seed of the samples.")
flags.DEFINE_string("label", None, "Label of all samples, a class name or a number; as in the data by default.")
flags.DEFINE_string("kind", "samples", "Of picture: samples, or another that the model has.")
flags.DEFINE_integer("interpolate", 0, "Decode n paths of so many steps between latents, on great circles; 0: no.", 0)
flags.DEFINE_float("truncation", None, "Less variety: StyleGAN2's psi, or the bound of another GAN's latents.")
flags.DEFINE_string("out", "grid.png", "The picture to write; an npz file or a folder gets all samples, as bytes.")
flags.DEFINE_string("step", None, "Step of the checkpoint, or 'best'; the newest by default.")


def main() -> int:
    return commands.sample(FLAGS.workdir, FLAGS.step, FLAGS.n, FLAGS.seed, FLAGS.out, FLAGS.label, FLAGS.interpolate,
                           FLAGS.kind, FLAGS.truncation)


if __name__ == "__main__":
    launch.command(main)
