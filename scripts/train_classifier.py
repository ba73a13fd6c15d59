"""Trains the classifier whose labels and features the evaluators use, and prints its accuracy on the test images.

    python scripts/train_classifier.py --dataset=mnist [--out=runs/classifiers/mnist] [--seed=0]

Some minutes on two CPU cores; a classifier that is there already is kept unless --overwrite is given.
"""

from absl import flags

from gen import launch
from gen.evaluation import classifier

FLAGS = flags.FLAGS
flags.DEFINE_string("dataset", None, "mnist, fashion_mnist, cifar10 or digits.", required=True)
flags.DEFINE_string("out", None, "Folder of the classifier; runs/classifiers/<dataset> by default.")
flags.DEFINE_integer("steps", 4_000, "Training steps of 128 images.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seed of the initial values, the order and the shifts.")
flags.DEFINE_bool("overwrite", False, "Train again where a classifier is already there.")


def main() -> int:
    folder = FLAGS.out or f"{classifier.FOLDER}/{FLAGS.dataset}"
    return classifier.train_and_save(FLAGS.dataset, folder, FLAGS.steps, FLAGS.seed, FLAGS.overwrite)


if __name__ == "__main__":
    launch.command(main)
