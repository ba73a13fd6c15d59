"""Trains an experiment, or resumes it: the same command again goes on where the run was.

    python scripts/train.py --config=experiments/vae/digits.py [--workdir=DIR] [--config.KEY=VALUE ...] [--dry_run]

Exit codes: 0 finished; 1 an error, explained in one line; 75 stopped by SIGTERM, SIGINT or SIGUSR2 after saving.
"""

from absl import flags

from gen import launch

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "The run's folder; runs/<experiment>/<variant and overrides> by default.")
flags.DEFINE_string("compilation_cache", None, "Folder that keeps compiled programs for later runs.")
flags.DEFINE_bool("dry_run", False, "Print the resolved config, parameters, FLOPs, devices and their memory, and stop.")


def main(config, name: str, default) -> int:
    if FLAGS.compilation_cache:
        launch.cache_compilations(FLAGS.compilation_cache)
    workdir = FLAGS.workdir or f"runs/{name}"
    return launch.describe(config) if FLAGS.dry_run else launch.train(config, workdir, default)


if __name__ == "__main__":
    launch.experiment(main)
