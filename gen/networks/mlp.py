"""Multi-layer perceptrons: on points, and on images as vectors."""

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.networks import blocks
from gen.networks.layers import BatchNorm, Dense


class MLP(nn.Module):
    """Hidden layers [Dense, batch norm if asked for, activation] of the given widths."""

    hidden: tuple[int, ...]
    activation: str
    batch_norm: bool
    kernel_init: str
    dtype: Any

    @nn.compact
    def __call__(self, h: Float[Array, "b d"], *, train: bool) -> Float[Array, "b f"]:
        act, init = blocks.activation(self.activation), blocks.initializer(self.kernel_init)
        for width in self.hidden:
            h = Dense(width, use_bias=not self.batch_norm, kernel_init=init, dtype=self.dtype)(h)
            if self.batch_norm:
                h = BatchNorm(use_running_average=not train, dtype=self.dtype)(h)
            h = act(h)
        return h


class MLPEncoder(nn.Module):
    """Examples, flattened, to features through dense layers."""

    hidden: tuple[int, ...] = (500,)
    activation: str = "relu"
    batch_norm: bool = False
    kernel_init: str = "lecun_normal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b ..."], *, train: bool) -> Float[Array, "b f"]:
        mlp = MLP(self.hidden, self.activation, self.batch_norm, self.kernel_init, self.dtype)
        return mlp(x.reshape(len(x), -1), train=train)


class MLPDecoder(nn.Module):
    """Latents to an output of any `shape` through dense layers, the last one linear."""

    shape: tuple[int, ...]
    hidden: tuple[int, ...] = (500,)
    activation: str = "relu"
    batch_norm: bool = False
    kernel_init: str = "lecun_normal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Float[Array, "b d"], *, train: bool) -> Float[Array, "b ..."]:
        h = MLP(self.hidden, self.activation, self.batch_norm, self.kernel_init, self.dtype)(z, train=train)
        init = blocks.initializer(self.kernel_init)
        out = Dense(math.prod(self.shape), kernel_init=init, dtype=self.dtype, name="output")(h)
        return out.reshape(-1, *self.shape)


class MaxoutEncoder(nn.Module):
    """Dense layers with maxout units: the largest of `pieces` linear functions (Goodfellow et al. 2013)."""

    hidden: tuple[int, ...] = (200, 200, 200)
    pieces: int = 5
    kernel_init: str = "lecun_normal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b ..."], *, train: bool) -> Float[Array, "b f"]:
        h, init = x.reshape(len(x), -1), blocks.initializer(self.kernel_init)
        for width in self.hidden:
            h = Dense(width * self.pieces, kernel_init=init, dtype=self.dtype)(h)
            h = h.reshape(len(h), self.pieces, width).max(1)
        return h
