"""The tables of all experiments, and the runs of each."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gen import config as configs
from gen import resources
from gen.errors import UserError, lookup
from gen.schema import complete
from gen.storage import record
from gen.sweeps import Point
from gen.tables.types import Table

EXPERIMENTS = resources.folder("experiments")


class Entry(NamedTuple):
    """A table and the experiment's file that it is from."""

    name: str
    path: Path
    table: Table

    def spec(self, row: str, protocol: str) -> str:
        """The experiment as `--config` takes it: "experiments/gan/pacgan_ring.py:cpu"."""
        variant = self.table.variant(row, protocol)
        return f"{self.path}:{variant}" if variant else str(self.path)

    def workdir(self, row: str, protocol: str, overrides: configs.Overrides, folder: Path) -> Path:
        """The folder of a run, the same that `scripts/train.py` gives it."""
        parent = folder / configs.experiment_name(str(self.path))
        return configs.run_folder(parent, self.table.variant(row, protocol), overrides)

    def wanted(self, protocol: str, seeds: int | None, folder: Path) -> dict[str, list[tuple[dict[str, Any], Path]]]:
        """Row -> (overrides, folder) of each of its runs."""
        lookup(self.table.protocols, protocol, f"protocol of {self.name}")
        return {row: [(run, self.workdir(row, protocol, run, folder)) for run in self.table.runs(row, protocol, seeds)]
                for row in self.table.rows}


def collect(folder: Path = EXPERIMENTS) -> dict[str, Entry]:
    """Returns every table below `folder` by name, in order of families and files.

    Raises:
      UserError: two files have tables of one name, or a file cannot be read.
    """
    entries: dict[str, Entry] = {}
    for path in sorted(folder.glob("*/*.py")):
        for name, entry in of_file(path).items():
            if name in entries:
                raise UserError(f"{path}: the table {name!r} is in {entries[name].path} too; give it another name.")
            entries[name] = entry
    return entries


def of_file(path: Path) -> dict[str, Entry]:
    """Returns the tables of one experiment's file by name; a UserError where it cannot be read, or a table is wrong."""
    tables = getattr(configs.module(path), "TABLES", {})
    for name, table in tables.items():
        if not isinstance(table, Table):
            raise UserError(f"{path}: TABLES[{name!r}] is no gen.tables.Table.")
        try:
            table.check(name)
        except UserError as e:
            raise UserError(f"{path}: {e}") from e
    return {name: Entry(name, path, table) for name, table in tables.items()}


def points(entry: Entry, protocol: str, seeds: int | None, folder: Path) -> dict[str, list[Point]]:
    """Returns the runs of each row of the table, resolved; `seeds` of them in place of the table's number."""
    return {row: [point(entry, row, protocol, run, workdir) for run, workdir in runs]
            for row, runs in entry.wanted(protocol, seeds, folder).items()}


def default(entry: Entry, row: str, protocol: str) -> ConfigDict:
    """Returns the config that the row's overrides change, resolved: what a run's report compares its config with."""
    return complete(experiment(entry.spec(row, protocol)), {})


def point(entry: Entry, row: str, protocol: str, overrides: Mapping[str, Any], workdir: Path) -> Point:
    """Returns one run, resolved."""
    config = complete(experiment(entry.spec(row, protocol)), overrides, record.has_begun(workdir))
    return Point(dict(overrides), config, workdir)


@functools.lru_cache(maxsize=64)
def experiment(spec: str) -> ConfigDict:
    """The experiment's config, still to be resolved."""
    return configs.load(spec).lock()
