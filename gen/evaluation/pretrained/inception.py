"""Inception v3 of 2015-12-05, the network of the FID: 299x299 pixels to 2,048 features and 1,008 logits.

Szegedy et al. 2016, with three peculiarities of the graph that TensorFlow published on that day: average pools divide
by the number of pixels that are there, the pool of the last block is a maximum, and there are 1,008 logits. Layers have
the names of the checkpoints of pytorch-fid and torch-fidelity.

Batch norm (eps 1e-3) is folded into the convolutions in float64 (`folded`): a unit is a convolution with a bias, then
ReLU.
"""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict
from jax import lax
from jaxtyping import Array, Float, PyTree

from gen.networks.layers import Conv, Dense

SIDE = 299
FEATURES, LOGITS = 2_048, 1_008
SPATIAL_CHANNELS, SPATIAL_SIDE = 7, 17
SPATIAL = SPATIAL_CHANNELS * SPATIAL_SIDE**2
"""Of the map `mixed_6/conv`, the first branch of Mixed_6d, which sFID takes."""

EPSILON = 1e-3
"""Of batch norm."""


class Outputs(NamedTuple):
    """What scores are made of.

    Attributes:
      features: of the last block, averaged over its 8x8 positions.
      logits: without the bias, as the Inception score has them.
      spatial: the first 7 channels of `mixed_6/conv`, positions first.
    """

    features: Float[Array, "n 2048"]
    logits: Float[Array, "n 1008"]
    spatial: Float[Array, "n 2023"]


class Unit(nn.Module):
    """A convolution with its folded batch norm, then ReLU."""

    features: int
    size: tuple[int, int]
    strides: int = 1
    padding: str = "SAME"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 f"]:
        return nn.relu(Conv(self.features, self.size, self.strides, self.padding, name="conv")(x))


def pooled(x: Float[Array, "n h w c"], combine, padding: float | None = None, stride: int = 1
           ) -> Float[Array, "n h2 w2 c"]:
    """Combines 3x3 pixels, rows first then columns; `padding` is the value of one pixel around, None for none."""
    if padding is not None:
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=padding)
    for axis in (1, 2):
        last = x.shape[axis] - 2
        a, b, c = (lax.slice_in_dim(x, i, last + i, stride, axis) for i in range(3))
        x = combine(combine(a, b), c)
    return x


