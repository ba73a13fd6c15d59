"""Reproduces a table of a paper: trains what is missing of its runs, then writes ours beside the published values.

    python scripts/reproduce.py --list
    python scripts/reproduce.py --table=pacgan_ring --protocol=cpu [--seeds=N] [--folder=runs] [--out=DIR]
        [--minutes=N]
    python scripts/reproduce.py --table=pacgan_ring --protocol=cpu --report_only
    python scripts/reproduce.py --config=mine.py --list
    python scripts/reproduce.py --config=mine.py --table=mine
    python scripts/reproduce.py --queue=accelerator --minutes=25 [--folder=runs] [--list]

Writes table.md, table.tex, table.png and report.html (all runs) into DIR, <folder>/tables/<table>_<protocol> by
default. The same command again goes on where it was. With --report_only nothing is trained and rows that are not
complete say so. With --config the tables are those of this experiment's file alone. --queue works through a list of
tests, benchmark and tables (docs/accelerator.md), each in a process of its own; the same command again goes on in the
midst of it.

Exit codes: 0; 1 an error, explained in one line, or a run that failed; 75 stopped after saving, by a signal or before
--minutes have passed.
"""

from pathlib import Path

from absl import flags

from gen import commands, launch
from gen.errors import UserError
from gen.tables import queue, reproduce

FLAGS = flags.FLAGS
flags.DEFINE_string("table", None, "Name of the table; --list shows all.")
flags.DEFINE_string("config", None, "An experiment's file of your own, which has a dict TABLES.")
flags.DEFINE_string("protocol", "cpu", "cpu: reduced, for two cores; full: the paper's, as far as the file "
                    "says; --list shows a table's others.")
flags.DEFINE_integer("seeds", None, "Seeds of each row, 0 to N - 1; by default the table's number.", lower_bound=1)
flags.DEFINE_string("folder", "runs", "Where the runs are, as scripts/train.py writes them.")
flags.DEFINE_string("out", None, "Folder of the table's files.")
flags.DEFINE_bool("report_only", False, "Write the table from the runs that are there; train nothing.")
flags.DEFINE_integer("pack", reproduce.TOGETHER, "At most how many runs of a row one program trains.", lower_bound=1)
flags.DEFINE_string("queue", None, "Works through this list: " + ", ".join(queue.QUEUES) + ".")
flags.DEFINE_float("minutes", None, "Stop, saved, before so many minutes have passed since the start.", lower_bound=0.0)
flags.DEFINE_bool("list", False, "Show all tables and how much of each is done.")


def main() -> int:
    if FLAGS.queue and FLAGS.table:
        raise UserError("--queue works through its own tables: leave --table out, or --queue.")
    if FLAGS.queue:
        if FLAGS.list:
            return commands.list_queue(FLAGS.queue, Path(FLAGS.folder))
        return commands.work_through(FLAGS.queue, Path(FLAGS.folder), FLAGS.minutes)
    commands.use_every_core()
    file = Path(FLAGS.config) if FLAGS.config else None
    if FLAGS.list or not FLAGS.table:
        return commands.list_tables(Path(FLAGS.folder), file)
    out = FLAGS.out or f"{FLAGS.folder}/tables/{FLAGS.table}_{FLAGS.protocol}"
    return commands.reproduce(FLAGS.table, FLAGS.protocol, FLAGS.seeds, Path(FLAGS.folder), Path(out),
                              FLAGS.report_only, FLAGS.minutes, FLAGS.pack, file)


if __name__ == "__main__":
    launch.command(main)
