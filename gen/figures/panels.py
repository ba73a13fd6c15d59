"""Panels of curves in one style, for pictures that are drawn once: on paper or in the dark, in rows of any length."""

import colorsys
import math
import textwrap
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

WIDTH, HEIGHT = 780, 250
"""Of a row, and of a panel in it, in pixels of a picture that is drawn at twice the size."""

NARROW = 390
"""Width of the figure on a telephone, where the panels stand below each other."""

INK = "#10151c"
"""Of lines that stand for what is exact, or known."""

PARTS = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")


def panels(titles: Sequence[str], height: int = HEIGHT, columns: int = 0):
    """A matplotlib figure with a panel for each title, and their axes; `picture` draws it.

    Args:
      titles: what each panel shows, above it; long ones are wrapped.
      height: of a panel, in pixels.
      columns: panels in a row; by default all.
    """
    from matplotlib.figure import Figure

    columns = columns or len(titles)
    rows = math.ceil(len(titles) / columns)
    figure = Figure(figsize=(WIDTH / 100, rows * height / 100), dpi=200, facecolor="none", layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for unused in axes[len(titles):]:
        unused.remove()
    for panel, title in zip(axes, titles, strict=False):
        wrapped = textwrap.fill(title, round(WIDTH / columns / 7.8))
        panel.set_title(wrapped, fontsize=9.5, loc="left", color="#1f2933")
        panel.set_facecolor("none")
        panel.grid(color="#edf0f3", linewidth=0.7)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
        style(panel)
    return figure, list(axes[:len(titles)])


def style(axes) -> None:
    """Small grey ticks, labels and spines."""
    axes.tick_params(which="both", labelsize=8, length=2, color="#9aa3ad", labelcolor="#4b5563")
    axes.spines[:].set(color="#c3cad2", linewidth=0.7)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(fontsize=8.5, color="#4b5563")


def ticks(axis, places: Sequence[float | int]) -> None:
    """Labels an axis, which may be logarithmic, at these places and nowhere else, in plain numbers."""
    axis.set_ticks(places, [f"{place:,.10g}" for place in places])
    axis.set_ticks([], minor=True)


def second_scale(axes):
    """Axes over these with a scale of their own on the right."""
    other = axes.twinx()
    style(other)
    other.spines["top"].set_visible(False)
    return other


def legends(axes: Sequence, **options) -> None:
    """A legend in every panel that has something labelled, with these options of matplotlib's."""
    for panel in axes:
        if panel.get_legend_handles_labels()[0]:
            panel.legend(fontsize=8, frameon=True, framealpha=0.75, edgecolor="#dfe3e8", borderpad=0.4,
                         facecolor="white", **options)


def arrange(figure, columns: int, width: int) -> None:
    """Puts the panels in rows of so many, the figure being `width` pixels wide; panels keep their proportions."""
    from matplotlib.gridspec import GridSpec

    specs = [axes.get_subplotspec() for axes in figure.axes]
    before = specs[0].get_gridspec()
    each = figure.get_size_inches() / (before.ncols, before.nrows)
    count = max(spec.num1 for spec in specs) + 1
    columns, rows = min(columns, count), math.ceil(count / min(columns, count))
    height = each[1] * width / 100 / columns / each[0]
    figure.set_size_inches(width / 100, rows * min(height, 1.25 * each[1]))
    grid = GridSpec(rows, columns, figure=figure)
    for axes, spec in zip(figure.axes, specs, strict=True):
        axes.set_subplotspec(grid[divmod(spec.num1, columns)])


def in_the_dark(colour) -> tuple[float, float, float, float]:
    """The colour for a dark page: greys change places, from white to near black, other hues become lighter."""
    from matplotlib.colors import to_rgba

    *rgb, alpha = to_rgba(colour)
    hue, light, saturation = colorsys.rgb_to_hls(*rgb)
    grey = max(rgb) - min(rgb) < 0.25
    return *colorsys.hls_to_rgb(hue, 0.93 - 0.84 * light if grey else max(light, 0.58), saturation), alpha


def darken(figure) -> None:
    """Changes every colour of a figure by `in_the_dark`, but for images with what is on them, and colours of a map."""
    kept = {artist for axes in figure.axes if axes.images for artist in (*axes.lines, *axes.texts, *axes.collections)}
    for artist in figure.findobj(lambda artist: not hasattr(artist, "get_cmap") or artist.get_array() is None):
        found = {part: getattr(artist, f"get_{part}", lambda: None)() for part in PARTS if artist not in kept}
        for part, colour in found.items():
            if colour is not None and len(colour) and not (isinstance(colour, str) and colour in ("none", "auto")):
                many = np.ndim(colour) == 2
                getattr(artist, f"set_{part}")([in_the_dark(c) for c in colour] if many else in_the_dark(colour))
    for axes in figure.axes:
        axes.tick_params(which="both", color="#67707a", labelcolor="#b4bcc6", grid_color="#2b323a")


def pictures(figure, narrow: int = 1) -> dict[str, UInt8[np.ndarray, "h w 4"]]:
    """The figure on a transparent ground, in four ways: "" and "_narrow" for a light page, "_dark", "_narrow_dark".

    `narrow`: panels in a row of the narrow ones. The figure is left as the last of them.
    """
    columns, size = figure.axes[0].get_subplotspec().get_gridspec().ncols, figure.get_size_inches().copy()
    found = {"": pixels(figure)}
    arrange(figure, narrow, NARROW)
    found["_narrow"] = pixels(figure)
    darken(figure)
    found["_narrow_dark"] = pixels(figure)
    arrange(figure, columns, WIDTH)
    figure.set_size_inches(size)
    return found | {"_dark": pixels(figure)}


def pixels(figure) -> UInt8[np.ndarray, "h w 4"]:
    """The figure's pixels with their transparency."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())