def average_pool(x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """The mean of the 3x3 pixels around each one, of those that are in the image."""
    count = pooled(jnp.ones((1, *x.shape[1:3], 1), x.dtype), jnp.add, 0.0)
    return pooled(x, jnp.add, 0.0) / count


def max_pool(x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
    """The largest of 3x3 pixels, in steps of two."""
    return pooled(x, jnp.maximum, stride=2)


def chain(x: Float[Array, "n h w c"], name: str, *units: tuple) -> Float[Array, "n h2 w2 f"]:
    """Units one after the other, named name_1, name_2, ...; to call within a module."""
    for i, unit in enumerate(units, 1):
        x = Unit(*unit, name=f"{name}_{i}")(x)
    return x


def joined(*branches: Float[Array, "n h w _"]) -> Float[Array, "n h w c"]:
    """Channels side by side."""
    return jnp.concatenate(branches, -1)


class A(nn.Module):
    """Mixed_5b to 5d, 35x35."""

    pool_features: int

    @nn.compact
    def __call__(self, x):
        return joined(
            Unit(64, (1, 1), name="branch1x1")(x),
            chain(x, "branch5x5", (48, (1, 1)), (64, (5, 5))),
            chain(x, "branch3x3dbl", (64, (1, 1)), (96, (3, 3)), (96, (3, 3))),
            Unit(self.pool_features, (1, 1), name="branch_pool")(average_pool(x)),
        )


class B(nn.Module):
    """Mixed_6a, to 17x17."""

    @nn.compact
    def __call__(self, x):
        return joined(
            Unit(384, (3, 3), 2, "VALID", name="branch3x3")(x),
            chain(x, "branch3x3dbl", (64, (1, 1)), (96, (3, 3)), (96, (3, 3), 2, "VALID")),
            max_pool(x),
        )


class C(nn.Module):
    """Mixed_6b to 6e, 17x17, with windows of 7x1 and 1x7; returns its first branch too."""

    width: int

    @nn.compact
    def __call__(self, x):
        w, row, column = self.width, (1, 7), (7, 1)
        first = Unit(192, (1, 1), name="branch1x1")(x)
        return joined(
            first,
            chain(x, "branch7x7", (w, (1, 1)), (w, row), (192, column)),
            chain(x, "branch7x7dbl", (w, (1, 1)), (w, column), (w, row), (w, column), (192, row)),
            Unit(192, (1, 1), name="branch_pool")(average_pool(x)),
        ), first


class D(nn.Module):
    """Mixed_7a, to 8x8."""

    @nn.compact
    def __call__(self, x):
        return joined(
            chain(x, "branch3x3", (192, (1, 1)), (320, (3, 3), 2, "VALID")),
            chain(x, "branch7x7x3", (192, (1, 1)), (192, (1, 7)), (192, (7, 1)), (192, (3, 3), 2, "VALID")),
            max_pool(x),
        )


class E(nn.Module):
    """Mixed_7b and 7c, 8x8; the pool of the last one is a maximum."""

    last: bool

    @nn.compact
    def __call__(self, x):
        square = Unit(384, (1, 1), name="branch3x3_1")(x)
        double = chain(x, "branch3x3dbl", (448, (1, 1)), (384, (3, 3)))
        around = pooled(x, jnp.maximum, -jnp.inf) if self.last else average_pool(x)
        return joined(
            Unit(320, (1, 1), name="branch1x1")(x),
            Unit(384, (1, 3), name="branch3x3_2a")(square), Unit(384, (3, 1), name="branch3x3_2b")(square),
            Unit(384, (1, 3), name="branch3x3dbl_3a")(double), Unit(384, (3, 1), name="branch3x3dbl_3b")(double),
            Unit(192, (1, 1), name="branch_pool")(around),
        )


class Inception(nn.Module):
    """Images in about [-1, 1] to `Outputs`."""

    @nn.compact
    def __call__(self, x: Float[Array, "n 299 299 3"]) -> Outputs:
        x = Unit(32, (3, 3), 2, "VALID", name="Conv2d_1a_3x3")(x)
        x = Unit(32, (3, 3), 1, "VALID", name="Conv2d_2a_3x3")(x)
        x = max_pool(Unit(64, (3, 3), name="Conv2d_2b_3x3")(x))
        x = Unit(80, (1, 1), 1, "VALID", name="Conv2d_3b_1x1")(x)
        x = max_pool(Unit(192, (3, 3), 1, "VALID", name="Conv2d_4a_3x3")(x))
        for letter, pool_features in (("b", 32), ("c", 64), ("d", 64)):
            x = A(pool_features, name=f"Mixed_5{letter}")(x)
        x = B(name="Mixed_6a")(x)
        first = {}
        for letter, width in (("b", 128), ("c", 160), ("d", 160), ("e", 192)):
            x, first[letter] = C(width, name=f"Mixed_6{letter}")(x)
        x = D(name="Mixed_7a")(x)
        x = E(last=False, name="Mixed_7b")(x)
        features = E(last=True, name="Mixed_7c")(x).mean((1, 2))
        logits = Dense(LOGITS, use_bias=False, name="fc")(features)
        return Outputs(features, logits, first["d"][..., :SPATIAL_CHANNELS].reshape(len(x), SPATIAL))


@functools.cache
def tensor_shapes() -> dict[str, tuple[int, ...]]:
    """The tensors that a checkpoint must have, by name, with their shapes; it may have others."""
    image = jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), np.float32)
    params = jax.eval_shape(Inception().init, jax.random.key(0), image)["params"]
    shapes = {"fc.weight": params.pop("fc")["kernel"].shape[::-1]}
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        *unit, _, kind = (key.key for key in path)
        if kind == "kernel":
            height, width, before, after = leaf.shape
            shapes[".".join((*unit, "conv.weight"))] = (after, before, height, width)
            shapes |= {".".join((*unit, "bn", part)): (after,) for part in (
                "weight", "bias", "running_mean", "running_var")}
    return shapes


def folded(tensors: Mapping[str, Float[np.ndarray, "..."]]) -> PyTree[np.ndarray]:
    """The parameters of `Inception` of a checkpoint's tensors, computed in float64, as float32.

    y = g (w * x - m) / sqrt(v + eps) + b is the convolution with w g / sqrt(v + eps) and the bias b - m g / sqrt(v +
    eps). A tensor that is missing is a KeyError.
    """
    params = {("fc", "kernel"): np.float32(tensors["fc.weight"]).T}
    for name in tensors:
        if name.endswith(".conv.weight"):
            unit = name.removesuffix(".conv.weight")
            scale, shift, mean, variance = (np.float64(tensors[f"{unit}.bn.{part}"]) for part in (
                "weight", "bias", "running_mean", "running_var"))
            factor = scale / np.sqrt(variance + EPSILON)
            kernel = np.float64(tensors[name]).transpose(2, 3, 1, 0) * factor
            params[*unit.split("."), "conv", "kernel"] = np.float32(kernel)
            params[*unit.split("."), "conv", "bias"] = np.float32(shift - mean * factor)
    return {"params": unflatten_dict(params)}
