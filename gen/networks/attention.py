"""Self-attention over the pixels of a feature map (Zhang et al. 2019, SAGAN, section 3)."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.networks import blocks
from gen.networks.layers import Conv


def largest(x: Float[Array, "b h w c"]) -> Float[Array, "b h//2 w//2 c"]:
    """The largest of 2x2 pixels."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4))


class SelfAttention(nn.Module):
    """x + gamma * o, o = W_o softmax(q k^T) v over all pixels, with gamma = 0 at first (their eq. 1-3).

    Queries and keys have c / 8 channels, values c / 2; all maps are 1x1 convolutions. The logits are not scaled. Where
    `pooled`, keys and values are the largest of 2x2 pixels each, as in BigGAN's released code.
    """

    spectral_norm: bool = False
    kernel_init: str = "glorot_uniform"
    dtype: Any = jnp.float32
    pooled: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h w c"]:
        b, h, w, c = x.shape

        def linear(name: str, features: int, x: Array) -> Array:
            conv = partial(Conv, kernel_size=(1, 1), use_bias=False, dtype=self.dtype, name=name)
            layer = conv(features, kernel_init=blocks.initializer(self.kernel_init))
            return blocks.constrained(layer, self.spectral_norm, train=train)(x)

        def pixels(maps: Array) -> Array:
            return maps.reshape(b, -1, maps.shape[-1])

        inner = max(c // 8, 1)
        query, key, value = (linear("query", inner, x), linear("key", inner, x), linear("value", max(c // 2, 1), x))
        if self.pooled:
            key, value = largest(key), largest(value)
        query, key, value = pixels(query), pixels(key), pixels(value)
        weights = jax.nn.softmax(jnp.einsum("bqc,bkc->bqk", query, key).astype(jnp.float32))
        mixed = jnp.einsum("bqk,bkc->bqc", weights.astype(value.dtype), value).reshape(b, h, w, -1)
        gamma = self.param("gamma", nn.initializers.zeros, ())
        return x + gamma.astype(x.dtype) * linear("output", c, mixed)
