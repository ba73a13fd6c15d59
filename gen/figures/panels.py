"""Panels of curves in one style, for pictures that are drawn once."""

from collections.abc import Sequence

WIDTH, HEIGHT = 330, 270
"""Of a panel, in pixels of a picture that is drawn at twice the size."""


def panels(titles: Sequence[str], width: int = WIDTH, height: int = HEIGHT):
    """A matplotlib figure with a row of panels of these titles, and their axes; `points.render` makes the picture."""
    from matplotlib.figure import Figure

    size = width * len(titles) / 100, height / 100
    figure = Figure(figsize=size, dpi=200, facecolor="white", layout="constrained")
    row = figure.subplots(1, len(titles), squeeze=False)[0]
    for axes, title in zip(row, titles, strict=True):
        axes.set_title(title, fontsize=8.5, loc="left", color="#1f2933")
        axes.grid(color="#edf0f3", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        style(axes)
    return figure, row


def style(axes) -> None:
    """Small grey ticks, labels and spines."""
    axes.tick_params(which="both", labelsize=7, length=2, color="#9aa3ad", labelcolor="#4b5563")
    axes.spines[:].set(color="#c3cad2", linewidth=0.7)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(fontsize=7.5, color="#4b5563")


def second_scale(axes):
    """Axes over these with a scale of their own on the right."""
    other = axes.twinx()
    style(other)
    other.spines["top"].set_visible(False)
    return other


def legends(axes: Sequence) -> None:
    """A legend in every panel that has something labelled."""
    for panel in axes:
        if panel.get_legend_handles_labels()[0]:
            panel.legend(fontsize=7, frameon=True, framealpha=0.85, edgecolor="#dfe3e8", borderpad=0.4)
