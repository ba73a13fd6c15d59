"""Images with known factors of variation, in the manner of dSprites (Matthey et al. 2017), rendered here.

An image is a function of five independent factors: the kind of shape, its scale, its orientation and its place.
Orientations cover a quarter turn, so that each image has one orientation: a square looks the same after it.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from gen.config.ranges import Count, Seed
from gen.data.limits import check_size
from gen.errors import UserError

Splits = tuple[dict[str, np.ndarray], dict[str, np.ndarray], int]

FACTORS = ("shape", "scale", "orientation", "y", "x")
VALUES = (3, 6, 20, 16, 16)
"""Values of each factor; they are equally likely, and all but the shape's have an order."""

RADIUS = 0.22
"""Of the circle around a shape of scale 1, in sides of the image."""

SCALES, PLACES = (0.5, 1.0), (0.25, 0.75)
"""Ends of the values of the scale, and of those of the centre, in sides of the image."""

SUBPIXELS = 4
CHUNK = 500


def shapes(size: Count = 64, examples: Count = 50_000, test_examples: Count = 10_000, seed: Seed = 0) -> Splits:
    """White squares, ellipses and hearts on black, size x size grey; the label is the shape.

    Examples have a third entry "factors", int32 [n 5]: the index of the value of each of `FACTORS`.

    Args:
      size: of the image's sides, 8 to 256.
      examples, test_examples, seed: each split is drawn once, from its own stream.

    Raises:
      UserError: the numbers describe no such images.
    """
    if not 8 <= size <= 256 or min(examples, test_examples) < 1:
        raise UserError("Shapes need a size of 8 to 256 and at least one example in train and test; config.data has "
                        f"size={size}, examples={examples}, test_examples={test_examples}.")
    check_size(examples + test_examples, size**2)
    train, test = (_draw(np.random.default_rng([seed, split]), size, n)
                   for split, n in enumerate((examples, test_examples)))
    return train, test, VALUES[0]


def _draw(rng: np.random.Generator, size: int, n: int) -> dict[str, np.ndarray]:
    factors = rng.integers(VALUES, size=(n, len(VALUES))).astype(np.int32)
    return {"x": images(factors, size), "label": factors[:, 0].copy(), "factors": factors}


def images(factors: Int[np.ndarray, "n 5"], size: int) -> UInt8[np.ndarray, "n h w 1"]:
    """The images with these values of the factors."""
    parts = [np.asarray(_rendered(factors[first:first + CHUNK], size)) for first in range(0, len(factors), CHUNK)]
    return np.concatenate(parts)[..., None]


@functools.partial(jax.jit, static_argnums=1)
def _rendered(factors: Int[Array, "n 5"], size: int) -> UInt8[Array, "n h w"]:
    return jnp.round(255 * jax.vmap(functools.partial(render, size=size))(factors)).astype(jnp.uint8)


def render(factors: Int[Array | np.ndarray, "5"], size: int) -> Float[Array, "h w"]:
    """One image in [0, 1]: the share of 4 x 4 points of each pixel that lie inside the shape."""
    shape, *rest = factors
    unit = [value / (n - 1) for value, n in zip(rest, VALUES[1:], strict=True)]
    scale, angle = _between(SCALES, unit[0]), jnp.pi / 2 * rest[1] / VALUES[2]
    y, x = (_between(PLACES, place) for place in unit[2:])
    point = (jnp.arange(size * SUBPIXELS) + 0.5) / (size * SUBPIXELS)
    up, right = (y - point)[:, None], (point - x)[None]
    u, v = jnp.cos(angle) * right + jnp.sin(angle) * up, jnp.cos(angle) * up - jnp.sin(angle) * right
    inside = jnp.stack([kind(u / (RADIUS * scale), v / (RADIUS * scale)) for kind in KINDS])[shape]
    return inside.reshape(size, SUBPIXELS, size, SUBPIXELS).mean((1, 3))


def _between(ends: tuple[float, float], share: Float[Array, ""]) -> Float[Array, ""]:
    return ends[0] + (ends[1] - ends[0]) * share


def _square(u: Float[Array, "h w"], v: Float[Array, "h w"]) -> Bool[Array, "h w"]:
    return jnp.maximum(jnp.abs(u), jnp.abs(v)) < 0.5**0.5


def _ellipse(u: Float[Array, "h w"], v: Float[Array, "h w"]) -> Bool[Array, "h w"]:
    """Half as high as wide."""
    return u**2 + (2 * v) ** 2 < 1


def _heart(u: Float[Array, "h w"], v: Float[Array, "h w"]) -> Bool[Array, "h w"]:
    """(u^2 + v^2 - 1)^3 < u^2 v^3, shrunk into the unit circle."""
    u, v = 1.43 * u, 1.43 * v
    return (u**2 + v**2 - 1) ** 3 < u**2 * v**3


KINDS = (_square, _ellipse, _heart)
"""Of shapes inside the unit circle: (u, v), to the right and up, -> whether the point lies inside."""
