"""Divergences between densities, and between samples; in nats where a logarithm is in them.

A density is its masses in bins, p_i = F(e_(i+1)) - F(e_i): KL, JSD and TV of the masses are never above those of the
densities, and tend to them as the bins shrink. Samples are compared as histograms, by `wasserstein`, by `squared_mmd`.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Array, Float
from scipy.special import rel_entr

from gen.probability.densities import Masses

Points = Float[Array | np.ndarray, "_ d"]
Kernel = Callable[[Points, Points], Float[Array | np.ndarray, "n m"]]


def kl(p: Masses, q: Masses) -> float:
    """KL(p || q) = sum p log(p / q), infinite where p has mass and q has none.

    In q it is smallest where q covers all of p, in p where p hides in a mode of q (Bishop 2006, section 10.1.2).
    """
    return float(rel_entr(p, q).sum())


def jensen_shannon(p: Masses, q: Masses) -> float:
    """JSD(p || q) = KL(p || m) / 2 + KL(q || m) / 2 with m = (p + q) / 2, in nats, between 0 and log 2."""
    middle = (p + q) / 2
    return (kl(p, middle) + kl(q, middle)) / 2


def total_variation(p: Masses, q: Masses) -> float:
    """TV(p, q) = sum |p - q| / 2, the greatest difference of the probability of an event, between 0 and 1."""
    return float(np.abs(p - q).sum() / 2)


def wasserstein(x: Float[np.ndarray, "n"], y: Float[np.ndarray, "m"], p: Float[np.ndarray, "n"] | None = None,
                q: Float[np.ndarray, "m"] | None = None) -> float:
    """W_1 = integral |F - G| = integral |F^-1 - G^-1| on the line, of samples x and y with masses p and q, exactly.

    Equal masses where none are given. The masses of a density belong to the centres of its bins.
    """
    from scipy.stats import wasserstein_distance  # a second to import, which every command would take

    return float(wasserstein_distance(x, y, p, q))


def kl_gaussian(mean1: Float[np.ndarray, "*n d"], cov1: Float[np.ndarray, "*n d d"],
                mean2: Float[np.ndarray, "*n d"], cov2: Float[np.ndarray, "*#n d d"]) -> Float[np.ndarray, "*n"]:
    """KL(N(m1, S1) || N(m2, S2)) = (tr S2^-1 S1 + (m2 - m1)' S2^-1 (m2 - m1) - d + log det S2 / det S1) / 2."""
    precision, shift = np.linalg.inv(cov2), mean2 - mean1
    trace = np.einsum("...ij,...ji", precision, cov1)
    square = np.einsum("...i,...ij,...j", shift, precision, shift)
    volume = np.linalg.slogdet(cov2)[1] - np.linalg.slogdet(cov1)[1]
    return (trace + square - mean1.shape[-1] + volume) / 2


def squared_mmd(x: Points, y: Points, kernel: Kernel):
    """The unbiased estimate of MMD^2 (Gretton et al. 2012, eq. 3), a scalar, O((n + m)^2).

    sum_{i != j} k(x_i, x_j) / (n (n - 1)) + sum_{i != j} k(y_i, y_j) / (m (m - 1)) - 2 sum_ij k(x_i, y_j) / (n m)
    """
    def within(a):
        values = kernel(a, a)
        return (values.sum() - values.trace()) / (len(a) * (len(a) - 1))

    return within(x) + within(y) - 2 * kernel(x, y).mean()


def polynomial(x: Points, y: Points):
    """k(x_i, y_j) = (x_i . y_j / d + 1)^3 [n m] (Binkowski et al. 2018, section 4)."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def inverse_multiquadratic(x: Points, y: Points):
    """k(a, b) = sum_s C / (C + |a - b|^2) [n m], C = 2 d s, s in 0.1, 0.2, 0.5, 1, 2, 5, 10.

    Tolstikhin et al. 2018, section 4.
    """
    distance = ((x[:, None] - y[None]) ** 2).sum(-1)
    return sum(c / (c + distance) for c in (2 * x.shape[1] * s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10)))
