"""Draws metrics of one or several runs over training steps into a picture.

    python scripts/plot.py --runs=DIR [--runs=DIR ...] [--metrics=NAME,...] [--log] [--together] [--out=curves.png]
    python scripts/plot.py --runs=DIR --against=KEY [--metrics=NAME,...] [--out=curves.png]

A folder is of a run, or of the runs of a sweep. Runs whose configs differ in the seed alone are one line with a band
from the least to the greatest seed. `--against` draws what the newest evaluation of each run found over a key of its
config.
"""

from absl import flags

from gen import commands, launch

FLAGS = flags.FLAGS
flags.DEFINE_multi_string("runs", None, "Folder of a run, or of several; once for each.", required=True)
flags.DEFINE_list("metrics", None, "Names in metrics.jsonl; by default all that any run has.")
flags.DEFINE_bool("log", False, "Logarithmic values.")
flags.DEFINE_bool("together", False, "All metrics in one panel.")
flags.DEFINE_string("against", "", "Key of the config, dotted: evaluations over its values, and not over steps.")
flags.DEFINE_string("out", "curves.png", "The picture to write.")


def main() -> int:
    return commands.plot(FLAGS.runs, FLAGS.metrics, FLAGS.out, FLAGS.log, FLAGS.together, FLAGS.against)


if __name__ == "__main__":
    launch.command(main)
