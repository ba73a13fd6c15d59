"""Draws of the augmentations: numbers for each image, which change nothing unless the image is chosen.

The first axis of a shape is that of the images.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from gen.rng import stream

Images = Float[Array, "b h w c"]
Option = float | Float[Array, ""]
Draws = Float[Array, "b ..."]


def sometimes(key: PRNGKeyArray, probability: Option, drawn: Draws, neutral: float) -> Draws:
    """What was drawn, of each image with this probability, else the number that changes nothing."""
    chosen = jax.random.uniform(stream(key, "whether"), drawn.shape[:1]) < probability
    return jnp.where(chosen.reshape(-1, *[1] * (drawn.ndim - 1)), drawn, neutral)


def integer(key: PRNGKeyArray, shape: tuple[int, ...], count: int, probability: Option) -> Draws:
    """Of 0, ..., count - 1, each as likely; or 0."""
    return sometimes(key, probability, jnp.floor(jax.random.uniform(key, shape) * count), 0.0)


def factor(key: PRNGKeyArray, shape: tuple[int, ...], deviation: Option, probability: Option) -> Draws:
    """2^N(0, deviation^2), or 1."""
    return sometimes(key, probability, jnp.exp2(deviation * jax.random.normal(key, shape)), 1.0)


def normal(key: PRNGKeyArray, shape: tuple[int, ...], deviation: Option, probability: Option) -> Draws:
    """N(0, deviation^2), or 0."""
    return sometimes(key, probability, deviation * jax.random.normal(key, shape), 0.0)


def symmetric(key: PRNGKeyArray, shape: tuple[int, ...], bound: Option, probability: Option) -> Draws:
    """U(-bound, bound), or 0."""
    return sometimes(key, probability, bound * (2 * jax.random.uniform(key, shape) - 1), 0.0)
