"""The kernel distance KID of two sets of features: the squared maximum mean discrepancy, unbiased.

Source: Binkowski, Sutherland, Arbel & Gretton, Demystifying MMD GANs, 2018.

Kernel k(x, y) = (x . y / d + 1)^3, subsets of 1,000. Unlike the Frechet distance it has no bias, and may be negative.
"""

import numpy as np
from jaxtyping import Float

from gen.errors import UserError

SUBSET = 1_000


def polynomial(x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "n m"]:
    """k(x_i, y_j) = (x_i . y_j / d + 1)^3."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def squared_mmd(x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"]) -> float:
    """The unbiased estimate (Gretton et al. 2012, eq. 3), O((n + m)^2).

    sum_{i != j} k(x_i, x_j) / (n (n - 1)) + sum_{i != j} k(y_i, y_j) / (m (m - 1)) - 2 sum_ij k(x_i, y_j) / (n m)
    """
    def within(a):
        kernel = polynomial(a, a)
        return (kernel.sum() - np.trace(kernel)) / (len(a) * (len(a) - 1))

    return float(within(x) + within(y) - 2 * polynomial(x, y).mean())


def kid(
    samples: Float[np.ndarray, "n d"], reference: Float[np.ndarray, "m d"], subset: int = SUBSET
) -> dict[str, float]:
    """Returns the mean of the estimates on pairs of subsets and, with more than one pair, its standard error.

    The subsets are disjoint, so that their estimates are independent and the error covers the draw of the samples:
    min(n, m) // subset of them, or one of min(n, m) where that is less than a subset. Both sets must be shuffled.

    Raises UserError below two vectors.
    """
    x, y = (np.asarray(features, np.float64) for features in (samples, reference))
    fewest = min(len(x), len(y))
    if fewest < 2:
        raise UserError("A kernel distance needs at least two samples and two reference examples.")
    size = min(subset, fewest)
    blocks = [slice(i * size, (i + 1) * size) for i in range(fewest // size)]
    estimates = np.array([squared_mmd(x[block], y[block]) for block in blocks])
    error = {"kid_se": float(estimates.std(ddof=1) / np.sqrt(len(blocks)))} if len(blocks) > 1 else {}
    return {"kid": float(estimates.mean())} | error
