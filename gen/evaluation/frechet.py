"""The Frechet distance between two sets of features, by their means and covariances, in float64.

    d^2 = ||m1 - m2||^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))

the squared 2-Wasserstein distance of the Gaussians N(m1, S1) and N(m2, S2) (Dowson & Landau 1982); of Inception
features it is the FID of Heusel et al. 2017. It is biased upwards, the more the fewer samples: compare equal numbers.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gen.errors import UserError
from gen.evaluation.checks import finite

CHUNK = 1_000


class Moments(NamedTuple):
    """Of n feature vectors: their number, mean [d] and sum of centred outer products [d d], in float64."""

    n: int
    mean: Float[np.ndarray, "d"]
    scatter: Float[np.ndarray, "d d"]

    @property
    def covariance(self) -> Float[np.ndarray, "d d"]:
        """The unbiased estimate, scatter / (n - 1)."""
        return self.scatter / (self.n - 1)


def merged(a: Moments, b: Moments) -> Moments:
    """Moments of both sets together (Chan, Golub & LeVeque 1979)."""
    n, difference = a.n + b.n, b.mean - a.mean
    scatter = a.scatter + b.scatter + np.outer(difference, difference) * (a.n * b.n / n)
    return Moments(n, a.mean + difference * (b.n / n), scatter)


def moments(batches: Iterable[Float[np.ndarray, "_ d"]]) -> Moments:
    """Moments of a stream of batches, of which one at a time is in memory.

    Raises UserError below two vectors, or if one is not finite.
    """
    total = None
    for batch in batches:
        x = finite(np.asarray(batch, np.float64))
        mean = x.mean(0)
        part = Moments(len(x), mean, (x - mean).T @ (x - mean))
        total = part if total is None else merged(total, part)
    if total is None or total.n < 2:
        raise UserError("A covariance needs at least two samples.")
    return total


def squared_distance(
    mean1: Float[np.ndarray, "d"], cov1: Float[np.ndarray, "d d"],
    mean2: Float[np.ndarray, "d"], cov2: Float[np.ndarray, "d d"],
) -> float:
    """Returns d^2 of two Gaussians.

    tr (S1 S2)^(1/2) is the sum of the roots of the eigenvalues of S1^(1/2) S2 S1^(1/2), which is symmetric and positive
    semidefinite, so that singular covariances need no correction.
    """
    root = sqrt(cov1)
    values = np.linalg.eigvalsh(root @ cov2 @ root)
    cross = np.sqrt(np.maximum(values, 0)).sum()
    return float(((mean1 - mean2) ** 2).sum() + np.trace(cov1) + np.trace(cov2) - 2 * cross)


def sqrt(matrix: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    """The symmetric square root of a symmetric positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def fid(samples: Float[np.ndarray, "n d"], reference: Float[np.ndarray, "m d"]) -> dict[str, float]:
    """Returns d^2 of the Gaussians fitted to two sets of features."""
    a, b = (moments(x[i : i + CHUNK] for i in range(0, len(x), CHUNK)) for x in (samples, reference))
    return {"fid": squared_distance(a.mean, a.covariance, b.mean, b.covariance)}
