"""The normalisation-free residual networks of R3GAN (Huang et al. 2024, section 4 and its released code).

Blocks of 1x1, grouped 3x3 and 1x1 convolutions around an identity, biases only before activations, bilinear resampling.
Initial values are those of Fix-up (Zhang et al. 2019): the last layer of each branch is 0, the others
N(0, gain^2 / fan_in) with gain = sqrt(2 / (1 + 0.2^2)) L^(-1/4) in a network of L blocks.
"""

import math
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.networks import blocks
from gen.networks.blocks import Condition
from gen.networks.dcgan import levels
from gen.networks.layers import Conv, Dense

Maps = Float[Array, "b h w c"]

SLOPE = 0.2
GAIN = math.sqrt(2 / (1 + SLOPE**2))
"""Keeps the second moment through a leaky ReLU (He et al. 2015, eq. 15)."""


def scaled(gain: float) -> nn.initializers.Initializer:
    """N(0, gain^2 / fan_in)."""
    return nn.initializers.variance_scaling(gain**2, "fan_in", "normal") if gain else nn.initializers.zeros


def resize(x: Maps, factor: int | float) -> Float[Array, "b i j c"]:
    """Bilinear resampling; antialiased where it shrinks."""
    b, h, w, c = x.shape
    return jax.image.resize(x, (b, round(h * factor), round(w * factor), c), "bilinear").astype(x.dtype)


class Block(nn.Module):
    """x + W3 a(W2 a(W1 x)), a = leaky ReLU after a bias, W2 grouped; W3 = 0 at first."""

    gain: float
    groups: int
    expansion: int
    spectral_norm: bool
    dtype: Any

    @nn.compact
    def __call__(self, x: Maps, *, train: bool) -> Maps:
        inner = x.shape[-1] * self.expansion

        def conv(h, width, size, gain, groups, use_bias):
            layer = Conv(width, (size, size), feature_group_count=groups, use_bias=use_bias, kernel_init=scaled(gain),
                         dtype=self.dtype)
            return blocks.constrained(layer, self.spectral_norm, train=train)(h)

        h = nn.leaky_relu(conv(x, inner, 1, self.gain, 1, True), SLOPE)
        h = nn.leaky_relu(conv(h, inner, 3, self.gain, self.groups, True), SLOPE)
        return x + conv(h, x.shape[-1], 1, 0.0, 1, False)


def stage(network: nn.Module, h: Maps, stages: int, *, spectral_norm: bool = False, train: bool) -> Maps:
    """`network.depth` blocks at one size, of a network of that many stages."""
    gain = GAIN * (stages * network.depth) ** -0.25
    for _ in range(network.depth):
        h = Block(gain, network.groups, network.expansion, spectral_norm, network.dtype)(h, train=train)
    return h


class R3GANEncoder(nn.Module):
    """1x1 convolution, stages of residual blocks with halvings between them, a depth-wise layer over all pixels.

    The width doubles with each halving up to `largest`. A condition is appended to the channels of the image.
    `kernel_init` is that of the heads that a family puts on the features.
    """

    width: int = 32
    largest: int = 256
    depth: int = 2
    groups: int = 4
    expansion: int = 2
    spectral_norm: bool = False
    kernel_init: str = "lecun_normal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Maps, condition: Condition = None, *, train: bool) -> Float[Array, "b f"]:
        halvings = levels(x.shape[1:])[1]
        linear = partial(Conv, kernel_size=(1, 1), use_bias=False, kernel_init=scaled(1.0), dtype=self.dtype)
        h = linear(self.width)(blocks.join(x, condition))
        for i in range(halvings):
            h = stage(self, h, halvings + 1, spectral_norm=self.spectral_norm, train=train)
            h = linear(min(self.width * 2 ** (i + 1), self.largest))(resize(h, 0.5))
        h = stage(self, h, halvings + 1, spectral_norm=self.spectral_norm, train=train)
        area = h.shape[1] * h.shape[2]
        basis = self.param("basis", nn.initializers.normal(area**-0.5), h.shape[1:])
        return jnp.einsum("bhwc,hwc->bc", h, basis.astype(h.dtype))


class R3GANDecoder(nn.Module):
    """A learned map times a linear function of the latents, stages with doublings between them, a 1x1 convolution."""

    shape: tuple[int, ...]
    width: int = 32
    largest: int = 256
    depth: int = 2
    groups: int = 4
    expansion: int = 2
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Float[Array, "b d"], condition: Condition = None, *, train: bool) -> Maps:
        side, doublings = levels(self.shape)
        linear = partial(Conv, kernel_size=(1, 1), use_bias=False, kernel_init=scaled(1.0), dtype=self.dtype)
        width = min(self.width * 2**doublings, self.largest)
        basis = self.param("basis", nn.initializers.normal(1.0), (side, side, width))
        modulation = Dense(width, use_bias=False, kernel_init=scaled(1.0), dtype=self.dtype)(blocks.join(z, condition))
        h = basis.astype(modulation.dtype) * modulation[:, None, None]
        for i in reversed(range(doublings)):
            h = stage(self, h, doublings + 1, train=train)
            h = resize(linear(min(self.width * 2**i, self.largest))(h), 2)
        h = stage(self, h, doublings + 1, train=train)
        return linear(self.shape[-1], name="output")(h)
