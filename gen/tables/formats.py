"""Tables as text: Markdown, LaTeX, and what is done of each."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gen.estimates import Estimate, difference
from gen.machine import machine
from gen.tables.results import Progress, Result, Row
from gen.tables.types import Metric

EMPTY = "–"
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "±": r"$\pm$", "–": "--", "≥": r"$\geq$", "−": "$-$",
}


class Column(NamedTuple):
    """A column of the written table: metric's heading, what it shows of it, and its text by row."""

    metric: str
    shows: str
    cells: list[str]


def number(value: Estimate | tuple[float, float | None] | None, digits: int, sign: str = "") -> str:
    """ "98.2 ± 0.2", without "± ..." where the standard error is unknown; a dash for None."""
    if value is None:
        return EMPTY
    mean, error = value[:2]
    return f"{mean:{sign}.{digits}f}" + (f" ± {error:.{digits}f}" if error is not None else "")


def columns(result: Result) -> list[Column]:
    """Of every metric ours, and where any row has a published value, that and the difference. The last row is real."""
    table, rows, found = result.entry.table, result.rows, []
    for key, metric in table.metrics.items():
        real = [number(result.real.get(key), metric.digits)] if result.real else []
        found.append(Column(metric.heading, "here", [number(r.reached.get(key), metric.digits) for r in rows] + real))
        published = [table.published.get(row.name, {}).get(key) for row in rows]
        if any(published):
            pairs = zip(rows, published, strict=True)
            differences = [_difference(row, key, metric, value) for row, value in pairs]
            dash = [EMPTY] * len(real)
            found.append(Column(metric.heading, "published", [number(v, metric.digits) for v in published] + dash))
            found.append(Column(metric.heading, "difference", differences + dash))
    return found


def _difference(row: Row, key: str, metric: Metric, published: tuple[float, float | None] | None) -> str:
    known = key in row.reached and published is not None
    return number(difference(row.reached[key], published) if known else None, metric.digits, "+")


def names(result: Result) -> list[str]:
    """The rows' names, those of incomplete ones with "(3 of 10 seeds)", and of real examples where those are there."""
    rows = [f"{r.name} ({r.done} of {r.wanted} seeds)" if r.done < r.wanted else r.name if r.wanted else
            f"{r.name} (not run)" for r in result.rows]
    return rows + (["real examples"] if result.real else [])


def facts(result: Result) -> list[str]:
    """The sentences below the table: seeds, what was published, what differs, and where the runs are from."""
    table, (least, most) = result.entry.table, result.steps
    done = sorted({row.done for row in result.rows if row.wanted})
    seeds = f"{done[0]} to {done[-1]} seeds" if len(done) > 1 else f"{done[0]} seed{'s' if done[0] != 1 else ''}"
    steps = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    here = f"mean ± standard error over {seeds}, evaluated after the last step ({steps})"
    return [
        f"Here: {here if result.records else 'no run is finished'}.",
        f"Published: {table.source}.",
        f"Protocol {result.protocol}: {table.differences[result.protocol]}",
        f"Runs: {_origin(result)}. Written on {machine()}.",
        *(f"{note}." for note in result.notes),
    ]


def _origin(result: Result) -> str:
    commits = sorted({str(record.get("commit") or "unknown")[:12] for record in result.records})
    machines = sorted({str(record.get("machine") or _versions(record)) for record in result.records})
    return f"commit {', '.join(commits)}; {'; '.join(machines)}" if result.records else "none yet"


def _versions(record: Mapping) -> str:
    versions = record.get("versions")
    return f"machine not recorded, JAX {versions.get('jax', 'unknown') if isinstance(versions, dict) else 'unknown'}"


def escape_markdown(text: str) -> str:
    """Text that shows as it is in a cell or a sentence; an underscore within a word does so anyway."""
    return re.sub(r"([\\`*\[\]<>|#~]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", " ".join(text.split()))


def escape_latex(text: str) -> str:
    """Text that shows as it is."""
    return "".join(LATEX.get(character, character) for character in " ".join(text.split()))


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], text: int = 1) -> str:
    """A Markdown table whose columns are aligned as plain text too; the first `text` of them to the left."""
    lines = [list(header), *map(list, rows)]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(header))]
    rule = [("-" * w if i < text else "-" * (w - 1) + ":") for i, w in enumerate(widths)]
    padded = [[cell.ljust(w) if i < text else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths,
              strict=True))] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in (padded[0], rule, *padded[1:]))


def markdown(result: Result) -> str:
    """The table with its title and the sentences below it, as Markdown."""
    shown = columns(result)
    header = ["", *(escape_markdown(c.metric if c.shows == "here" else c.shows) for c in shown)]
    rows = zip(map(escape_markdown, names(result)), *(c.cells for c in shown), strict=True)
    sentences = "\n\n".join(map(escape_markdown, facts(result)))
    return f"# {escape_markdown(result.entry.table.title)}\n\n{aligned(header, list(rows))}\n\n{sentences}\n"


def latex(result: Result) -> str:
    """The table as a LaTeX `table`: a metric's columns below its heading, the sentences as caption.

    The document needs the packages `booktabs` and `graphicx`; a table wider than the line is made to fit it.
    """
    shown = columns(result)
    first = dict.fromkeys(c.metric for c in shown)
    spans = [(metric, sum(c.metric == metric for c in shown)) for metric in first]
    top = " & ".join(f"\\multicolumn{{{n}}}{{c}}{{{escape_latex(metric)}}}" for metric, n in spans)
    body = [" & ".join(map(escape_latex, row))
            for row in zip(names(result), *(c.cells for c in shown), strict=True)]
    caption = " ".join(map(escape_latex, [result.entry.table.title + ".", *facts(result)]))
    lines = [
        r"\begin{table}", r"\centering", r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        f"\\begin{{tabular}}{{l{'r' * len(shown)}}}", r"\toprule",
        rf" & {top} \\", rf" & {' & '.join(c.shows for c in shown)} \\", r"\midrule",
        *(rf"{line} \\" for line in body),
        r"\bottomrule", r"\end{tabular}}", f"\\caption{{{caption}}}", r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def listing(done: Mapping[tuple[str, str], Progress], experiment: Callable[[str], str]) -> str:
    """How much of each (table, protocol) is done, as a table; `experiment` gives the name of a table's file."""
    rows = [[name, protocol, f"{p.done} of {p.wanted}", experiment(name)] for (name, protocol), p in done.items()]
    return aligned(["table", "protocol", "runs done", "experiment"], rows, text=4)
