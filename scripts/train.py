"""Trains an experiment, or resumes it: the same command again goes on where the run was.

    python scripts/train.py --config=experiments/vae/digits.py [--workdir=DIR] [--config.KEY=VALUE ...] [--dry_run]
        [--minutes=N]
    python scripts/train.py --workdir=DIR [--config.train.steps=20000]
    python scripts/train.py --help_config=penalties

The second goes on with the run in a folder, with its own config. The third prints what a config may say there; `all`
prints every key with its meaning, range and choices.

Exit codes: 0 finished; 1 an error, explained in one line; 75 stopped after saving, by SIGTERM, SIGINT or SIGUSR2, or
in time before --minutes have passed.
"""

from pathlib import Path

from absl import flags

from gen import commands, launch
from gen.distributed import processes

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "The run's folder; runs/<experiment>/<variant and overrides> by default.")
flags.DEFINE_float("minutes", None, "Stop, saved, before so many minutes have passed since the start.", lower_bound=0.0)
flags.DEFINE_string("compilation_cache", None, "Folder that keeps compiled programs for later runs; by "
                    "default ~/.cache/gen/programs, which stays below 2 GiB; none keeps none.")
flags.DEFINE_string("coordinator", None, "Several processes, not of SLURM or a TPU: host:port of process 0.")
flags.DEFINE_integer("processes", None, "How many they are.", lower_bound=1)
flags.DEFINE_integer("process", None, "Which of them this is, from 0 on.", lower_bound=0)
flags.DEFINE_integer("join_timeout", processes.JOIN_SECONDS, "Seconds that they wait for each other.", lower_bound=1)
flags.DEFINE_string("bind", None, "The address on which process 0 listens for the others; every interface by default.")
flags.DEFINE_bool("distributed", False, "There are several processes, and JAX finds them (Cloud TPU, Open MPI).")
flags.DEFINE_bool("dry_run", False, "Print the resolved config, parameters, FLOPs, devices and their memory, and stop.")
flags.DEFINE_string("tracker", "", "Tell the run to this tracker too: wandb, trackio or mlflow.")
flags.DEFINE_string("help_config", None, "Print what a config may say at this section, part or key (penalties, "
                    "penalties.r1, train.best), or at all, and stop.")


def main(config, workdir: Path, default) -> int:
    processes.start(FLAGS.coordinator, FLAGS.processes, FLAGS.process, FLAGS.distributed,
                    FLAGS.join_timeout, FLAGS.bind)
    workdir = FLAGS.workdir or workdir
    return commands.describe(config) if FLAGS.dry_run else commands.train(
        config, workdir, default, FLAGS.minutes, FLAGS.tracker)


if __name__ == "__main__":
    launch.experiment(main, lambda: FLAGS.help_config, lambda: FLAGS.workdir)
