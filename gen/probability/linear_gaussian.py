"""The latent-variable model in which everything is known: x = W z + m + scale eps, z and eps standard normal.

Probabilistic principal components (Tipping & Bishop 1999), and the VAE whose networks are linear (Lucas et al. 2019).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats


class LinearGaussian(NamedTuple):
    """p(z) = N(0, I), p(x|z) = N(W z + m, scale^2 I); float64."""

    weights: Float[np.ndarray, "d l"]
    mean: Float[np.ndarray, "d"]
    scale: float

    def sample(self, rng: np.random.Generator, n: int) -> tuple[Float[np.ndarray, "n l"], Float[np.ndarray, "n d"]]:
        """Ancestral samples of p(x, z): z ~ p(z), then x ~ p(x|z)."""
        z = rng.normal(size=(n, self.weights.shape[1]))
        return z, z @ self.weights.T + self.mean + self.scale * rng.normal(size=(n, len(self.mean)))

    def log_likelihood(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n"]:
        """log p(x) = log N(x; m, W W' + scale^2 I), the latents integrated out (Tipping & Bishop 1999, eq. 4)."""
        covariance = self.weights @ self.weights.T + self.scale**2 * np.eye(len(self.mean))
        return np.atleast_1d(stats.multivariate_normal(self.mean, covariance).logpdf(x))

    def posterior(self, x: Float[np.ndarray, "n d"]) -> tuple[Float[np.ndarray, "n l"], Float[np.ndarray, "l l"]]:
        """Mean and covariance of p(z|x) = N(S W' (x - m) / scale^2, S), S = (I + W' W / scale^2)^-1.

        Tipping & Bishop 1999, eq. 6 and 7.
        """
        w = self.weights / self.scale
        covariance = np.linalg.inv(np.eye(w.shape[1]) + w.T @ w)
        return (x - self.mean) @ (w / self.scale) @ covariance, covariance


def principal_components(x: Float[np.ndarray, "n d"], latents: int, scale: float) -> LinearGaussian:
    """The model of greatest likelihood at this scale: W = U (L - scale^2 I)^(1/2), m the mean of x.

    U and L are the first eigenvectors and eigenvalues of the covariance of x; a direction whose variance is below
    scale^2 has no latent (Tipping & Bishop 1999, eq. 7).
    """
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    largest = np.argsort(-values)[:latents]
    return LinearGaussian(vectors[:, largest] * np.sqrt(np.maximum(values[largest] - scale**2, 0)), x.mean(0), scale)
