"""Metric curves over training steps: runs overlaid, the seeds of one config as a band."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from gen.errors import lookup
from gen.run_folder import Rows

COLOURS = ("#1c7ed6", "#d9480f", "#2b8a3e", "#862e9c", "#c2255c", "#5c940d", "#0b7285", "#e67700")


class Series(NamedTuple):
    """One metric of one run: steps [s] and values [s]."""

    steps: Int[np.ndarray, "s"]
    values: Float[np.ndarray, "s"]


class Band(NamedTuple):
    """One metric over `seeds` seeds: steps [s]; mean, least and greatest value over the seeds at each step [s]."""

    seeds: int
    steps: Int[np.ndarray, "s"]
    mean: Float[np.ndarray, "s"]
    low: Float[np.ndarray, "s"]
    high: Float[np.ndarray, "s"]


def is_number(value) -> bool:
    """True for int and float, false for bool and everything else."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def metric_names(rows: Rows) -> list[str]:
    """Names that have a number in at least one row, in order of first appearance; "step" is none of them."""
    return list(dict.fromkeys(name for row in rows for name, v in row.items() if name != "step" and is_number(v)))


def by_kind(rows: Rows) -> dict[str, Rows]:
    """Rows by their "kind", "train" or "eval"; "" for rows without one."""
    kinds = dict.fromkeys(str(row.get("kind", "")) for row in rows)
    return {kind: [row for row in rows if str(row.get("kind", "")) == kind] for kind in kinds}


def series(rows: Rows, name: str) -> Series:
    """The metric's values by step, in order of steps; a step written twice (a resumed run) keeps its last value."""
    values = {int(row["step"]): float(row[name]) for row in rows if is_number(row.get(name))}
    steps = sorted(values)
    return Series(np.array(steps, np.int64), np.array([values[step] for step in steps], np.float64))


def band(seeds: Sequence[Series]) -> Band:
    """Mean, least and greatest value over seeds, at the steps that all of them have and where all are finite."""
    common = sorted(set.intersection(*(set(s.steps[np.isfinite(s.values)].tolist()) for s in seeds)))
    table = np.array([s.values[np.isin(s.steps, common)] for s in seeds]).reshape(len(seeds), len(common))
    return Band(len(seeds), np.array(common, np.int64), table.mean(0), table.min(0), table.max(0))


def bands(runs: Sequence[Rows], name: str) -> dict[str, Band]:
    """The metric over the seeds of one config, by kind of row; kinds and seeds that never have it are left out."""
    curves: dict[str, list[Series]] = {}
    for rows in runs:
        for kind, own in by_kind(rows).items():
            if len((curve := series(own, name)).steps):
                curves.setdefault(kind, []).append(curve)
    return {kind: band(seeds) for kind, seeds in curves.items()}


def curve_picture(
    runs: Mapping[str, Sequence[Rows]], names: Sequence[str] | None = None, width: int = 960, log: bool = False,
    together: bool = False,
) -> UInt8[np.ndarray, "h w 3"]:
    """Draws one panel per metric, two in a row; each group of runs is a line, with a band from least to greatest.

    Training metrics are solid lines, those of evaluations (rows of kind "eval") dashed.

    Args:
      runs: label -> the metrics rows of each seed of that config.
      names: metrics to draw; by default all that any run has.
      width: pixels.
      log: values on a logarithmic scale.
      together: all metrics in one panel, a colour each.

    Raises:
      UserError: no run has one of the metrics.
    """
    from matplotlib.figure import Figure

    from gen.figures.points import render

    known = dict.fromkeys(n for seeds in runs.values() for rows in seeds for n in metric_names(rows))
    names = list(names or known)
    for name in names:
        lookup(known, name, "metric")
    panels, columns = ([names], 1) if together else ([[name] for name in names], 2)
    lines = max(1, math.ceil(len(panels) / columns))
    figure = Figure(figsize=(width / 100, 2.9 * lines), dpi=100, facecolor="white", layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel, shown in zip(axes, panels, strict=False):
        _draw_metrics(panel, shown, runs, log)
    for panel in axes[len(panels) :]:
        panel.set_axis_off()
    if len(runs) * len(panels[0] if panels else ()) > 1:
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=3, fontsize=8, frameon=False)
    return render(figure)


def _draw_metrics(axes, names: Sequence[str], runs: Mapping[str, Sequence[Rows]], log: bool) -> None:
    """A colour for each group of runs and metric; the metric is the title, or a label where there are several."""
    lines = [(label, seeds, name) for label, seeds in runs.items() for name in names]
    for i, (label, seeds, name) in enumerate(lines):
        words = ([label] if len(runs) > 1 or len(names) == 1 else []) + ([name] if len(names) > 1 else [])
        _draw_bands(axes, bands(seeds, name), COLOURS[i % len(COLOURS)], ", ".join(words).replace("$", r"\$"))
    if log:
        axes.set_yscale("log")
    _style(axes, names[0] if len(names) == 1 else "")


def _draw_bands(axes, curves: Mapping[str, Band], colour: str, label: str) -> None:
    axes.plot([], [], color=colour, label=label)
    for kind, curve in curves.items():
        axes.plot(curve.steps, curve.mean, color=colour, linewidth=1.4, linestyle="--" if kind == "eval" else "-")
        axes.fill_between(curve.steps, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)


def _style(axes, title: str) -> None:
    axes.set_title(title.replace("$", r"\$"), fontsize=9, loc="left", color="#1f2933")
    axes.set_xlabel("step", fontsize=7, color="#4b5563")
    axes.tick_params(labelsize=7, length=2, color="#9aa3ad", labelcolor="#4b5563")
    axes.grid(color="#e6e9ed", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#c3cad2")
