"""Trains the runs of a sweep, several in one program where they fit; the same command again goes on.

    python scripts/sweep.py --config=experiments/vae/digits.py [--sweep=NAME] [--config.KEY=VALUE ...]
        [--launcher=print|local|slurm|optuna] [--pack=N] [--folder=DIR] [--minutes=N]
        [--slurm=KEY=VALUE ...] [--metric="max elbo" --trials=N]

It lists the runs, what they cost and the command of each pack; then the launcher trains what is not done. `print`, the
default, trains nothing. --only=K trains pack K here. Exit codes: 0 all is done, submitted or printed; 1 an error, or
runs that failed, each with its line; 75 stopped after saving, by a signal or before --minutes have passed.
"""

import sys
from pathlib import Path

import jax
from absl import flags

from gen import commands, launch, sweeps
from gen.launchers import LAUNCHERS, Options

FLAGS = flags.FLAGS
flags.DEFINE_string("sweep", "", "Which of the experiment's sweeps.")
flags.DEFINE_enum("launcher", "print", list(LAUNCHERS), "What trains the runs.")
flags.DEFINE_integer("only", None, "Train this pack in this process.", lower_bound=0)
flags.DEFINE_integer("pack", 8, "At most how many runs one program trains.", lower_bound=1)
flags.DEFINE_string("folder", "runs", "The folder of all runs.")
flags.DEFINE_multi_string("slurm", [], "KEY=VALUE for submitit: partition, time (minutes), cpus_per_task, ...")
flags.DEFINE_string("metric", "", "What optuna searches for: 'max METRIC' or 'min METRIC'; train.best by default.")
flags.DEFINE_integer("trials", 20, "How many trials optuna's search has in all.", lower_bound=1)
flags.DEFINE_float("minutes", None, "Stop, saved, before so many minutes have passed since the start.", lower_bound=0.0)
flags.DEFINE_integer("parent", None, "End when this process, the one that started us, does.")


def main(spec: str, overrides) -> int:
    if FLAGS.only is None:
        jax.config.update("jax_platforms", "cpu")  # the accelerators belong to the processes that train
    commands.use_every_core()
    most = 1 if FLAGS.launcher == "optuna" else FLAGS.pack
    sweep = sweeps.read(spec, FLAGS.sweep, overrides, Path(FLAGS.folder), most, [sys.executable, sys.argv[0]])
    if FLAGS.only is not None:
        return commands.train_pack(sweep, FLAGS.only, FLAGS.parent, FLAGS.minutes)
    options = Options(tuple(FLAGS.slurm), FLAGS.metric, FLAGS.trials, FLAGS.minutes)
    return commands.sweep(sweep, FLAGS.launcher, options)


if __name__ == "__main__":
    launch.experiment_file(main)
