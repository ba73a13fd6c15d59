"""StyleGAN2-ADA's geometry: mirrors, turns, shifts and scalings as one affine map of each image's plane.

Karras et al. 2020, appendix B; NVlabs/stylegan2-ada-pytorch, training/augment.py. A map is given by its inverse, a
matrix [b 3 3] that takes homogeneous places (x, y, 1) of the new image to those of the old one, in pixels to the right
of and below the middle. The first operation is the leftmost factor.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from gen.augment import draws
from gen.augment.draws import Images, Option, Uniform
from gen.augment.resampling import Inverse, copied, resampled
from gen.config.ranges import NonNegative, Probability

MatrixEntry = float | Float[Array, "b"]

BLIT_DRAWS, GEOMETRIC_DRAWS = 7, 11
"""Numbers that `blit_map` and `geometric_map` are of."""


def blit(x: Images, key: PRNGKeyArray, probability: Option, xflip: Probability[Option] = 1.0,
         rotate90: Probability[Option] = 1.0, xint: Probability[Option] = 1.0, xint_max: Probability[Option] = 0.125
         ) -> Images:
    """Pixels copied as they are: a mirror, quarter turns, a shift by up to `xint_max` of the sides in whole pixels.

    `xflip`, `rotate90` and `xint` are probabilities of a draw. Half of the mirrors and a quarter of the turns that are
    drawn change nothing. What comes into view is the reflection of the image. `affine` has these operations too.
    """
    u = draws.uniform(key, len(x), BLIT_DRAWS)
    return copied(x, blit_map(u, x.shape, probability, xflip, rotate90, xint, xint_max))


def affine(x: Images, key: PRNGKeyArray, probability: Option, xflip: Probability[Option] = 1.0,
           rotate90: Probability[Option] = 1.0, xint: Probability[Option] = 1.0, xint_max: Probability[Option] = 0.125,
           scale: Probability[Option] = 1.0, rotate: Probability[Option] = 1.0, aniso: Probability[Option] = 1.0,
           xfrac: Probability[Option] = 1.0, scale_std: NonNegative[Option] = 0.2,
           rotate_max: Probability[Option] = 1.0, aniso_std: NonNegative[Option] = 0.2,
           xfrac_std: NonNegative[Option] = 0.125) -> Images:
    """The operations of `blit`, then scaling, rotation, scaling of one side against the other and a shift, in one map.

    Keys without an ending are probabilities. `scale_std` and `aniso_std` are deviations of the logarithm to base 2;
    `rotate_max` is 1 for a whole circle; `xfrac_std` is a part of the sides. What comes into view is the reflection of
    the image, which is resampled once.
    """
    u = draws.uniform(key, len(x), BLIT_DRAWS + GEOMETRIC_DRAWS)
    blits = blit_map(u[:BLIT_DRAWS], x.shape, probability, xflip, rotate90, xint, xint_max)
    others = geometric_map(u[BLIT_DRAWS:], x.shape, probability, scale, rotate, aniso, xfrac, scale_std, rotate_max,
                           aniso_std, xfrac_std)
    return resampled(x, product(blits, others))


def blit_map(u: Uniform, shape: tuple[int, ...], probability: Option, xflip: Option, rotate90: Option,
             xint: Option, xint_max: Option) -> Inverse:
    """The inverse of a mirror, quarter turns and a shift in whole pixels; its entries are whole numbers."""
    _, h, w, _ = shape
    mirrored = draws.integer(u[0:2], 2, probability * xflip)
    turns = draws.integer(u[2:4], 4, probability * rotate90)
    right, down = draws.symmetric(u[4:7], xint_max, probability * xint)
    cos, sin = (jnp.array(values)[turns.astype(int)] for values in ((1.0, 0.0, -1.0, 0.0), (0.0, 1.0, 0.0, -1.0)))
    moved = shift(-jnp.round(right * w), -jnp.round(down * h))
    return product(scaling(1 - 2 * mirrored, 1.0), rotation(cos, sin), moved)


def geometric_map(u: Uniform, shape: tuple[int, ...], probability: Option, scale: Option, rotate: Option,
                  aniso: Option, xfrac: Option, scale_std: Option, rotate_max: Option, aniso_std: Option,
                  xfrac_std: Option) -> Inverse:
    """The inverse of a scaling, a rotation, a scaling of the sides by s and 1 / s, a rotation and a shift.

    Each of the two rotations has the probability 1 - sqrt(1 - p), so that with p there is one.
    """
    _, h, w, _ = shape
    once = 1 - jnp.sqrt(1 - probability * rotate)
    larger = draws.factor(u[0:2], scale_std, probability * scale)
    before, after = (draws.symmetric(u[k:k + 2], jnp.pi * rotate_max, once)[0] for k in (2, 4))
    wider = draws.factor(u[6:8], aniso_std, probability * aniso)
    right, down = draws.normal(u[8:11], xfrac_std, probability * xfrac)
    return product(
        scaling(1 / larger, 1 / larger), rotation(jnp.cos(before), jnp.sin(before)), scaling(1 / wider, wider),
        rotation(jnp.cos(after), jnp.sin(after)), shift(-right * w, -down * h))


def product(*matrices: Inverse) -> Inverse:
    """The product, from the left to the right."""
    return functools.reduce(functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST), matrices)


def scaling(x: MatrixEntry, y: MatrixEntry) -> Inverse:
    """(x, y) times these numbers."""
    return _matrix(x, 0.0, 0.0, 0.0, y, 0.0)


def rotation(cos: MatrixEntry, sin: MatrixEntry) -> Inverse:
    """By an angle from the right downwards."""
    return _matrix(cos, -sin, 0.0, sin, cos, 0.0)


def shift(x: MatrixEntry, y: MatrixEntry) -> Inverse:
    """(x, y) plus these numbers."""
    return _matrix(1.0, 0.0, x, 0.0, 1.0, y)


def _matrix(*entries: MatrixEntry) -> Inverse:
    """Of the first two rows; the third is (0, 0, 1)."""
    entries = jnp.broadcast_arrays(*entries, 0.0, 0.0, 1.0)
    return jnp.stack(entries, -1).reshape(-1, 3, 3)
