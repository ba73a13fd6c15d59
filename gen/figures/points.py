"""Pictures of two-dimensional samples: over the data, its modes and density, or a discriminator's field."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

Limits = tuple[float, float, float, float]
Field = Callable[[Float[np.ndarray, "m 2"]], Float[np.ndarray, "m"]]

DATA_COLOUR = "#8d98a7"
SAMPLE_COLOUR = "#d9480f"
CENTRE_COLOUR = "#10151c"
SHOWN = 4000  # points of one cloud that are drawn: the first ones
ALONE = 3 / 1.3  # half the extent that is assumed of data that is a single point
AXES = (0.085, 0.065, 0.895, 0.895)  # left, bottom, width and height of the axes, as shares of the picture


class FieldGrid(NamedTuple):
    """A function's values on a regular grid over the picture: x [r], y [r], values [r r] with rows along y."""

    x: Float[np.ndarray, "r"]
    y: Float[np.ndarray, "r"]
    values: Float[np.ndarray, "r r"]


def plot_limits(points: Float[np.ndarray, "n 2"], margin: float = 0.15) -> Limits:
    """A square (left, right, bottom, top) around the central 99 % of the points, widened by `margin` of its side.

    Take it from the data, not from the samples, so that pictures of different steps can be compared. Points that all
    coincide say nothing of a scale: the square then reaches 3 units to each side of them.
    """
    low, high = np.percentile(points, [0.5, 99.5], axis=0)
    extent = float(np.max(high - low))
    centre, half = (low + high) / 2, (extent / 2 if extent > 1e-6 else ALONE) * (1 + 2 * margin)
    return tuple(float(v) for v in (centre[0] - half, centre[0] + half, centre[1] - half, centre[1] + half))


def field_grid(field: Field, limits: Limits, resolution: int = 120) -> FieldGrid:
    """Evaluates `field` (logits or log densities of [m 2] points, in one call) at a resolution x resolution grid."""
    left, right, bottom, top = limits
    x, y = np.linspace(left, right, resolution), np.linspace(bottom, top, resolution)
    mesh = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float32)
    return FieldGrid(x, y, np.asarray(field(mesh), np.float64).reshape(resolution, resolution))


def scatter_picture(
    samples: Float[np.ndarray, "n 2"] | None,
    data: Float[np.ndarray, "m 2"] | None = None,
    centres: Float[np.ndarray, "k 2"] | None = None,
    log_density: Field | None = None,
    discriminator: Field | None = None,
    limits: Limits | None = None,
    size: int = 480,
    colours: UInt8[np.ndarray, "n 3"] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """Draws samples over data.

    Args:
      samples: [n 2]; those outside the picture are counted in its corner instead of vanishing silently. None draws
        the data alone.
      data: [m 2], drawn below the samples in grey.
      centres: [k 2], the modes of the data, drawn as crosses.
      log_density: log p(x) of the data in nats; contours at 1, 2, 4, 8 nats below its highest value on the grid.
      discriminator: logits of [m 2] points; sigmoid(logit) is the background, purple where fake and green where real.
      limits: (left, right, bottom, top); by default around the data, else the centres, else the samples.
      size: pixels of each side.
      colours: of the samples, one by one, in place of one colour of all.
    """
    reference = next(points for points in (data, centres, samples) if points is not None)
    limits = limits or plot_limits(reference)
    figure, axes = square_axes(size, limits)
    if discriminator is not None:
        _draw_discriminator(axes, field_grid(discriminator, limits), limits)
    if data is not None:
        axes.scatter(*data[:SHOWN].T, s=5, c=DATA_COLOUR, alpha=0.55, linewidths=0, label="data", zorder=2)
    if log_density is not None:
        _draw_density(axes, field_grid(log_density, limits))
    if samples is not None:
        _draw_samples(axes, samples[:SHOWN], colours)
    if centres is not None:
        axes.scatter(*centres.T, s=34, c=CENTRE_COLOUR, marker="x", linewidths=1.1, label="modes", zorder=5)
    shown = data if samples is None else samples
    _draw_legend(axes, outside_count(shown, limits), len(shown), "examples" if samples is None else "samples")
    return render(figure)


def _draw_samples(axes, samples: Float[np.ndarray, "n 2"], colours: UInt8[np.ndarray, "n 3"] | None) -> None:
    """In colours of their own they have an edge, because pale ones would be lost."""
    look = {"c": SAMPLE_COLOUR, "alpha": 0.6, "linewidths": 0, "s": 6}
    if colours is not None:
        look = {"c": colours[:SHOWN] / 255, "edgecolors": CENTRE_COLOUR, "linewidths": 0.2, "s": 26}
    axes.scatter(*samples.T, label="samples", zorder=4, **look)


def outside_count(points: Float[np.ndarray, "n 2"], limits: Limits) -> int:
    """How many points lie outside of the picture, or are not finite."""
    left, right, bottom, top = limits
    x, y = points.T
    return int(np.sum(~((x >= left) & (x <= right) & (y >= bottom) & (y <= top))))


def place(point: Float[np.ndarray, "2"], limits: Limits) -> tuple[float, float]:
    """Where a point is on a picture with these limits, as shares of its width and height from the top left."""
    left, bottom, width, height = AXES
    x, y = (float(v - low) / (high - low) for v, low, high in zip(point, limits[::2], limits[1::2], strict=True))
    return left + width * x, 1 - bottom - height * y


def square_axes(size: int, limits: Limits):
    """A matplotlib figure of size x size pixels and its axes with equal scales; drawn by Agg, without pyplot."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size / 100, size / 100), dpi=100, facecolor="white")
    axes = figure.add_axes(AXES)
    axes.set(xlim=limits[:2], ylim=limits[2:], aspect="equal")
    axes.tick_params(labelsize=7, length=2, width=0.6, color="#9aa3ad", labelcolor="#4b5563")
    axes.locator_params(nbins=7)
    for spine in axes.spines.values():
        spine.set(color="#c3cad2", linewidth=0.7)
    return figure, axes


def render(figure) -> UInt8[np.ndarray, "h w 3"]:
    """The pixels of a matplotlib figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def _draw_discriminator(axes, grid: FieldGrid, limits: Limits) -> None:
    probability = 0.5 * (1 + np.tanh(grid.values / 2))
    axes.imshow(
        probability, extent=limits, origin="lower", cmap="PRGn", vmin=0, vmax=1, alpha=0.6, zorder=0,
        interpolation="bilinear", aspect="equal",
    )
    if probability.min() < 0.5 < probability.max():
        axes.contour(grid.x, grid.y, probability, levels=[0.5], colors="#3c4653", linewidths=0.9, zorder=1)


def _draw_density(axes, grid: FieldGrid) -> None:
    below = grid.values - np.nanmax(grid.values)
    style = {"colors": "#1c7ed6", "linewidths": 0.9, "linestyles": "solid"}
    axes.contour(grid.x, grid.y, below, levels=[-8, -4, -2, -1], zorder=3, **style)


def _draw_legend(axes, outside: int, n: int, what: str) -> None:
    axes.legend(
        loc="upper right", fontsize=7, frameon=True, framealpha=0.85, edgecolor="#dfe3e8", handletextpad=0.3,
        borderpad=0.4,
    )
    if outside:
        text = f"{outside} of {n} {what} outside"
        axes.text(0.015, 0.015, text, transform=axes.transAxes, fontsize=7, color="#4b5563", zorder=6)
