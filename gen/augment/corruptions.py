"""What StyleGAN2-ADA's pipe does to images beside geometry and colour: filters, noise, holes.

Karras et al. 2020, appendix B; NVlabs/stylegan2-ada-pytorch, training/augment.py.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from gen.augment import draws
from gen.augment.draws import Images, Option
from gen.augment.resampling import reflected
from gen.config.ranges import NonNegative, Probability
from gen.rng import stream

SYM2 = np.array([1 - np.sqrt(3), 3 - np.sqrt(3), 3 + np.sqrt(3), 1 + np.sqrt(3)]) / (4 * np.sqrt(2))
"""Taps of Daubechies' wavelet with two vanishing moments."""

POWER = np.array([10, 1, 1, 1]) / 13
"""Of natural images in the bands, from the lowest frequencies on."""


def bands(x: Images, key: PRNGKeyArray, probability: Option, imgfilter: Probability[Option] = 1.0,
          imgfilter_std: NonNegative[Option] = 1.0) -> Images:
    """Each of four bands of frequencies amplified with probability `imgfilter`, by 2^N(0, imgfilter_std^2).

    After each draw the sum over bands of gain^2 times the usual power is brought back to 1.
    """
    _, h, w, _ = x.shape
    u = draws.uniform(key, len(x), 2 * len(POWER)).reshape(2, len(POWER), -1)
    drawn = draws.factor(u, imgfilter_std, probability * imgfilter).T
    norms = jnp.sqrt(1 + POWER * (drawn**2 - 1))
    gains = drawn / norms.prod(-1, keepdims=True)
    return jnp.where((gains == 1).all(-1)[:, None, None, None], x, amplified(x, gains))


def amplified(x: Images, gains: Float[Array, "b 4"]) -> Images:
    """Images whose bands are multiplied by their gains, along both axes; they go on as their reflection."""
    product = functools.partial(jnp.einsum, precision=lax.Precision.HIGHEST)
    rows, columns = (product("bk,kij->bij", gains, jnp.asarray(filters(n), x.dtype)) for n in x.shape[1:3])
    return product("bjw,bhwc->bhjc", columns, product("bih,bhwc->biwc", rows, x))


@functools.cache
def filters(n: int) -> np.ndarray:
    """[4, n, n]: the filters of the bands, of n pixels and their reflection."""
    taps = filter_bank()
    found = np.zeros((len(taps), n, n))
    for i in range(n):
        for k in range(taps.shape[1]):
            found[:, i, reflected(i + k - taps.shape[1] // 2, n)] += taps[:, k]
    return found


@functools.cache
def filter_bank() -> np.ndarray:
    """[4, 43]: taps of the bands' filters, from the lowest frequencies on; their sum is an impulse.

    A band is split in two by H(z) H(1 / z) / 2 and H(-z) H(-1 / z) / 2, H being sym2.
    """
    low, high = (np.convolve(taps, taps[::-1]) / 2 for taps in (SYM2, SYM2 * (-1.0) ** np.arange(len(SYM2))))
    bank = np.eye(len(POWER), 1)
    for i in range(1, len(bank)):
        spread = np.zeros((len(bank), 2 * bank.shape[1] - 1))
        spread[:, ::2] = bank
        bank = np.stack([np.convolve(taps, low) for taps in spread])
        middle = bank.shape[1] // 2
        bank[i, middle - len(high) // 2:middle + len(high) // 2 + 1] += high
    return bank


def noise(x: Images, key: PRNGKeyArray, probability: Option, noise: Probability[Option] = 1.0,
          noise_std: NonNegative[Option] = 0.1) -> Images:
    """Adds N(0, s^2) to all pixels with probability `noise`, s being |N(0, noise_std^2)| for each image."""
    u = draws.uniform(stream(key, "deviation"), len(x), 2)
    deviation = jnp.abs(draws.normal(u, noise_std, probability * noise)[0])
    return x + deviation[:, None, None, None] * jax.random.normal(stream(key, "pixels"), x.shape)


def hole(x: Images, key: PRNGKeyArray, probability: Option, cutout: Probability[Option] = 1.0,
         cutout_size: Probability[Option] = 0.5) -> Images:
    """Sets to 0, with probability `cutout`, a window of `cutout_size` of the sides, its middle anywhere in an image."""
    n, h, w, _ = x.shape
    u = draws.uniform(key, n, 3)
    size = draws.sometimes(u, probability * cutout, jnp.asarray(cutout_size), 0.0)[:, None]
    rows, columns = (jnp.abs((np.arange(side) + 0.5) / side - middle[:, None]) < size / 2
                     for side, middle in zip((h, w), u[1:], strict=True))
    return x * ~(rows[:, :, None, None] & columns[:, None, :, None])
