"""Trains the classifier whose labels and features the evaluators use, and prints its accuracy on the test images.

    python scripts/train_classifier.py --dataset=mnist [--out=runs/classifiers/mnist] [--seed=0]
    python scripts/train_classifier.py --dataset=cifar10 --network=convnet
    python scripts/train_classifier.py --dataset=folder --config.data.path=DIR [--config.data.size=32]

Of any data set of images with labels, by the same options as in a run's config; those of a folder are the names of its
subfolders. Some minutes on two CPU cores, a convnet half an hour; evaluators use that by `features=convnet`. A
classifier that is there already is kept unless --overwrite is given.
"""

from absl import flags

from gen import commands, launch

FLAGS = flags.FLAGS
flags.DEFINE_string("dataset", None, "Name of the data set: mnist, folder, ...", required=True)
flags.DEFINE_string("out", None, "Folder of the classifier; below runs/classifiers, by its name, by default.")
flags.DEFINE_enum("network", "lenet", ["lenet", "convnet"], "A small one for digits, a larger one for photographs.")
flags.DEFINE_integer("steps", 4_000, "Training steps of 128 images.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seed of the initial values, the order and the shifts.")
flags.DEFINE_bool("overwrite", False, "Train again where a classifier is already there.")


def main(overrides) -> int:
    return commands.train_classifier(FLAGS.dataset, overrides, FLAGS.out, FLAGS.steps, FLAGS.seed, FLAGS.overwrite,
                                     FLAGS.network)


if __name__ == "__main__":
    launch.with_overrides(main)
