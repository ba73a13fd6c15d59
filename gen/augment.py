"""Differentiable augmentation of real and fake images alike (Zhao et al. 2020, DiffAugment).

An augmentation is a function (x, key, **options) -> x of images [b h w c], differentiable in x, that draws anew for
every image. The discriminator sees only augmented images; the generator's gradient flows through the augmentation.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

Images = Float[Array, "b h w c"]
Option = float | Float[Array, ""]


def color(x: Images, key: PRNGKeyArray, brightness: Option = 0.5, saturation: Option = 2.0, contrast: Option = 0.5
          ) -> Images:
    """Brightness + U(-b, b), then saturation times U(0, s), then contrast times 1 + U(-c, c).

    Saturation scales the distance to the mean of a pixel's channels, contrast that to the mean of the image.
    """
    shift, saturate, contract = (jax.random.uniform(k, (len(x), 1, 1, 1)) for k in jax.random.split(key, 3))
    x = x + brightness * (2 * shift - 1)
    gray = x.mean(-1, keepdims=True)
    x = gray + saturation * saturate * (x - gray)
    mean = x.mean((1, 2, 3), keepdims=True)
    return mean + (1 + contrast * (2 * contract - 1)) * (x - mean)


def translation(x: Images, key: PRNGKeyArray, ratio: Option = 0.125) -> Images:
    """Shifts each image by up to `ratio` of its sides, in whole pixels; what comes into view is 0."""
    _, h, w, _ = x.shape
    for axis, (size, k) in enumerate(zip((h, w), jax.random.split(key), strict=True)):
        reach = jnp.round(ratio * size)
        offset = jnp.floor(jax.random.uniform(k, (len(x), 1)) * (2 * reach + 1)) - reach
        source = jnp.arange(size) - offset.astype(jnp.int32)
        inside = (source >= 0) & (source < size)
        shape = [len(x), 1, 1, 1]
        shape[axis + 1] = size
        x = jnp.take_along_axis(x, jnp.clip(source, 0, size - 1).reshape(shape), axis + 1) * inside.reshape(shape)
    return x


def cutout(x: Images, key: PRNGKeyArray, ratio: Option = 0.5) -> Images:
    """Sets to 0 a window of `ratio` of each side, its centre anywhere in the image."""
    _, h, w, _ = x.shape
    keys = jax.random.split(key)
    centre = [jnp.floor(jax.random.uniform(k, (len(x), 1)) * (n + 1)) for n, k in zip((h, w), keys, strict=True)]
    low = [c - jnp.floor(ratio * n / 2) for c, n in zip(centre, (h, w), strict=True)]
    hit = [(jnp.arange(n) >= a) & (jnp.arange(n) < a + jnp.round(ratio * n))
           for n, a in zip((h, w), low, strict=True)]
    return x * ~(hit[0][:, :, None, None] & hit[1][:, None, :, None])


AUGMENTATIONS = {"color": color, "translation": translation, "cutout": cutout}
