"""Mixtures of Gaussians, in the plane the classic test of mode collapse (Lin et al., PacGAN, 2018, section 4.1)."""

import inspect
from collections.abc import Callable, Mapping

import numpy as np
from ml_collections import ConfigDict
from scipy.special import logsumexp, ndtr

from gen.config.ranges import Count, NonNegative, Positive, Seed
from gen.data.limits import check_modes, check_size
from gen.errors import UserError, lookup

Splits = tuple[dict[str, np.ndarray], dict[str, np.ndarray], int]


def ring(
    modes: Count = 8,
    radius: NonNegative[float] = 1.0,
    std: NonNegative[float] = 0.01,
    examples: Count = 100_000,
    test_examples: Count = 10_000,
    seed: Seed = 0,
) -> Splits:
    """Equal Gaussians N(mean_i, std^2 I) with mean_i = radius (cos, sin)(2 pi i / modes), i = 0, ..., modes - 1.

    The points are drawn once, with `seed`; the test points are an independent draw. The label is the component.

    Returns:
      train, test, number of components. Raises UserError for numbers that describe no mixture.
    """
    return _draw(ring_means(modes, radius), std, examples, test_examples, seed)


def grid(
    side: Count = 5,
    spacing: Positive[float] = 2.0,
    std: Positive[float] = 0.05,
    examples: Count = 100_000,
    test_examples: Count = 10_000,
    seed: Seed = 0,
) -> Splits:
    """Equal Gaussians on a square grid of side x side means, `spacing` apart and centred on 0.

    The defaults are the 25 modes {-4, -2, 0, 2, 4}^2. Draws, labels, results and errors are those of `ring`.
    """
    return _draw(grid_means(side, spacing), std, examples, test_examples, seed)


def line(
    modes: Count = 2,
    spacing: Positive[float] = 3.0,
    std: Positive[float] = 0.5,
    examples: Count = 100_000,
    test_examples: Count = 10_000,
    seed: Seed = 0,
) -> Splits:
    """Equal Gaussians on the real line, examples of shape [1]: means `spacing` apart and centred on 0.

    Draws, labels, results and errors are those of `ring`.
    """
    return _draw(line_means(modes, spacing), std, examples, test_examples, seed)


def ring_means(modes: int, radius: float) -> np.ndarray:
    """Returns the means [modes 2]. The angle 2 pi is left out: it is the angle 0 again."""
    check_modes(modes)
    angle = 2 * np.pi * np.arange(modes) / modes
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def grid_means(side: int, spacing: float) -> np.ndarray:
    """Returns the means [side^2 2], row by row."""
    check_modes(side**2)
    line = spacing * (np.arange(side) - (side - 1) / 2)
    return np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)


def line_means(modes: int, spacing: float) -> np.ndarray:
    """Returns the means [modes 1], in order."""
    check_modes(modes)
    return spacing * (np.arange(modes) - (modes - 1) / 2)[:, None]


MIXTURES = {"ring": (ring, ring_means), "grid": (grid, grid_means), "line": (line, line_means)}
"""Name to (source, function of some of the source's arguments that returns the means)."""


def components(data_config: Mapping | ConfigDict) -> tuple[np.ndarray, float]:
    """Returns the means [m d] and the standard deviation of the mixture that a `config.data` describes.

    Options that the config leaves out take the source's defaults. Raises UserError where the data is no mixture.
    """
    source, means = lookup(MIXTURES, data_config["name"], "mixture")
    defaults = {name: option.default for name, option in inspect.signature(source).parameters.items()}
    options = {name: data_config.get(name, default) for name, default in defaults.items()}
    return means(**{name: options[name] for name in inspect.signature(means).parameters}), options["std"]


def log_density(data_config: Mapping | ConfigDict) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the function from points [n d] to log p(x) [n], in nats, of the mixture that a `config.data` describes.

    log p(x) = logsumexp_i(-|x - mean_i|^2 / (2 std^2)) - log m - d/2 log(2 pi std^2). Raises UserError where the data
    is no mixture, or std is 0.
    """
    means, std = components(data_config)
    if std == 0:
        raise UserError("A mixture with config.data.std=0 has no density.")
    constant = np.log(len(means)) + means.shape[1] / 2 * np.log(2 * np.pi * std**2)

    def log_p(x: np.ndarray) -> np.ndarray:
        squares = np.square(np.asarray(x, np.float64)[:, None] - means).sum(-1)
        return logsumexp(-squares / (2 * std**2), axis=1) - constant

    return log_p


def cdf(data_config: Mapping | ConfigDict) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the distribution function of a mixture on the line: x [n] to mean_i Phi((x - mean_i) / std) [n]."""
    means, std = components(data_config)
    return lambda x: ndtr((np.asarray(x, np.float64)[:, None] - means[:, 0]) / std).mean(1)


def _draw(means: np.ndarray, std: float, examples: int, test_examples: int, seed: int) -> Splits:
    """Draws both splits, each from its own stream, so that the size of one does not change the other."""
    if len(means) < 1 or std < 0 or min(examples, test_examples) < 1:
        raise UserError(
            "A mixture needs at least one mode, std >= 0, and at least one example in train and test; config.data has "
            f"{len(means)} modes, std={std}, examples={examples}, test_examples={test_examples}."
        )
    check_size(examples + test_examples, 8 * means.shape[1])
    train, test = (
        _points(np.random.default_rng([seed, split]), means, std, n)
        for split, n in enumerate((examples, test_examples))
    )
    return train, test, len(means)


def _points(rng: np.random.Generator, means: np.ndarray, std: float, n: int) -> dict[str, np.ndarray]:
    label = rng.integers(len(means), size=n)
    x = means[label] + std * rng.standard_normal((n, means.shape[1]))
    return {"x": x.astype(np.float32), "label": label.astype(np.int32)}
