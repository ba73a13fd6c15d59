"""Trains a VAE and a conditional GAN on digits and a GAN on a ring of Gaussians; one page shows them all.

    python scripts/demo.py [--out=runs/demo]

No download; three minutes on two CPU cores. Stopped or killed, it says where it was and goes on; finished runs
are shown at once.
"""

from pathlib import Path

from absl import flags

from gen import commands, launch, resources

FLAGS = flags.FLAGS
flags.DEFINE_string("out", "runs/demo", "Folder of the runs and of the report.")

EXPERIMENTS = ("vae/mnist_small.py", "gan/mnist_small.py", "gan/ring.py")


def main() -> int:
    specs = [str(resources.folder("experiments") / name) for name in EXPERIMENTS]
    return commands.demo(specs, Path(FLAGS.out))


if __name__ == "__main__":
    launch.command(main)
