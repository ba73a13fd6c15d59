"""Layers with equalised learning rates (Karras et al. 2018, section 4.1), as in StyleGAN2's released code.

Weights begin as N(0, 1) and are multiplied by 1 / sqrt(fan_in) where they are used, so that Adam, whose steps do not
depend on the scale of a gradient, moves all of them as fast.
"""

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.networks import layers

SLOPE = 0.2
UNIT = nn.initializers.normal(1.0)


def active(h: Float[Array, "..."]) -> Float[Array, "..."]:
    """sqrt 2 times leaky ReLU."""
    return math.sqrt(2) * nn.leaky_relu(h, SLOPE)


def normalized(x: Float[Array, "b d"]) -> Float[Array, "b d"]:
    """x / sqrt(mean of x_i^2 + 1e-8), a vector of mean square 1."""
    return x / jnp.sqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-8)


class Dense(nn.Module):
    """y = m (x W / sqrt(fan_in) + b), W ~ N(0, 1 / m^2) at first: m slows learning down."""

    features: int
    use_bias: bool = True
    bias: float = 0.0
    multiplier: float = 1.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b d"]) -> Float[Array, "b f"]:
        kernel = self.param("kernel", nn.initializers.normal(1 / self.multiplier), (x.shape[-1], self.features))
        y = x.astype(self.dtype) @ (kernel * (self.multiplier / math.sqrt(x.shape[-1]))).astype(self.dtype)
        if not self.use_bias:
            return y
        bias = self.param("bias", nn.initializers.constant(self.bias), (self.features,))
        return y + (self.multiplier * bias).astype(y.dtype)


class Conv(nn.Module):
    """A convolution of k x k pixels whose kernel is multiplied by 1 / sqrt(fan_in)."""

    features: int
    size: int
    stride: int = 1
    padding: layers.Padding = "SAME"
    use_bias: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b i j o"]:
        kernel = self.param("kernel", UNIT, (self.size, self.size, x.shape[-1], self.features))
        kernel = (kernel / math.sqrt(self.size**2 * x.shape[-1])).astype(self.dtype)
        y = layers.conv(x.astype(self.dtype), kernel, self.stride, self.padding)
        return y + self.param("bias", nn.initializers.zeros, (self.features,)).astype(y.dtype) if self.use_bias else y


class Mapping(nn.Module):
    """The mapping network: z, label or both, normalised, then `depth` dense layers whose learning rate is 1 / 100.

    Labels are embedded by a linear layer before they are normalised.
    """

    width: int
    depth: int
    rate: float = 0.01

    @nn.compact
    def __call__(self, z: Float[Array, "b d"] | None, label: Float[Array, "b k"] | None) -> Float[Array, "b w"]:
        parts = [] if z is None else [normalized(z.astype(jnp.float32))]
        if label is not None:
            parts.append(normalized(Dense(self.width, name="embedding")(label)))
        h = jnp.concatenate(parts, -1)
        for i in range(self.depth):
            h = active(Dense(self.width, multiplier=self.rate, name=f"layer_{i}")(h))
        return h
