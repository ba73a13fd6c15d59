"""DiffAugment's operations (Zhao et al. 2020): numbers, draws and order are those of the authors' code."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from gen.augment.draws import Images, Option
from gen.config.ranges import NonNegative, Probability


def color(x: Images, key: PRNGKeyArray, brightness: NonNegative[Option] = 0.5,
          saturation: NonNegative[Option] = 2.0, contrast: NonNegative[Option] = 0.5) -> Images:
    """Brightness + U(-b, b), then saturation times U(0, s), then contrast times 1 + U(-c, c).

    Saturation scales the distance to the mean of a pixel's channels, contrast that to the mean of the image.
    """
    shift, saturate, contract = (jax.random.uniform(k, (len(x), 1, 1, 1)) for k in jax.random.split(key, 3))
    x = x + brightness * (2 * shift - 1)
    gray = x.mean(-1, keepdims=True)
    x = gray + saturation * saturate * (x - gray)
    mean = x.mean((1, 2, 3), keepdims=True)
    return mean + (1 + contrast * (2 * contract - 1)) * (x - mean)


def whole(fraction: Option, size: int) -> Float[Array, ""]:
    """A fraction of a side in whole pixels, halves rounded up."""
    return jnp.floor(fraction * size + 0.5)


def translation(x: Images, key: PRNGKeyArray, ratio: Probability[Option] = 0.125) -> Images:
    """Shifts each image by up to `ratio` of its sides, in whole pixels; what comes into view is 0."""
    _, h, w, _ = x.shape
    for axis, (size, k) in enumerate(zip((h, w), jax.random.split(key), strict=True)):
        reach = whole(ratio, size)
        offset = jnp.floor(jax.random.uniform(k, (len(x), 1)) * (2 * reach + 1)) - reach
        source = jnp.arange(size) - offset.astype(jnp.int32)
        inside = (source >= 0) & (source < size)
        shape = [len(x), 1, 1, 1]
        shape[axis + 1] = size
        x = jnp.take_along_axis(x, jnp.clip(source, 0, size - 1).reshape(shape), axis + 1) * inside.reshape(shape)
    return x


def cutout(x: Images, key: PRNGKeyArray, ratio: Probability[Option] = 0.5) -> Images:
    """Sets to 0 a window of `ratio` of each side, in whole pixels, whose middle may be anywhere in the image.

    A window of s pixels begins s // 2 before a place in 0, ..., n - 1, or n where s is even.
    """
    _, h, w, _ = x.shape
    hit = []
    for n, k in zip((h, w), jax.random.split(key), strict=True):
        side = whole(ratio, n)
        low = jnp.floor(jax.random.uniform(k, (len(x), 1)) * (n + 1 - side % 2)) - side // 2
        hit.append((jnp.arange(n) >= low) & (jnp.arange(n) < low + side))
    return x * ~(hit[0][:, :, None, None] & hit[1][:, None, :, None])
