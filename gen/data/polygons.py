"""Images of regular polygons: a data set that is a known manifold, so that precision and recall can be exact.

The idea of Lucic et al., Are GANs Created Equal?, 2018, section 5 (there: triangles, and distances by descent). An
image is a function of its number of corners k, its centre and its angle, rendered with anti-aliasing. All centres in a
square and all angles in [0, 2 pi / k) are equally likely. `project` finds the nearest image of the manifold and its
parameters.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from gen.config.ranges import Count, Positive, Seed
from gen.data.limits import check_size
from gen.errors import UserError
from gen.precision import exact

Splits = tuple[dict[str, np.ndarray], dict[str, np.ndarray], int]

SIDES, SIZE, RADIUS = (3, 4, 5), 28, 7.0
CHUNK = 500
ITERATIONS = 4
"""Gauss-Newton steps of a projection; on the manifold three reach single precision."""


class Pose(NamedTuple):
    """Parameters of polygons.

    Attributes:
      centre: (row, column) in pixels, [n 2].
      angle: of the first side's normal, in radians modulo 2 pi / k, [n].
      sides: k, [n].
    """

    centre: Float[Array | np.ndarray, "n 2"]
    angle: Float[Array | np.ndarray, "n"]
    sides: Int[Array | np.ndarray, "n"]


class Projection(NamedTuple):
    """Attributes:
    pose: of the nearest polygon found.
    distance: ||image - polygon|| / ||polygon||, both in [0, 1], L2 over pixels, [n].
    """

    pose: Pose
    distance: Float[np.ndarray, "n"]


def polygons(
    sides: tuple[Count, ...] = SIDES,
    size: Count = SIZE,
    radius: Positive[float] = RADIUS,
    examples: Count = 60_000,
    test_examples: Count = 10_000,
    seed: Seed = 0,
) -> Splits:
    """White regular polygons on black, size x size grey; the label is the index of k in `sides`.

    Args:
      sides: numbers of corners, equally likely.
      radius: of the circle through the corners, in pixels; polygons lie wholly inside the image.
      examples, test_examples, seed: each split is drawn once, from its own stream.

    Raises:
      UserError: the numbers describe no such images.
    """
    possible = sides and 3 <= min(sides) <= max(sides) <= 100 and 0 < 2 * margin(radius) < size <= 256
    if not possible or min(examples, test_examples) < 1:
        raise UserError(
            "Polygons need 3 to 100 sides, a radius with 2 (radius + 1) < size <= 256, and at least one example in "
            f"train and test; config.data has sides={sides}, size={size}, radius={radius}, examples={examples}, "
            f"test_examples={test_examples}."
        )
    check_size(examples + test_examples, size**2)
    train, test = (
        _draw(np.random.default_rng([seed, split]), tuple(sides), size, radius, n)
        for split, n in enumerate((examples, test_examples))
    )
    return train, test, len(sides)


def margin(radius: float) -> float:
    """Least distance of a centre from the border, in pixels."""
    return radius + 1


def _draw(rng: np.random.Generator, sides: tuple[int, ...], size: int, radius: float, n: int) -> dict[str, np.ndarray]:
    label = rng.integers(len(sides), size=n).astype(np.int32)
    centre = rng.uniform(margin(radius), size - margin(radius), (n, 2)).astype(np.float32)
    k = np.asarray(sides, np.int32)[label]
    angle = (rng.uniform(size=n) * 2 * np.pi / k).astype(np.float32)
    return {"x": _pixels(Pose(centre, angle, k), size, radius, max(sides)), "label": label}


def _pixels(pose: Pose, size: int, radius: float, most: int) -> UInt8[np.ndarray, "n h w 1"]:
    parts = []
    for first in range(0, len(pose.angle), CHUNK):
        part = Pose(*(values[first : first + CHUNK] for values in pose))
        parts.append(np.asarray(jnp.round(255 * _rendered(part, size, radius, most)).astype(jnp.uint8)))
    return np.concatenate(parts)[..., None]


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
@exact
def _rendered(pose: Pose, size: int, radius: float, most: int) -> Float[Array, "n h w"]:
    return jax.vmap(lambda c, a, k: render(jnp.append(c, a), k, size, radius, most))(*pose)


def render(place: Float[Array | np.ndarray, "3"], sides: Int[Array, ""] | int, size: int, radius: float,
           most: int) -> Float[Array, "h w"]:
    """One polygon in [0, 1]: at pixel p the value clip(1/2 - max_e (n_e . (p - c) - a), 0, 1).

    n_e = (cos, sin)(angle + 2 pi e / k) are the normals of the sides and a = radius cos(pi / k) is their distance from
    the centre c: the share of a pixel that lies inside, exact where a single side parallel to the axes crosses it.

    Args:
      place: (row, column, angle).
      sides: k; `most` is the largest one there may be.
    """
    pixel = jnp.arange(size) + 0.5
    normal = place[2] + 2 * jnp.pi * (jnp.arange(most) % sides) / sides
    row, column = (pixel - place[0])[:, None, None], (pixel - place[1])[None, :, None]
    beyond = row * jnp.cos(normal) + column * jnp.sin(normal) - radius * jnp.cos(jnp.pi / sides)
    # The derivative of max looks for its operand equal to it: NaN where XLA computes that twice and rounds in two ways.
    outermost = jnp.take_along_axis(beyond, beyond.argmax(-1, keepdims=True), -1)[..., 0]
    return jnp.clip(0.5 - outermost, 0, 1)


def project(x: Float[np.ndarray, "n h w 1"], sides: tuple[int, ...] = SIDES, radius: float = RADIUS) -> Projection:
    """Returns the polygon nearest to each image in [0, 1] and its relative distance.

    For every k the start is (centre of mass, angle of the k-th moment), exact up to anti-aliasing for polygons; then
    Gauss-Newton steps on ||image - render||^2. The distance is that of the best iterate over all k: exact on the
    manifold, an upper bound elsewhere.
    """
    parts = []
    for first in range(0, len(x), CHUNK):
        chunk = x[first : first + CHUNK, ..., 0]
        filled = np.zeros((CHUNK, *chunk.shape[1:]), np.float32)
        filled[: len(chunk)] = chunk
        parts.append([np.asarray(values)[: len(chunk)] for values in _projected(filled, tuple(sides), radius)])
    place, k, distance = (np.concatenate(values) for values in zip(*parts, strict=True))
    return Projection(Pose(place[:, :2], place[:, 2] % (2 * np.pi / k), k), distance)


@functools.partial(jax.jit, static_argnums=(1, 2))
@exact
def _projected(x: Float[Array, "n h w"], sides: tuple[int, ...], radius: float):
    """Parameters [n 3], k [n] and distance [n] of the best polygon over all k."""
    found = [jax.vmap(functools.partial(_nearest, k=k, radius=radius))(x) for k in sides]
    places, distances = jnp.stack([place for place, _ in found]), jnp.stack([distance for _, distance in found])
    best, image = distances.argmin(0), jnp.arange(len(x))
    return places[best, image], jnp.asarray(sides)[best], distances[best, image]


def _nearest(x: Float[Array, "h w"], k: int, radius: float) -> tuple[Float[Array, "3"], Float[Array, ""]]:
    """The nearest polygon with k corners and its relative distance."""
    def image(place):
        return render(place, k, x.shape[0], radius, k).ravel()

    def improve(place, _):
        jacobian, rest = jax.jacfwd(image)(place), x.ravel() - image(place)
        step = jnp.linalg.solve(jacobian.T @ jacobian + 1e-3 * jnp.eye(3), jacobian.T @ rest)
        return place + jnp.clip(step, -1, 1), (place, jnp.linalg.norm(rest) / jnp.linalg.norm(image(place)))

    _, (places, distances) = jax.lax.scan(improve, _start(x, k), length=ITERATIONS + 1)
    best = jnp.nan_to_num(distances, nan=jnp.inf).argmin()
    return places[best], distances[best]


def _start(x: Float[Array, "h w"], k: int) -> Float[Array, "3"]:
    """Centre of mass, and the angle at which sum_p x_p (p - centre)^k, complex, points between two normals."""
    pixel, mass = jnp.arange(len(x)) + 0.5, jnp.maximum(x.sum(), 1e-6)
    row, column = (x.sum(1) * pixel).sum() / mass, (x.sum(0) * pixel).sum() / mass
    z = ((pixel - row)[:, None] + 1j * (pixel - column)) ** k
    moment = (x * z).sum()
    return jnp.stack([row, column, (jnp.arctan2(moment.imag, moment.real) - jnp.pi) / k])
