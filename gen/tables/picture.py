"""A table as a figure."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8

from gen.figures.curves import COLOURS
from gen.tables.results import Result

OURS, PUBLISHED = COLOURS[:2]


def figure(result: Result, width: int = 300) -> UInt8[np.ndarray, "h w 3"]:
    """Draws a panel per metric, `width` pixels each: for every row our mean ± standard error beside the published."""
    from matplotlib.figure import Figure

    from gen.figures.points import render

    table, rows = result.entry.table, [row.name for row in result.rows]
    size = (width * len(table.metrics) + 150) / 100, 1.3 + 0.32 * len(rows)
    drawing = Figure(figsize=size, dpi=100, facecolor="white", layout="constrained")
    panels = drawing.subplots(1, len(table.metrics), sharey=True, squeeze=False)[0]
    for axes, (key, metric) in zip(panels, table.metrics.items(), strict=True):
        ours = {i: row.reached[key] for i, row in enumerate(result.rows) if key in row.reached}
        published = {i: table.published[row][key] for i, row in enumerate(rows) if key in table.published.get(row, {})}
        _marks(axes, ours, -0.13, OURS, "o", "here")
        _marks(axes, published, 0.13, PUBLISHED, "s", "published")
        axes.set_title(_plain(metric.heading), fontsize=9, loc="left", color="#1f2933")
    panels[0].set_yticks(range(len(rows)), map(_plain, rows))
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    for axes in panels:
        axes.tick_params(labelsize=8, length=2, color="#9aa3ad", labelcolor="#4b5563")
        axes.grid(axis="x", color="#e6e9ed", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("#c3cad2")
    shown = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    drawing.legend(shown.values(), shown.keys(), loc="outside upper left", ncols=2, fontsize=8, frameon=False)
    return render(drawing)


def _plain(text: str) -> str:
    return text.replace("$", r"\$")


def _marks(axes, values: Mapping[int, tuple], shift: float, colour: str, marker: str, label: str) -> None:
    """Means with bars of one standard error at the rows' heights, moved by `shift`."""
    if not values:
        return
    x = [value[0] for value in values.values()]
    errors = [np.nan if value[1] is None else value[1] for value in values.values()]
    axes.errorbar(x, [i + shift for i in values], xerr=errors, fmt=marker, color=colour, markersize=5, capsize=3,
                  linewidth=1.2, label=label)
