"""Evaluates a trained run on the test split; the last line printed is one JSON object.

    python scripts/evaluate.py --workdir=DIR [--step=STEP|best] [--config.evaluators.fid=true ...]

Names of metrics say their protocol and the number of samples, `fid_lenet_10k_test`; those of real examples end in
`_real`.
"""

from absl import flags

from gen import commands, launch

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "The run's folder.", required=True)
flags.DEFINE_string("step", None, "Step of the checkpoint, or 'best'; the newest by default.")


def main(overrides) -> int:
    return commands.evaluate(FLAGS.workdir, FLAGS.step, overrides)


if __name__ == "__main__":
    launch.with_overrides(main)
