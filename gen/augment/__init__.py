"""Differentiable augmentation of real and fake images alike (Zhao et al. 2020; Karras et al. 2020).

The discriminator sees only augmented images; the generator's gradient flows through the augmentation. An augmentation
is a function of images [b h w c], differentiable in them, that draws anew for every image. There are two sets of them:

- `DIFFAUGMENT`, functions (x, key, **options) -> x. Each is applied to an image as a whole or not at all.
- `PIPE`, functions (x, key, probability, **options) -> x: the pipe of StyleGAN2-ADA. Each has several operations, which
  are drawn independently: their own probability, an option, is multiplied by that of the augmentation.

The pipes of the released code are {"affine": {}, "color_matrix": {}} for `bgc`, with "bands", "noise" and "hole" for
`bgcfnc`, and {"blit": {}} for `blit`.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from gen.augment.colors import color_matrix
from gen.augment.corruptions import bands, hole, noise
from gen.augment.diffaugment import color, cutout, translation
from gen.augment.draws import Option
from gen.augment.maps import affine, blit
from gen.rng import stream

DIFFAUGMENT = {"color": color, "translation": translation, "cutout": cutout}
"""In the order in which they are applied, that of the published policy "color,translation,cutout"."""

PIPE = {"blit": blit, "affine": affine, "color_matrix": color_matrix, "bands": bands, "noise": noise, "hole": hole}
"""In the order of StyleGAN2-ADA's pipe."""

AUGMENTATIONS = DIFFAUGMENT | PIPE
"""In the order in which they are applied."""


def augmented(x: Float[Array, "b ..."], key: PRNGKeyArray, options: Mapping[str, Mapping[str, Option]],
              value_range: str, probability: Option | None = None) -> Float[Array, "b ..."]:
    """Examples after the augmentations, of images, of which there are options, in the order of `AUGMENTATIONS`.

    Each operation is applied to each image with this probability, times its own, independently (Karras et al. 2020,
    section 2.2); None: 1.

    Strengths, and the 0 that fills what is empty, are for images in [-1, 1], as StyleGAN2 and BigGAN have them. Those
    in [0, 1] (`value_range` "unit") are taken there and back, so that they are augmented the same.
    """
    if not options:
        return x
    unit = value_range == "unit"
    x = 2 * x - 1 if unit else x
    for name in AUGMENTATIONS:
        if name in options:
            x = _one(name, x, stream(key, name), options[name], probability)
    return (x + 1) / 2 if unit else x


def _one(name: str, x: Float[Array, "b ..."], key: PRNGKeyArray, options: Mapping[str, Option],
         probability: Option | None) -> Float[Array, "b ..."]:
    if name in PIPE:
        return PIPE[name](x, key, 1.0 if probability is None else probability, **options)
    moved = DIFFAUGMENT[name](x, key, **options)
    if probability is None:
        return moved
    return jnp.where(jax.random.uniform(stream(key, "whether"), (len(x), 1, 1, 1)) < probability, moved, x)
