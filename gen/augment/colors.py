"""StyleGAN2-ADA's colours as one affine map of each image's pixels (Karras et al. 2020, appendix B)."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from gen.augment import draws
from gen.augment.draws import Images, Numbers, Option
from gen.config.ranges import NonNegative, Probability

GRAY = np.full((3, 3), 1 / 3)
"""The projection P on the axis v = (1, 1, 1) / sqrt(3) of luma."""

CHROMA = np.eye(3) - GRAY
"""The projection Q on the plane of chroma."""

TURN = np.array([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
"""K, with K c = v x c: a quarter turn of that plane."""


def color_matrix(x: Images, key: PRNGKeyArray, probability: Option, brightness: Probability[Option] = 1.0,
                 contrast: Probability[Option] = 1.0, lumaflip: Probability[Option] = 1.0,
                 hue: Probability[Option] = 1.0, saturation: Probability[Option] = 1.0,
                 brightness_std: NonNegative[Option] = 0.2, contrast_std: NonNegative[Option] = 0.5,
                 hue_max: Probability[Option] = 1.0, saturation_std: NonNegative[Option] = 1.0) -> Images:
    """Brightness, contrast, luma flip, hue and saturation of gray or coloured images in [-1, 1], as one matrix.

    Keys without an ending are probabilities; half of the flips that are drawn change nothing. `brightness_std` is added
    to the channels, `contrast_std` and `saturation_std` are deviations of the logarithm to base 2, `hue_max` is 1 for a
    whole circle.
    """
    u = draws.uniform(key, len(x), 10)
    brighter = draws.normal(u[0:2], brightness_std, probability * brightness)[0]
    stronger = draws.factor(u[2:4], contrast_std, probability * contrast)
    flipped = draws.integer(u[4:6], 2, probability * lumaflip)
    angle = draws.symmetric(u[6:8], jnp.pi * hue_max, probability * hue)[0]
    richer = draws.factor(u[8:10], saturation_std, probability * saturation)
    matrix = recoloring(stronger, flipped, angle, richer) if x.shape[-1] == 3 else (
        stronger * (1 - 2 * flipped))[:, None, None]
    x = x + brighter[:, None, None, None]
    return (matrix[:, None, None] * x[..., None, :]).sum(-1)


def recoloring(contrast: Numbers, flip: Numbers, hue: Numbers, saturation: Numbers) -> Float[Array, "b 3 3"]:
    """contrast ((1 - 2 flip) P + saturation (cos(hue) Q + sin(hue) K)), P and Q projections on luma and chroma.

    That is the product of the matrices of the paper, which all keep the axis of luma and its plane: c I for contrast,
    I - 2 P for a flip, P + cos(hue) Q + sin(hue) K for a rotation around the axis, P + s Q for saturation. It is summed
    so that what changes nothing is I to the bit.
    """
    contrast, flip, hue, saturation = (value[:, None, None] for value in (contrast, flip, hue, saturation))
    return contrast * (np.eye(3) - 2 * flip * GRAY + (saturation * jnp.cos(hue) - 1) * CHROMA
                       + saturation * jnp.sin(hue) * TURN)
