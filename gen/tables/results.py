"""What the finished runs of a table have reached."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gen import config as configs
from gen.errors import UserError
from gen.estimates import Estimate, estimate
from gen.figures.curves import is_number
from gen.files import Unreadable
from gen.run_folder import description, finished_step, read_metrics
from gen.schema import complete
from gen.storage.record import FREE
from gen.tables.points import Entry, Point, point, points

REAL = "_real"
"""Ends the keys of an evaluation of real examples."""


class Progress(NamedTuple):
    """How much of a protocol is done: finished runs, and all that there are."""

    done: int
    wanted: int


class Row(NamedTuple):
    """A row of the table: how many of its runs are finished, and by key of the table's metrics what they reached."""

    name: str
    done: int
    wanted: int
    reached: Mapping[str, Estimate]


class Result(NamedTuple):
    """What a table's finished runs say.

    Attributes:
      entry, protocol: of the table.
      steps: of a run, least and most.
      rows: all of the table's, with those that the protocol omits (0 of 0).
      real: by key, the same metrics of real examples, over all runs.
      records: config.json of the finished runs.
      runs: row -> the folders that there are of its runs; rows without any are left out.
      notes: a sentence for each run that is left out, and for each column without a value of ours.
    """

    entry: Entry
    protocol: str
    steps: tuple[int, int]
    rows: Sequence[Row]
    real: Mapping[str, Estimate]
    records: Sequence[Mapping[str, Any]]
    runs: Mapping[str, Sequence[Path]]
    notes: Sequence[str]

    @property
    def complete(self) -> bool:
        """Whether every run of the protocol is finished."""
        return all(row.done == row.wanted for row in self.rows)


def progress(entry: Entry, protocol: str, seeds: int | None, folder: Path) -> Progress:
    """Counts the finished runs of the table."""
    runs = [(row, *run) for row, runs in entry.wanted(protocol, seeds, folder).items() for run in runs]
    there = [run for run in runs if finished_step(run[2]) is not None]
    done = [not obstacle(point(entry, row, protocol, overrides, workdir)) for row, overrides, workdir in there]
    return Progress(sum(done), len(runs))


def results(entry: Entry, protocol: str, seeds: int | None, folder: Path) -> Result:
    """Reads the last evaluation of every finished run of the table.

    A run counts if it is finished at the protocol's last step and its config is the protocol's, but for keys that do
    not change what is trained (`gen.storage.record.FREE`); the others are named in the notes.
    """
    runs = points(entry, protocol, seeds, folder)
    obstacles = {p.workdir: obstacle(p) for row in runs.values() for p in row}
    counted = {row: [p for p in ps if not obstacles[p.workdir]] for row, ps in runs.items()}
    evaluations = {row: [last_evaluation(p) for p in ps] for row, ps in counted.items()}
    keys = {key: metric.instead.get(protocol, key) for key, metric in entry.table.metrics.items()}
    factors = {key: metric.factor for key, metric in entry.table.metrics.items()}
    rows = [Row(row, len(counted[row]), len(ps), _reached(evaluations[row], keys, factors)) for row, ps in runs.items()]
    everything = [found for row in evaluations.values() for found in row]
    steps = [p.config.train.steps for ps in runs.values() for p in ps]
    reached = _reached(everything, keys, factors)
    left_out = [f"Left out: {workdir}: {reason}" for workdir, reason in obstacles.items()
                if reason and workdir.is_dir()]
    nowhere = [f"No finished run has evaluated {name}, the column {entry.table.metrics[key].heading!r}"
               for key, name in keys.items() if everything and key not in reached]
    return Result(
        entry, protocol, (min(steps), max(steps)), rows,
        _reached(everything, {key: name + REAL for key, name in keys.items()}, factors),
        [description(p.workdir) for ps in counted.values() for p in ps],
        {row: there for row, ps in runs.items() if (there := [p.workdir for p in ps if p.workdir.is_dir()])},
        left_out + nowhere)


def obstacle(point: Point) -> str:
    """Why the run does not count: it is not there or not finished, or its config is another one; "" if it does.

    Keys that came after the run have their defaults.
    """
    step = finished_step(point.workdir)
    if step is None:
        return "not finished"
    if step != point.config.train.steps:
        return f"finished at step {step:,}, not {point.config.train.steps:,}"
    try:
        config = complete(configs.unflatten(configs.flatten(description(point.workdir)["config"])), {}, begun=True)
    except Unreadable as error:
        return f"cannot be read ({error})"
    except UserError as error:
        return f"has a config of another version ({error})"
    differing = [line for line in configs.diff(config, point.config) if not line.startswith(FREE)]
    return f"has another config ({'; '.join(differing)})" if differing else ""


def last_evaluation(point: Point) -> dict[str, Any]:
    """The evaluation at the run's last step, with the median rate of its training; empty where it has none."""
    rows = read_metrics(point.workdir)
    rates = [row["images_per_s"] for row in rows if is_number(row.get("images_per_s"))]
    last = next((row for row in reversed(rows) if row.get("kind") == "eval"), {"step": None})
    if last["step"] != point.config.train.steps:
        return {}
    return last | ({"images_per_s": statistics.median(rates)} if rates else {})


def _reached(evaluations: Iterable[Mapping[str, Any]], keys: Mapping[str, str],
             factors: Mapping[str, float]) -> dict[str, Estimate]:
    """The estimate of each metric that at least one of the evaluations has, in the unit of its heading."""
    values = {key: [factors[key] * found[name] for found in evaluations if is_number(found.get(name))]
              for key, name in keys.items()}
    return {key: estimate(found) for key, found in values.items() if found}

