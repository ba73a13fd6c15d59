"""From the name of a table to its runs and its files."""

from collections.abc import Callable
from pathlib import Path

from absl import logging

from gen import tables
from gen.errors import UserError, lookup
from gen.figures.grids import save_png
from gen.figures.report import write_report
from gen.runs import write_atomically
from gen.tables import Entry, Result
from gen.tables.points import default
from gen.tables.results import obstacle
from gen.training import loop, replicas

TOGETHER = 10
"""At most so many runs train in one program."""


def find(name: str, protocol: str) -> Entry:
    """The table of this name, which has the protocol; a UserError with the nearest name otherwise."""
    entry = lookup(tables.collect(), name, "table")
    lookup(entry.table.protocols, protocol, f"protocol of {name}")
    return entry


def listing(folder: Path) -> str:
    """How many of the runs below `folder` are finished, for each table and protocol."""
    entries = tables.collect()
    done = {(name, protocol): tables.progress(entry, protocol, None, folder)
            for name, entry in entries.items() for protocol in entry.table.protocols}
    return tables.listing(done, lambda name: str(entries[name].path.relative_to(entries[name].path.parents[1])))


def train(entry: Entry, protocol: str, seeds: int | None, folder: Path, stop: Callable[[], bool]
          ) -> tuple[dict[Path, str], bool]:
    """Trains the table's runs that are not done, those of a row together where one program serves them.

    A run that fails does not stop the others. Returns the errors by folder, and whether `stop` ended the training.
    """
    failed: dict[Path, str] = {}
    for row, runs in tables.points(entry, protocol, seeds, folder).items():
        missing = [run for run in runs if obstacle(run)]
        for group in replicas.groups([run.config for run in missing], TOGETHER):
            configs, workdirs = zip(*((missing[i].config, missing[i].workdir) for i in group), strict=True)
            logging.info("%s, %s: training %d runs, %s first.", entry.name, row, len(group), workdirs[0])
            outcomes = loop.train_together(configs, workdirs, stop, default(entry, row, protocol))
            pairs = zip(workdirs, outcomes, strict=True)
            failed |= {workdir: str(outcome) for workdir, outcome in pairs if isinstance(outcome, UserError)}
            if "stopped" in outcomes:
                return failed, True
    return failed, False


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
