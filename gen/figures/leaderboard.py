"""Which run of a sweep is best: a sorted table of what differs and what came of it, and the same as a CSV file."""

import base64
import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gen.estimates import Estimate, estimate
from gen.figures.curves import is_number, metric_names
from gen.figures.html import escape, link, number_cell
from gen.figures.looks import Groups, Look, differing, looks, short_names, text_of
from gen.figures.meanings import REACHED, Headline, headline, meaning, of_real
from gen.figures.records import Run, furthest

SHOWN = 7
"""Metrics that the table has; the CSV file has all."""


class Entry(NamedTuple):
    """One config of a sweep, its seeds folded.

    Attributes:
      label: of the group.
      members: its runs.
      values: of the keys that differ.
      metrics: of the newest evaluation, over the seeds that have come furthest.
      look: of its lines.
    """

    label: str
    members: Sequence[Run]
    values: dict[str, Any]
    metrics: dict[str, Estimate]
    look: Look


class Board(NamedTuple):
    """All configs of a sweep, the best first, and the metric that says so; None where there is no evaluation.

    `alike`: for each of the keys those that always have its value.
    """

    entries: list[Entry]
    keys: list[str]
    alike: dict[str, list[str]]
    metrics: list[str]
    best: Headline | None


def newest(run: Run) -> dict[str, float | int]:
    """The numbers of the newest evaluation while training, and those that were added to its step afterwards."""
    last = run.last_evaluation
    later = [row for row in run.evaluations if row.get("step") == last.get("step") or set(row) == {"metric", "value"}]
    named = {str(row["metric"]): row["value"] for row in later if "metric" in row}
    found = {k: v for row in later if "metric" not in row for k, v in row.items()} | named | last
    return {name: value for name, value in found.items() if name != "step" and is_number(value)}


def board(groups: Groups) -> Board:
    """The configs in the order of the headline metric, those without it last."""
    alike, entries = differing(groups), []
    for (label, members), look in zip(groups.items(), looks(groups), strict=True):
        found = [newest(run) for run in furthest(members)]
        names = [name for name in metric_names(found) if all(name in row for row in found)]
        config = members[0].config
        entries.append(Entry(label, members, {key: config.get(key) for key in alike},
                             {name: estimate([row[name] for row in found]) for name in names}, look))
    names = list(dict.fromkeys(name for entry in entries for name in entry.metrics))
    best = headline(next(iter(groups.values()))[0].config, names)
    if best:
        entries.sort(key=lambda entry: rank(entry, best))
    return Board(entries, list(alike), alike, _ranked(names, best), best)


def rank(entry: Entry, best: Headline) -> tuple[bool, float]:
    """What entries are sorted by: the better the smaller."""
    value = entry.metrics[best.name].mean if best.name in entry.metrics else math.nan
    return not math.isfinite(value), (-value if best.better == "max" else value) if math.isfinite(value) else 0.0


def _ranked(names: Sequence[str], best: Headline | None) -> list[str]:
    """Metrics in the order of columns: the headline, what is reached, the rest; without those of real examples."""
    names = [name for name in names if not of_real(name, names)]
    return sorted(names, key=lambda name: (best is None or name != best.name, meaning(name).group != REACHED))


def html(found: Board, home: Path) -> str:
    """The table, the best value of each metric marked, with links to the runs and the CSV file."""
    columns = found.metrics[:SHOWN]
    together = [[key, *found.alike[key]] for key in found.keys]
    short = short_names([key for keys in together for key in keys])
    heads = [*(" = ".join(short[key] for key in keys) for keys in together), *columns, "seeds", "runs by seed"]
    titles = [*map(", ".join, together), *(meaning(name).about for name in columns), "", ""]
    head = "".join(f'<th scope="col" title="{escape(title)}"><button type="button">{escape(name)}</button></th>'
                   for name, title in zip(heads, titles, strict=True))
    best = {name: _best(found.entries, name) for name in columns}
    body = "".join(_row(entry, found, columns, best, home) for entry in found.entries)
    said = f" Sorted by {escape(found.best.name)}, the {'greatest' if found.best.better == 'max' else 'least'} first." \
        if found.best else ""
    return (f'<p>Newest evaluation, mean ± standard error over seeds; the best of each metric is marked.{said} '
            f'{_download(found)}</p><div class="scroll board"><table class="sortable"><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody>{_real(found, columns)}</table></div>")


def _best(entries: Sequence[Entry], name: str) -> float | None:
    """The best mean of a metric; None where neither great nor small is better."""
    better = meaning(name).better
    means = [entry.metrics[name].mean for entry in entries if name in entry.metrics]
    means = [mean for mean in means if math.isfinite(mean)]
    return (max if better == "max" else min)(means) if better and means else None


def _row(entry: Entry, found: Board, columns: Sequence[str], best: dict[str, float | None], home: Path) -> str:
    mark = f'<i class="swatch {entry.look.classes}"></i>'
    cells = [_value(entry.values[key], mark if i == 0 else "") for i, key in enumerate(found.keys)]
    for name in columns:
        value = entry.metrics.get(name)
        cells.append(number_cell(value, "best" if value and value.mean == best[name] else ""))
    links = [link(run.path / "report.html", home, str(run.config.get("seed", run.name))) for run in entry.members]
    steps = max(run.last_step for run in entry.members)
    going = "" if all(run.finished for run in entry.members) else f' <span class="soft">at step {steps:,}</span>'
    cells += [number_cell(len(entry.members)), f"<td>{' '.join(links)}{going}</td>"]
    return f'<tr title="{escape(entry.label)}">{"".join(cells)}</tr>'


def _value(value: Any, mark: str) -> str:
    if is_number(value):
        return f'<td class="number" data-value="{value!r}">{mark}{escape(text_of(value))}</td>'
    return f"<td>{mark}{escape('–' if value is None else text_of(value))}</td>"


def _real(found: Board, columns: Sequence[str]) -> str:
    """A last row of what real examples score, where evaluations say so."""
    known = {name: entry.metrics[f"{name}_real"] for name in columns for entry in found.entries[:1]
             if f"{name}_real" in entry.metrics}
    if not known:
        return ""
    cells = "".join(number_cell(known.get(name)) for name in columns)
    first = f'<th scope="row" colspan="{len(found.keys)}">real examples</th>' if found.keys else ""
    return f"<tfoot><tr>{first}{cells}<td></td><td></td></tr></tfoot>"


def text(found: Board) -> str:
    """The CSV file: a row for each run, the whole names of the keys that differ, the seed, and every metric."""
    out = io.StringIO()
    names = list(dict.fromkeys(name for entry in found.entries for run in entry.members for name in newest(run)))
    table = csv.writer(out, lineterminator="\n")
    keys = [key for first in found.keys for key in (first, *found.alike[first])]
    table.writerow(["run", *keys, "seed", "step", *names])
    for entry in found.entries:
        for run in entry.members:
            values = newest(run)
            table.writerow([run.name, *(text_of(run.config[key]) if key in run.config else "" for key in keys),
                            run.config.get("seed", ""), run.last_step, *(values.get(name, "") for name in names)])
    return out.getvalue()


def _download(found: Board) -> str:
    data = base64.b64encode(text(found).encode()).decode()
    return f'<a download="runs.csv" href="data:text/csv;base64,{data}">All runs as CSV</a>'
