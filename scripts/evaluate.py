"""Evaluates a trained run on the test split; the last line printed is one JSON object.

    python scripts/evaluate.py --workdir=DIR [--step=STEP|best]
"""

from absl import flags

from gen import launch

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "The run's folder.", required=True)
flags.DEFINE_string("step", None, "Step of the checkpoint, or 'best'; the newest by default.")


def main() -> int:
    return launch.evaluate(FLAGS.workdir, FLAGS.step)


if __name__ == "__main__":
    launch.command(main)
