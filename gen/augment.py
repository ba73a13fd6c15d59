"""Differentiable augmentation of real and fake images alike (Zhao et al. 2020, DiffAugment).

An augmentation is a function (x, key, **options) -> x of images [b h w c], differentiable in x, that draws anew for
every image. The discriminator sees only augmented images; the generator's gradient flows through the augmentation.
Numbers, draws and order are those of the authors' code.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from gen.config.ranges import NonNegative, Probability
from gen.rng import stream

Images = Float[Array, "b h w c"]
Option = float | Float[Array, ""]


def augmented(x: Float[Array, "b ..."], key: PRNGKeyArray, options: Mapping[str, Mapping[str, Option]],
              value_range: str, probability: Option | None = None) -> Float[Array, "b ..."]:
    """Examples after the augmentations, of images, of which there are options, in the order of `AUGMENTATIONS`.

    Each is applied to each image with this probability, independently (Karras et al. 2020, section 2.2); None: always.

    Strengths, and the 0 that fills what is empty, are for images in [-1, 1], as StyleGAN2 and BigGAN have them with
    DiffAugment. Those in [0, 1] (`value_range` "unit") are taken there and back, so that they are augmented the same.
    """
    if not options:
        return x
    unit = value_range == "unit"
    x = 2 * x - 1 if unit else x
    for name in AUGMENTATIONS:
        if name in options:
            own = stream(key, name)
            moved = AUGMENTATIONS[name](x, own, **options[name])
            if probability is not None:
                moved = jnp.where(jax.random.uniform(stream(own, "whether"), (len(x), 1, 1, 1)) < probability, moved, x)
            x = moved
    return (x + 1) / 2 if unit else x


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


AUGMENTATIONS = {"color": color, "translation": translation, "cutout": cutout}
"""In the order in which they are applied, that of the published policy "color,translation,cutout"."""
