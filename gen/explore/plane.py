"""What points of the plane are shown on, and the colours by which the latents show where they go."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from gen.data import Dataset
from gen.figures import sample_picture, scene
from gen.figures.points import Limits, plot_limits
from gen.runs import Run

POINTS = 2_000
"""Samples on the picture, and test examples."""

LIGHTEST, DARKEST, CHROMA = 0.96, 0.66, 0.15
"""Lightness in the middle of the plane and at its border, and chroma there, in OKLCH."""

LMS = np.array([[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]])
RGB = np.array([[4.0767416621, -3.3077115913, 0.2309699292], [-1.2684380046, 2.6097574011, -0.3413193965],
                [-0.0041960863, -0.7034186147, 1.7076147010]])
"""From OKLab to the cube roots of cone responses, and from these responses to linear sRGB (Ottosson, 2020)."""


class Stage(NamedTuple):
    """What points are shown on: a picture of the data and of samples in the colours of their places, and its limits."""

    picture: UInt8[np.ndarray, "h w c"]
    limits: Limits


def stage(run: Run, dataset: Dataset) -> Stage:
    """The stage of a run whose examples are points of the plane."""
    data, samples = dataset.test["x"][:POINTS], run.sample(POINTS)
    shown = scene(run.config, run.program.family.methods, run.state, data)
    limits = plot_limits(data)
    return Stage(sample_picture(samples, run.spec, limits=limits, colours=colours(samples, limits), **shown), limits)


def colours(points: Float[np.ndarray, "n 2"], limits: Limits) -> UInt8[np.ndarray, "n 3"]:
    """The sRGB colour of each place: its hue is the direction from the middle of the picture, paler near the middle.

    Equal steps look about equal, because the colours are taken from OKLCH. Beyond the border the colour stays.
    """
    left, right, bottom, top = limits
    x, y = ((points - ((left + right) / 2, (bottom + top) / 2)) / ((right - left) / 2, (top - bottom) / 2)).T
    radius, angle = np.minimum(np.hypot(x, y), 1), np.arctan2(y, x)
    lightness, chroma = LIGHTEST - (LIGHTEST - DARKEST) * radius, CHROMA * radius
    lab = np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], -1)
    linear = np.clip((lab @ LMS.T) ** 3 @ RGB.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.uint8(np.round(255 * encoded))
