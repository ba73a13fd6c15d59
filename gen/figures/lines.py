"""Pictures of one-dimensional samples: densities, and a discriminator over them."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float, UInt8

from gen.figures.points import DATA_COLOUR, SAMPLE_COLOUR, render

COLOURS = (DATA_COLOUR, SAMPLE_COLOUR)
PROBABILITY_COLOURS = ("#1c7ed6", "#10151c")
BINS = 100
SHOWN = (-0.05, 1.05)  # of probabilities, whose axis is on the right

Values = Float[np.ndarray, "b"]


def line_picture(
    x: Values, densities: Mapping[str, Values], probabilities: Mapping[str, Values], size: int = 480
) -> UInt8[np.ndarray, "h w 3"]:
    """Draws densities as areas, scale on the left, and probabilities as lines, scale on the right, over points x.

    The limits are those between which the first density, the data's, has all but 1e-4 of its mass, and half as much
    again.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size / 80, size / 100), dpi=100, facecolor="white", layout="constrained")
    axes = figure.subplots()
    for (label, values), colour in zip(densities.items(), COLOURS, strict=False):
        axes.fill_between(x, values, color=colour, alpha=0.45, linewidth=0, label=label)
    right = axes.twinx()
    for (label, values), colour in zip(probabilities.items(), PROBABILITY_COLOURS, strict=False):
        right.plot(x, values, color=colour, linewidth=1.3, label=label)
    mass = np.cumsum(next(iter(densities.values())))
    low, high = x[np.searchsorted(mass, mass[-1] * 5e-5)], x[np.searchsorted(mass, mass[-1] * (1 - 5e-5))]
    axes.set(xlim=(low - (high - low) / 4, high + (high - low) / 4), ylim=(0, None))
    right.set(ylim=SHOWN)
    for panel in (axes, right):
        panel.tick_params(labelsize=7, length=2, color="#9aa3ad", labelcolor="#4b5563")
        panel.spines[:].set(color="#c3cad2", linewidth=0.7)
    figure.legend(loc="outside upper left", ncols=4, fontsize=7, frameon=False)
    return render(figure)


def histogram_picture(
    samples: Float[np.ndarray, "n 1"] | None, data: Float[np.ndarray, "m 1"],
    log_density: Callable[[np.ndarray], np.ndarray] | None = None,
    discriminator: Callable[[np.ndarray], np.ndarray] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """Histograms of data (or its density, from log p) and of samples, and sigmoid(logit) of the discriminator.

    Without samples the picture is of the data alone.
    """
    spread = np.ptp(data) or 1.0
    edges = np.linspace(data.min() - spread / 2, data.max() + spread / 2, BINS + 1)
    x = (edges[1:] + edges[:-1]) / 2
    densities = {name: np.histogram(v, edges)[0] / (len(v) * np.diff(edges))
                 for name, v in (("data", data), ("samples", samples)) if v is not None}
    if log_density:
        densities["data"] = np.exp(log_density(x[:, None]))
    logits = {"discriminator": discriminator(np.float32(x)[:, None])} if discriminator else {}
    return line_picture(x, densities,
                        {name: (1 + np.tanh(values / 2)) / 2 for name, values in logits.items()})
