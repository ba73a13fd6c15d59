"""From the name of a table to its runs and its files."""

from pathlib import Path

from absl import logging

from gen import config as configs
from gen import sweeps, tables
from gen.errors import UserError, lookup
from gen.figures.grids import save_png
from gen.figures.report import write_report
from gen.files import write_atomically
from gen.signals import Stop
from gen.sweeps import Ended
from gen.tables import Entry, Result
from gen.tables.points import default
from gen.tables.results import obstacle

TOGETHER = 10
"""At most so many runs train in one program, unless more are asked for."""


def known(file: Path | None = None) -> dict[str, Entry]:
    """The tables of this experiment's file by name, without one those of all experiments of the library."""
    if file is None:
        return tables.collect()
    entries = tables.of_file(file)
    if not entries:
        raise UserError(f"{file}: has no table: there is no dict TABLES, or it is empty.")
    return entries


def find(name: str, protocol: str, file: Path | None = None) -> Entry:
    """The table of this name (of `file`), which has the protocol; a UserError with the nearest name otherwise."""
    entry = lookup(known(file), name, "table")
    lookup(entry.table.protocols, protocol, f"protocol of {name}")
    return entry


def listing(folder: Path, file: Path | None = None) -> str:
    """How many of the runs below `folder` are finished, for each table (of `file`) and protocol."""
    entries = known(file)
    done = {(name, protocol): tables.progress(entry, protocol, None, folder)
            for name, entry in entries.items() for protocol in entry.table.protocols}
    return tables.listing(done, lambda name: f"{configs.experiment_name(str(entries[name].path))}.py")


def train(entry: Entry, protocol: str, seeds: int | None, folder: Path, stop: Stop, most: int = TOGETHER) -> Ended:
    """Trains the table's runs that are not done, at most `most` of a row together where one program serves them.

    A run that fails does not stop the others.
    """
    failed: dict[Path, str] = {}
    for row, runs in tables.points(entry, protocol, seeds, folder).items():
        for pack in sweeps.packs([run for run in runs if obstacle(run)], most):
            if stop():
                return Ended(failed, True)
            logging.info("%s, %s: training %d runs, %s first.", entry.name, row, len(pack), pack[0].workdir)
            ended = sweeps.train(pack, stop, default(entry, row, protocol))
            failed |= ended.failed
            if ended.stopped:
                return Ended(failed, True)
        failed |= {run.workdir: obstacle(run) for run in runs if run.finished and obstacle(run)}
    return Ended(failed, False)


def write(result: Result, out: Path) -> list[Path]:
    """Writes table.md, table.tex, table.png and, where there are runs, report.html into `out`; returns their paths."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise UserError(f"--out={out}: cannot be made: {e.strerror}.") from e
    texts = {out / "table.md": tables.markdown(result), out / "table.tex": tables.latex(result)}
    for path, text in texts.items():
        write_atomically(path, text)
    paths = [*texts, save_png(tables.figure(result), out / "table.png")]
    if result.runs:
        paths.append(write_report([], out / "report.html", result.entry.table.title, result.runs))
    return paths
