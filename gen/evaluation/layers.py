"""What each layer of a hierarchy of latents holds: its share of the samples' variance, pictures, temperatures."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from gen.data import to_uint8
from gen.evaluation.types import Subject
from gen.families.types import Batch
from gen.figures.grids import image_grid
from gen.rng import stream

ROWS, COLUMNS = 6, 8
"""Layers that are shown at most, and images of each."""

TEMPERATURES = (0.4, 0.6, 0.8, 1.0)
"""Of samples: factors on the scales of p in all layers (Child 2021, figure 5)."""


def variance_below(x: Float[Array | np.ndarray, "n ..."], again: Float[Array | np.ndarray, "n ..."]
                   ) -> Float[Array, ""]:
    """E Var[x | the upper layers], summed over pixels, of pairs that share the upper layers and nothing below them.

    It is half the mean squared distance of the two, as they are independent given what they share.
    """
    return 0.5 * jnp.square(x - again).reshape(len(x), -1).sum(-1).mean()


def shares(below: Sequence[Float[Array, ""] | float]) -> Float[np.ndarray, "l"]:
    """Each layer's share of the variance from the top down: (V_k-1 - V_k) / V_0 for `below` = V_0..V_L.

    V_k is `variance_below` with k layers shared. What two layers do together counts as the lower one's. The shares add
    up to 1 where x is a function of the latents, so that V_L is 0.
    """
    left = np.asarray(below, np.float64)
    return (left[:-1] - left[1:]) / left[0]


def shown(count: int) -> Int[np.ndarray, "k"]:
    """At most `ROWS` of the layers 1 to `count`, the first and the last among them."""
    return np.unique(np.linspace(1, count, min(count, ROWS)).round().astype(int))


def draw(subject: Subject, batch: Batch) -> dict[str, UInt8[np.ndarray, "h w c"]]:
    """The pictures of a hierarchy by name, nothing for other models; `batch` has at least `COLUMNS` examples.

    `top_layers`: examples above what is left of each with the latents of its 1, 2, ... upper layers alone, those below
    at their means given these. `layers`: in each row one sample of the layers above a layer, `COLUMNS` samples of that
    layer, all below at their means; from the top layer down. `temperatures`: samples at `TEMPERATURES`, row by row.
    """
    if "complete" not in subject.methods:
        return {}
    state, x = subject.state, batch["x"][:COLUMNS]
    complete = jax.jit(subject.method("complete"), static_argnums=(3, 4))
    code, key = jax.jit(subject.method("code"))(state, x), stream(state.key, "layers")
    count = len(subject.method("by_layer")(state, code))
    top = [x] + [_decoded(subject, complete(state, key, code, int(k), 0.0)) for k in shown(count)]
    return {"top_layers": _grid(subject, top),
            "layers": _grid(subject, [_decoded(subject, z) for z in of_each_layer(subject, complete, len(x), count)]),
            "temperatures": _grid(subject, [_decoded(subject, complete(state, key, code, 0, t)) for t in TEMPERATURES])}


def of_each_layer(subject: Subject, complete, n: int, count: int) -> list[Float[Array, "n d"]]:
    """For each shown layer from the top: n latents that differ in this layer and in what follows from it below."""
    state, key = subject.state, stream(subject.state.key, "each layer")
    latents = jax.jit(subject.method("latents"), static_argnums=2)(state, key, 1)
    fixed = np.repeat(np.asarray(latents), n, axis=0)
    found = []
    for layer in reversed(shown(count)):
        warmth = tuple(float(i == layer) for i in range(1, count + 1))
        found.append(complete(state, stream(key, "layer", int(layer)), fixed, int(count - layer), warmth))
    return found


def _decoded(subject: Subject, z: Float[Array, "n d"]) -> Float[Array, "n h w c"]:
    return jax.jit(subject.method("decode"))(subject.state, z)


def _grid(subject: Subject, rows: Sequence[Float[Array, "n h w c"]]) -> UInt8[np.ndarray, "h w c"]:
    images = np.concatenate([np.asarray(to_uint8(row, subject.dataset.spec.range)) for row in rows])
    return image_grid(images, rows=len(rows))
