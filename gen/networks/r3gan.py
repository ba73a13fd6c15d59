"""The normalisation-free residual networks of R3GAN (Huang et al. 2024, section 4 and its released code).

Blocks of 1x1, grouped 3x3 and 1x1 convolutions around an identity, biases only before activations, resampling by the
filter [1, 3, 3, 1] with zeros beyond the borders, 1x1 convolutions only where the width changes. With the same weights
outputs are those of the released code. It has no bias of the logit either (`discriminator_bias=false`), and embeds
labels (`label_embedding`, `conditioning.name=product`). Its presets name a width and a number of groups for each stage:
widths double from the image on up to a largest one, and a group has 16 or 32 channels everywhere (`group_size`).

Initial values are those of Fix-up (Zhang et al. 2019): the last layer of each branch is 0, the others
N(0, gain^2 / fan_in) with gain = sqrt(2 / (1 + 0.2^2)) L^(-1/4) in a network of L blocks.
"""

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.config.ranges import Count, Natural
from gen.networks import blocks
from gen.networks.blocks import Condition, Statistic, unchanged
from gen.networks.dcgan import levels
from gen.networks.layers import Conv, Dense
from gen.networks.resampling import double, halve

Maps = Float[Array, "b h w c"]

SLOPE = 0.2
GAIN = math.sqrt(2 / (1 + SLOPE**2))
"""Keeps the second moment through a leaky ReLU (He et al. 2015, eq. 15)."""


def scaled(gain: float) -> nn.initializers.Initializer:
    """N(0, gain^2 / fan_in)."""
    return nn.initializers.variance_scaling(gain**2, "fan_in", "normal") if gain else nn.initializers.zeros


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


def linear(network: nn.Module, width: int, name: str | None = None) -> Conv:
    """A 1x1 convolution without a bias."""
    return Conv(width, (1, 1), use_bias=False, kernel_init=scaled(1.0), dtype=network.dtype, name=name)


def stage(network: nn.Module, h: Maps, stages: int, *, spectral_norm: bool = False, train: bool) -> Maps:
    """`network.depth` blocks at one size, of a network of that many stages."""
    gain = GAIN * (stages * network.depth) ** -0.25
    groups = h.shape[-1] * network.expansion // network.group_size if network.group_size else network.groups
    for _ in range(network.depth):
        h = Block(gain, groups, network.expansion, spectral_norm, network.dtype)(h, train=train)
    return h


class R3GANEncoder(nn.Module):
    """1x1 convolution, stages of residual blocks with halvings between them, a depth-wise layer over all pixels.

    The width doubles with each halving up to `largest`. Where `group_size` is not 0, so many channels are a group of
    the 3x3 convolutions, in place of `groups` at every stage. A condition is appended to the channels of the image, a
    statistic to those before the last stage. `kernel_init` is that of the heads that a family puts on the features.
    """

    width: Count = 32
    largest: Count = 256
    depth: Count = 2
    groups: Count = 4
    group_size: Natural = 0
    expansion: Count = 2
    spectral_norm: bool = False
    kernel_init: str = "fan_in_normal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Maps, condition: Condition = None, *, train: bool, statistic: Statistic = unchanged
                 ) -> Float[Array, "b f"]:
        halvings = levels(x.shape[1:])[1]
        h = linear(self, self.width)(blocks.join(x, condition))
        for i in range(halvings):
            h = stage(self, h, halvings + 1, spectral_norm=self.spectral_norm, train=train)
            h = statistic(halve(h)) if i == halvings - 1 else halve(h)
            width = min(self.width * 2 ** (i + 1), self.largest)
            h = h if h.shape[-1] == width else linear(self, width)(h)
        h = stage(self, h, halvings + 1, spectral_norm=self.spectral_norm, train=train)
        area = h.shape[1] * h.shape[2]
        basis = self.param("basis", nn.initializers.normal(area**-0.5), h.shape[1:])
        return jnp.einsum("bhwc,hwc->bc", h, basis.astype(h.dtype))


class R3GANDecoder(nn.Module):
    """A learned map times a linear function of the latents, stages with doublings between them, a 1x1 convolution."""

    shape: tuple[int, ...]
    width: Count = 32
    largest: Count = 256
    depth: Count = 2
    groups: Count = 4
    group_size: Natural = 0
    expansion: Count = 2
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Float[Array, "b d"], condition: Condition = None, *, train: bool) -> Maps:
        side, doublings = levels(self.shape)
        width = min(self.width * 2**doublings, self.largest)
        basis = self.param("basis", nn.initializers.normal(1.0), (side, side, width))
        modulation = Dense(width, use_bias=False, kernel_init=scaled(1.0), dtype=self.dtype)(blocks.join(z, condition))
        h = basis.astype(modulation.dtype) * modulation[:, None, None]
        for i in reversed(range(doublings)):
            h = stage(self, h, doublings + 1, train=train)
            width = min(self.width * 2**i, self.largest)
            h = double(h if h.shape[-1] == width else linear(self, width)(h))
        h = stage(self, h, doublings + 1, train=train)
        return linear(self, self.shape[-1], name="output")(h)
