"""Gated multi-layer perceptrons (Dauphin et al. 2017; the networks of Tomczak & Welling 2018)."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.config.ranges import Count
from gen.networks import blocks
from gen.networks.blocks import Condition
from gen.networks.layers import Dense


class GatedMLP(nn.Module):
    """Layers (W h + b) * sigmoid(V h + c)."""

    hidden: tuple[int, ...]
    kernel_init: str
    dtype: Any

    @nn.compact
    def __call__(self, h: Float[Array, "b d"]) -> Float[Array, "b f"]:
        for width in self.hidden:
            out = Dense(2 * width, kernel_init=blocks.initializer(self.kernel_init), dtype=self.dtype)(h)
            value, gate = jnp.split(out, 2, axis=-1)
            h = value * jax.nn.sigmoid(gate)
        return h


class GatedMLPEncoder(nn.Module):
    """Examples, flattened, to features through gated layers."""

    hidden: tuple[Count, ...] = (300, 300)
    kernel_init: str = "lecun_normal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b ..."], condition: Condition = None, *, train: bool) -> Float[Array, "b f"]:
        mlp = GatedMLP(self.hidden, self.kernel_init, self.dtype)
        return mlp(blocks.join(x.reshape(len(x), -1), condition))


class GatedMLPDecoder(nn.Module):
    """Latents to an output of any `shape` through gated layers, the last one linear."""

    shape: tuple[int, ...]
    hidden: tuple[Count, ...] = (300, 300)
    kernel_init: str = "lecun_normal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Float[Array, "b d"], condition: Condition = None, *, train: bool) -> Float[Array, "b ..."]:
        h = GatedMLP(self.hidden, self.kernel_init, self.dtype)(blocks.join(z, condition))
        init = blocks.initializer(self.kernel_init)
        out = Dense(math.prod(self.shape), kernel_init=init, dtype=self.dtype, name="output")(h)
        return out.reshape(-1, *self.shape)
