"""Draws of the augmentations: numbers for each image, which change nothing unless the image is chosen.

Each is a function of numbers `u` [k b] from U(0, 1), the first of which choose: an image is, with the probability
given. All numbers of an augmentation are drawn at once, so that its program is short.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

Images = Float[Array, "b h w c"]
Option = float | Float[Array, ""]
Numbers = Float[Array, "b"]
Uniform = Float[Array, "k ..."]


def uniform(key: PRNGKeyArray, n: int, k: int) -> Uniform:
    """k numbers for each of n images."""
    return jax.random.uniform(key, (n, k)).T


def sometimes(u: Uniform, probability: Option, drawn: Float[Array, "..."], neutral: float) -> Float[Array, "..."]:
    """What was drawn, of the images chosen, else the number that changes nothing."""
    return jnp.where(u[0] < probability, drawn, neutral)


def integer(u: Uniform, count: int, probability: Option) -> Float[Array, "..."]:
    """Of 0, ..., count - 1, each as likely; or 0."""
    return sometimes(u, probability, jnp.floor(u[1] * count), 0.0)


def factor(u: Uniform, deviation: Option, probability: Option) -> Float[Array, "..."]:
    """2^N(0, deviation^2), or 1."""
    return sometimes(u, probability, jnp.exp2(deviation * gaussian(u[1])), 1.0)


def normal(u: Uniform, deviation: Option, probability: Option) -> Float[Array, "k-1 ..."]:
    """N(0, deviation^2), or 0; as many as there are numbers beside the first."""
    return sometimes(u, probability, deviation * gaussian(u[1:]), 0.0)


def symmetric(u: Uniform, bound: Option, probability: Option) -> Float[Array, "k-1 ..."]:
    """U(-bound, bound), or 0; as many as there are numbers beside the first."""
    return sometimes(u, probability, bound * (2 * u[1:] - 1), 0.0)


def gaussian(u: Float[Array, "..."]) -> Float[Array, "..."]:
    """N(0, 1) of U(0, 1), by the inverse of its distribution."""
    return np.sqrt(2) * jax.scipy.special.erfinv(jnp.maximum(2 * u - 1, np.nextafter(np.float32(-1), np.float32(0))))
