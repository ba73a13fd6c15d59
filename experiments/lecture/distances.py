"""Two densities that do not meet are as far apart as can be, for a divergence of densities. A distance that knows how
far points are from each other still says which way is closer.

    W_1 = integral over u of |F^-1(u) - G^-1(u)|    of samples on the line: the mean distance of the sorted ones
    MMD^2 = E k(x, x') - 2 E k(x, y) + E k(y, y')    in any dimension, by mean similarities k

For two normals a shift m apart W_1 = |m| whatever their scale, while JSD rises to log 2 and TV to 1, where their
gradients in m vanish: the argument for Wasserstein GANs (Arjovsky et al. 2017, example 1). MMD with a bounded kernel
flattens too, but later. Its estimate from samples has no bias: of two samples of one distribution it is 0 in the mean,
and so often negative; KID is this estimate on features.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from gen.estimates import estimate
from gen.figures.curves import COLOURS
from gen.figures.panels import legends, panels
from gen.figures.points import DATA_COLOUR, SAMPLE_COLOUR, render
from gen.lecture import Lesson
from gen.probability.divergences import (
    inverse_multiquadratic,
    jensen_shannon,
    squared_mmd,
    total_variation,
    wasserstein,
)

TITLE = "Distances between samples"
SHOWS = (wasserstein, squared_mmd, jensen_shannon, total_variation)

SCALE, N = 0.5, 4_000
"""Of both normals; samples of each."""

SHIFTS = np.linspace(0, 6, 25)
EDGES = np.linspace(-4, 10, 2_801)
SMALL, REPEATS, MOVED = 100, 400, 0.1
"""Samples of an estimate of MMD^2, estimates, and the shift of those that are not of one distribution."""


def masses(shift: float) -> np.ndarray:
    """Of the normal around `shift`."""
    return np.diff(stats.norm.cdf(EDGES, shift, SCALE))


def estimates(shift: float) -> np.ndarray:
    """Of MMD^2 between two samples of normals this far apart."""
    x, y = SCALE * jax.random.normal(jax.random.key(1), (2, REPEATS, SMALL, 1))
    return np.asarray(jax.jit(jax.vmap(lambda x, y: squared_mmd(x, y, inverse_multiquadratic)))(x, y + shift))


def run(folder) -> Lesson:
    """Moves one of two normals away from the other."""
    x, y = SCALE * np.random.default_rng(0).normal(size=(2, N))
    found = {
        "W_1 of samples": [wasserstein(x, y + m) for m in SHIFTS],
        "JSD (nats)": [jensen_shannon(masses(0), masses(m)) for m in SHIFTS],
        "TV": [total_variation(masses(0), masses(m)) for m in SHIFTS],
        "MMD of samples": [float(np.sqrt(max(squared_mmd(
            jnp.asarray(x[:1_000, None]), jnp.asarray(y[:1_000, None] + m), inverse_multiquadratic), 0)))
            for m in SHIFTS],
    }
    off = np.abs(np.array(found["W_1 of samples"]) - SHIFTS).max()
    error = SCALE * np.sqrt(2 / N)
    far = SHIFTS >= 4
    slopes = {name: np.polyfit(SHIFTS[far], np.array(values)[far], 1)[0] for name, values in found.items()}
    same, moved = estimates(0.0), estimates(MOVED)
    of_same = estimate(same.tolist())
    numbers = {"W_1: largest difference from the shift": off, "standard error of a difference of means": error,
               "JSD of the farthest": found["JSD (nats)"][-1], "log 2": np.log(2)}
    numbers |= {f"{name}: slope where they do not meet": slope for name, slope in slopes.items()}
    numbers |= {"MMD^2 of one distribution: mean": of_same.mean, "its standard error": of_same.error,
                "share of these estimates below 0": (same < 0).mean(),
                f"MMD^2 at a shift of {MOVED}: mean": moved.mean()}
    holds = (off < 4 * error and abs(slopes["W_1 of samples"] - 1) < 0.01 and abs(slopes["JSD (nats)"]) < 1e-3
             and abs(of_same.mean) < 4 * of_same.error)
    claim = ("W_1 of samples is the shift within four standard errors and grows by 1 where the densities do not meet; "
             "there JSD is flat. MMD^2 of two samples of one distribution is 0 in the mean, within four errors.")
    return Lesson(draw(x, y, found, same, moved), numbers, claim, bool(holds))


def draw(x, y, found, same, moved):
    """Sorted samples of two normals, all distances by the shift, and the estimates of MMD^2."""
    figure, (left, middle, right) = panels(["sorted samples, W_1 between them", "distance by the shift",
                                            f"estimates of MMD^2, {SMALL} samples"])
    u, shift = np.linspace(0, 1, 200), 2.0
    a, b = (np.quantile(v, u) for v in (x, y + shift))
    left.fill_betweenx(u, a, b, color=DATA_COLOUR, alpha=0.3, linewidth=0, label=f"area = {np.abs(a - b).mean():.2f}")
    left.plot(a, u, color=COLOURS[0], linewidth=1.4, label="x")
    left.plot(b, u, color=SAMPLE_COLOUR, linewidth=1.4, label=f"y, shifted by {shift:g}")
    left.set(xlabel="value", ylabel="share of the samples below", ylim=(0, 1))
    for (name, values), colour in zip(found.items(), COLOURS, strict=False):
        middle.plot(SHIFTS, values, color=colour, linewidth=1.4, label=name)
    middle.set(xlabel="shift m", xlim=(0, 6), ylim=(0, 4))
    bins = np.linspace(min(same.min(), moved.min()), max(same.max(), moved.max()), 41)
    for values, colour, label in ((same, COLOURS[0], "one distribution"), (moved, SAMPLE_COLOUR, f"m = {MOVED}")):
        right.hist(values, bins, color=colour, alpha=0.5, label=label)
    right.axvline(0, color="#10151c", linewidth=0.9, linestyle=":")
    right.set(xlabel="MMD^2")
    legends([left, middle, right])
    return render(figure)
