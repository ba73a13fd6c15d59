"""Commands on tables of runs: reproduce, queues, the classifiers that read samples, comparisons."""

from collections.abc import Sequence
from pathlib import Path

from gen import config as configs
from gen import sweeps, tables
from gen.evaluation import classifiers
from gen.schema import SECTIONS
from gen.signals import stopping
from gen.tables import queue
from gen.tables import reproduce as reproduction


def reproduce(name: str, protocol: str, seeds: int | None, folder: Path, out: Path, report_only: bool,
              minutes: float | None = None, most: int = reproduction.TOGETHER, file: Path | None = None) -> int:
    """Trains what is missing of a table (of `file`), writes its files into `out` and prints it; returns the exit code.

    Where it stops before, nothing is written: there may be no time for it.
    """
    entry = reproduction.find(name, protocol, file)
    ended = sweeps.Ended({}, False)
    if not report_only:
        ended = reproduction.train(entry, protocol, seeds, folder, stopping(minutes), most)
    if ended.stopped:
        print("Stopped before the end; the same command again goes on. --report_only writes the table as it is.")
        return sweeps.exit_code(ended)
    result = tables.results(entry, protocol, seeds, folder)
    paths = reproduction.write(result, out)
    print(tables.markdown(result))
    print("Written:", *paths)
    return sweeps.exit_code(ended)


def work_through(name: str, folder: Path, minutes: float | None) -> int:
    """Works through a queue (`gen.tables.queue`) until its end, a signal, or before this process is `minutes` old."""
    return queue.run(name, folder, stopping(minutes))


def train_classifier(name: str, overrides: configs.Overrides, out: str | None, steps: int, seed: int, overwrite: bool,
                     network: str = "lenet") -> int:
    """Trains the classifier of the images of a data set, of the options `data.KEY`; returns the exit code."""
    config = configs.resolve({"data": {"name": name}}, overrides, {"data": SECTIONS["data"]})
    return classifiers.train_and_save(config.data, out, steps, seed, overwrite, network)


def list_queue(name: str, folder: Path) -> int:
    """Prints the items of a queue and which of them are done."""
    print(*queue.listing(name, folder), sep="\n")
    return 0


def list_tables(folder: Path, file: Path | None = None) -> int:
    """Prints all tables (of `file`) and how many of their runs below `folder` are finished."""
    print(reproduction.listing(folder, file))
    return 0


def compare(folders: Sequence[str]) -> int:
    """Prints in what runs differ: config and metrics."""
    print(tables.compare(folders))
    return 0
