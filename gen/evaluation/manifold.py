"""Precision, recall, density and coverage: two sets of features compared by balls to the k-th nearest neighbours.

Improved precision and recall (Kynkaanniemi et al. 2019, eq. 1-2), density and coverage (Naeem et al. 2020, eq. 4, 6).
Distances are Euclidean, in float64, and computed in chunks of rows, so that memory grows linearly.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from gen.errors import UserError
from gen.evaluation.checks import NEIGHBOURS, finite

ROWS = 500


def distances(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"], rows: int = ROWS
) -> Iterator[tuple[slice, Float[np.ndarray, "r m"]]]:
    """Yields (rows of x, their squared distances to all of y), a chunk at a time.

    ||x - y||^2 = ||x||^2 + ||y||^2 - 2 x . y, about the mean of y, where its rounding is least.
    """
    centre = y.mean(0)
    x, y = x - centre, y - centre
    x_norm, y_norm = (x * x).sum(1), (y * y).sum(1)
    for first in range(0, len(x), rows):
        chunk = slice(first, min(first + rows, len(x)))
        squared = x[chunk] @ (-2 * y.T)
        squared += x_norm[chunk, None]
        squared += y_norm
        yield chunk, np.maximum(squared, 0, out=squared)


def radii(x: Float[np.ndarray, "n d"], k: int) -> Float[np.ndarray, "n"]:
    """Squared distance of each vector to its k-th nearest other one."""
    result = np.empty(len(x))
    for chunk, squared in distances(x, x):
        squared[np.arange(len(squared)), np.arange(chunk.start, chunk.stop)] = 0
        result[chunk] = np.partition(squared, k, axis=1)[:, k]
    return result


def prdc(
    samples: Float[np.ndarray, "n d"], reference: Float[np.ndarray, "m d"], k: int = NEIGHBOURS
) -> dict[str, float]:
    """Returns precision, recall, density and coverage; B(x) is the open ball around x to its k-th nearest neighbour.

    precision: share of samples in some B(real example). recall: share of real examples in some B(sample).
    density: mean over samples of the number of B(real example) that hold it, over k.
    coverage: share of real examples whose B holds a sample.

    Raises UserError where a set has k or fewer vectors, or one that is not finite.
    """
    if min(len(samples), len(reference)) <= k:
        raise UserError(f"Precision and recall with k = {k} need more than {k} samples and reference examples.")
    fake, real = (finite(np.asarray(features, np.float64)) for features in (samples, reference))
    real_radii, fake_radii = radii(real, k), radii(fake, k)
    holding = np.zeros(len(fake), np.int64)
    recalled, covered = np.zeros(len(real), bool), np.zeros(len(real), bool)
    for chunk, squared in distances(real, fake):
        inside = squared < real_radii[chunk, None]
        holding += inside.sum(0)
        covered[chunk] = inside.any(1)
        recalled[chunk] = (squared < fake_radii).any(1)
    return {
        "precision": float((holding > 0).mean()),
        "recall": float(recalled.mean()),
        "density": float(holding.mean() / k),
        "coverage": float(covered.mean()),
    }
