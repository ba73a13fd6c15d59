"""What an experiment's file says of the table that it reproduces."""

import types
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gen.config import product, sweep
from gen.errors import UserError, lookup

NONE: Mapping[str, Any] = types.MappingProxyType({})


class Metric(NamedTuple):
    """A column of a table.

    Attributes:
      heading: its name and its unit, as the paper has it.
      factor: an evaluation's value times this is in that unit: 100 for percent, -1 for the negative of a bound.
      digits: decimals that are shown.
      instead: protocol -> the evaluation's key there, where it is another one (fewer samples of a likelihood).
    """

    heading: str
    factor: float = 1.0
    digits: int = 2
    instead: Mapping[str, str] = NONE


class Table(NamedTuple):
    """A table of a paper and the runs that reproduce it: rows x seeds as overrides of a protocol's variant.

    Attributes:
      title: what it shows.
      source: where the published numbers are from and how they are known (seen there, or quoted by whom); without any,
        why there are none. Numbers that are only remembered are not published ones.
      rows: name -> overrides of the variant, {dotted key: value}.
      metrics: key of the evaluation -> column.
      published: row -> {metric's key: (mean, standard error or None)}, in the units of the headings.
      seeds: protocol -> how many, 0 to n - 1.
      protocols: "cpu", "full" and others that the table needs -> variant of the experiment.
      differences: protocol -> one sentence: in what it is not the published one.
      omitted: protocol -> rows that it does not run.
      variants: row -> {protocol: variant} where a row is another model than the protocol's variant.
    """

    title: str
    source: str
    rows: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, Metric]
    published: Mapping[str, Mapping[str, tuple[float, float | None]]]
    seeds: Mapping[str, int]
    protocols: Mapping[str, str]
    differences: Mapping[str, str]
    omitted: Mapping[str, Sequence[str]] = NONE
    variants: Mapping[str, Mapping[str, str]] = NONE

    def check(self, name: str) -> None:
        """Raises a UserError where a part that belongs to another is missing, or is of a row that there is not."""
        where = f"TABLES[{name!r}]"
        self._check_types(where)
        for part in ("rows", "metrics", "protocols"):
            if not getattr(self, part):
                raise UserError(f"{where}.{part} is empty: name at least one.")
        for part, keys, known in (
                ("published", self.published, self.rows), ("variants", self.variants, self.rows),
                ("seeds", self.seeds, self.protocols), ("differences", self.differences, self.protocols),
                ("omitted", self.omitted, self.protocols),
                *((f"published[{row!r}]", values, self.metrics) for row, values in self.published.items()),
                *((f"omitted[{protocol!r}]", rows, self.rows) for protocol, rows in self.omitted.items()),
                *((f"variants[{row!r}]", variants, self.protocols) for row, variants in self.variants.items()),
                *((f"metrics[{key!r}].instead", each.instead, self.protocols) for key, each in self.metrics.items())):
            for key in keys:
                lookup(known, key, f"key of {where}.{part}:")
        for part in ("seeds", "differences"):
            if missing := [protocol for protocol in self.protocols if protocol not in getattr(self, part)]:
                raise UserError(f"{where}.{part} has nothing for the protocol {missing[0]!r}.")
        for row, variants in self.variants.items():
            for protocol in self.protocols:
                if protocol not in variants and row not in self.omitted.get(protocol, ()):
                    raise UserError(f"{where}.variants[{row!r}] has nothing for the protocol {protocol!r}, and omitted "
                                    "does not name the row.")

    def _check_types(self, where: str) -> None:
        maps = {part: getattr(self, part) for part in self._fields if part not in ("title", "source")}
        inner = {f"{part}[{key!r}]": value for part in ("rows", "published", "variants")
                 if isinstance(maps[part], Mapping) for key, value in maps[part].items()}
        for part, value in (maps | inner).items():
            if not isinstance(value, Mapping):
                raise UserError(f"{where}.{part} is no mapping: {value!r}.")
        for key, metric in self.metrics.items():
            if not isinstance(metric, Metric):
                raise UserError(f"{where}.metrics[{key!r}] is no gen.tables.Metric: {metric!r}.")
        for protocol, rows in self.omitted.items():
            if isinstance(rows, str) or not isinstance(rows, Sequence):
                raise UserError(f"{where}.omitted[{protocol!r}] is no list of rows: {rows!r}.")

    def variant(self, row: str, protocol: str) -> str:
        """The experiment's variant that the row's overrides change."""
        return self.variants.get(row, self.protocols)[protocol]

    def runs(self, row: str, protocol: str, seeds: int | None = None) -> list[dict[str, Any]]:
        """The sweep of one row: its overrides with each seed; none where the protocol omits the row."""
        if row in self.omitted.get(protocol, ()):
            return []
        return product([[dict(self.rows[row])], sweep("seed", range(self.seeds[protocol] if seeds is None else seeds))])


def sweep_of(tables: Mapping[str, Table], name: str) -> list[dict[str, Any]]:
    """The sweep `name` of an experiment with these tables, for its `get_sweep`: "<table>_<protocol>".

    It belongs to the protocol's variant, `sweeps.points` refuses others. Rows of other variants are left out.

    Raises:
      UserError: there is no such sweep.
    """
    sweeps = {f"{key}_{protocol}": (table, protocol) for key, table in tables.items() for protocol in table.protocols}
    table, protocol = lookup(sweeps, name, "sweep")
    return [run for row in table.rows if row not in table.variants for run in table.runs(row, protocol)]
