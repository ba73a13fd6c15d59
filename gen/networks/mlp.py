"""Multi-layer perceptrons: on points, and on images as vectors."""

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.config.ranges import Count, Real
from gen.networks import blocks
from gen.networks.blocks import Condition, Statistic, unchanged
from gen.networks.layers import Dense


class MLP(blocks.BatchNormed):
    """Hidden layers [Dense, batch norm if asked for, activation] of the given widths."""

    hidden: tuple[int, ...]
    activation: str
    batch_norm: bool
    spectral_norm: bool
    kernel_init: str
    dtype: Any

    @nn.compact
    def __call__(self, h: Float[Array, "b d"], condition: Condition = None, *, train: bool,
                 statistic: Statistic = unchanged) -> Float[Array, "b f"]:
        act, init = blocks.activation(self.activation), blocks.initializer(self.kernel_init)
        for i, width in enumerate(self.hidden):
            h = statistic(h) if i == len(self.hidden) - 1 else h
            layer = Dense(width, use_bias=not self.batch_norm, kernel_init=init, dtype=self.dtype)
            h = blocks.constrained(layer, self.spectral_norm, train=train)(h)
            if self.batch_norm:
                h = self.normalized(h, condition, train=train)
            h = act(h)
        return h if self.hidden else statistic(h)


class MLPEncoder(blocks.BatchNormed):
    """Examples, flattened, to features through dense layers.

    A condition is appended to the examples, a statistic to the input of the last layer.
    """

    hidden: tuple[Count, ...] = (500,)
    activation: str = "relu"
    batch_norm: bool = False
    spectral_norm: bool = False
    kernel_init: str = "lecun_normal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b ..."], condition: Condition = None, *, train: bool,
                 statistic: Statistic = unchanged) -> Float[Array, "b f"]:
        mlp = MLP(self.hidden, self.activation, self.batch_norm, self.spectral_norm, self.kernel_init, self.dtype,
                  **self.batch_norm_options)
        return mlp(blocks.join(x.reshape(len(x), -1), condition), train=train, statistic=statistic)


class MLPDecoder(blocks.BatchNormed):
    """Latents to an output of any `shape` through dense layers, the last one linear."""

    shape: tuple[int, ...]
    hidden: tuple[Count, ...] = (500,)
    activation: str = "relu"
    batch_norm: bool = False
    conditioning: str = "concatenate"
    kernel_init: str = "lecun_normal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Float[Array, "b d"], condition: Condition = None, *, train: bool) -> Float[Array, "b ..."]:
        h, condition = blocks.split_condition(z, condition, self.conditioning, self.batch_norm)
        mlp = MLP(self.hidden, self.activation, self.batch_norm, False, self.kernel_init, self.dtype,
                  **self.batch_norm_options)
        h = mlp(h, condition, train=train)
        init = blocks.initializer(self.kernel_init)
        out = Dense(math.prod(self.shape), kernel_init=init, dtype=self.dtype, name="output")(h)
        return out.reshape(-1, *self.shape)


class MaxoutEncoder(nn.Module):
    """Dense layers with maxout units: the largest of `pieces` linear functions (Goodfellow et al. 2013)."""

    hidden: tuple[Count, ...] = (200, 200, 200)
    pieces: Count = 5
    spectral_norm: bool = False
    kernel_init: str = "lecun_normal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b ..."], condition: Condition = None, *, train: bool,
                 statistic: Statistic = unchanged) -> Float[Array, "b f"]:
        h, init = blocks.join(x.reshape(len(x), -1), condition), blocks.initializer(self.kernel_init)
        for i, width in enumerate(self.hidden):
            h = statistic(h) if i == len(self.hidden) - 1 else h
            layer = Dense(width * self.pieces, kernel_init=init, dtype=self.dtype)
            h = blocks.constrained(layer, self.spectral_norm, train=train)(h)
            h = h.reshape(len(h), self.pieces, width).max(1)
        return h if self.hidden else statistic(h)


class PointDecoder(nn.Module):
    """One learned example, whatever the latents: the generator of the Dirac-GAN (Mescheder et al. 2018, section 2)."""

    shape: tuple[int, ...]
    start: Real[float] = 1.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Float[Array, "b d"], condition: Condition = None, *, train: bool) -> Float[Array, "b ..."]:
        point = self.param("point", nn.initializers.constant(self.start), self.shape)
        return jnp.broadcast_to(point.astype(self.dtype), (len(z), *self.shape))
