"""U-Nets: convolutions down to a small map and up again, each size joined to its own.

After Ho et al. 2020, appendix B, and smaller than that of the authors' code. There the level is added to the maps
(scale and shift as here are those of Nichol & Dhariwal 2021); group norm has 32 groups; of n blocks a size has n + 1 on
the way up, joined to the outputs of the first layer and of the halvings too; the middle has two blocks around
attention, scaled by 1 / sqrt(c), which also follows every block at 16 x 16; 3x3 convolutions halve, and follow nearest
neighbours that double; there is dropout.
"""

import math
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.config.ranges import Count, Natural
from gen.errors import UserError
from gen.networks.attention import SelfAttention
from gen.networks.blocks import Condition
from gen.networks.denoisers import LevelEmbedding, with_fourier_features
from gen.networks.layers import Conv, ConvTranspose, Dense
from gen.networks.norms import GroupNorm

Maps = Float[Array, "b h w c"]
GROUPS = 8
"""Of group norm, or fewer where they do not divide the width."""


def norm_swish(width: int, dtype: Any) -> GroupNorm:
    """Group norm and swish."""
    return GroupNorm(math.gcd(GROUPS, width), dtype=dtype, activation=nn.swish)


class LevelBlock(nn.Module):
    """x + W2 a(norm(W1 a(norm(x))) (1 + scale) + shift), a = swish, scale and shift by the level; W2 = 0 at first."""

    width: int
    dtype: Any

    @nn.compact
    def __call__(self, x: Maps, level: Float[Array, "b d"]) -> Float[Array, "b h w f"]:
        conv = partial(Conv, self.width, (3, 3), dtype=self.dtype)

        scale, shift = jnp.split(Dense(2 * self.width, dtype=self.dtype)(level), 2, axis=-1)
        h = conv()(norm_swish(x.shape[-1], self.dtype)(x))
        h = conv(kernel_init=nn.initializers.zeros)(norm_swish(self.width, self.dtype)(h, 1 + scale, shift))
        return h + (x if x.shape[-1] == self.width else Conv(self.width, (1, 1), dtype=self.dtype)(x))


class UNet(nn.Module):
    """`depth` blocks at each size, of `width` times its multiple channels; sizes halve from one multiple to the next.

    `patch`: the sides of the squares of pixels that are taken as one. `attention`: over the smallest maps. `fourier`:
    powers of two of `with_fourier_features`. The last layer is 0 at first.
    """

    width: Count = 32
    multiples: tuple[Count, ...] = (1, 2, 2)
    depth: Count = 1
    patch: Count = 1
    attention: bool = False
    features: Count = 128
    fourier: tuple[Natural, ...] = ()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Maps, log_snr: Float[Array, "b"], condition: Condition = None, *, train: bool) -> Maps:
        self._check(x.shape[1:])
        widths = [self.width * multiple for multiple in self.multiples]
        level = LevelEmbedding(self.features, "swish", self.dtype)(log_snr, condition)
        conv = partial(Conv, dtype=self.dtype)
        h = conv(widths[0], (3, 3))(to_patches(with_fourier_features(x, self.fourier), self.patch))
        skips = []
        for i, width in enumerate(widths):
            if i:
                h = conv(width, (4, 4), (2, 2))(h)
            for _ in range(self.depth):
                h = LevelBlock(width, self.dtype)(h, level)
                skips.append(h)
        h = LevelBlock(widths[-1], self.dtype)(h, level)
        if self.attention:
            h = SelfAttention(dtype=self.dtype)(h, train=train)
        for i, width in reversed(list(enumerate(widths))):
            for _ in range(self.depth):
                h = LevelBlock(width, self.dtype)(jnp.concatenate([h, skips.pop()], axis=-1), level)
            if i:
                h = ConvTranspose(widths[i - 1], (4, 4), (2, 2), dtype=self.dtype)(h)
        h = norm_swish(widths[0], self.dtype)(h)
        channels = x.shape[-1] * self.patch**2
        return from_patches(conv(channels, (3, 3), kernel_init=nn.initializers.zeros, name="output")(h), self.patch)

    def _check(self, shape: tuple[int, ...]) -> None:
        unit = self.patch * 2 ** (len(self.multiples) - 1)
        if len(shape) != 3 or shape[0] % unit or shape[1] % unit:
            raise UserError(f"This U-Net takes images whose sides are multiples of {unit}, not examples of shape "
                            f"{shape}: set other denoiser.multiples or denoiser.patch, or use an mlp.")


def to_patches(x: Maps, side: int) -> Float[Array, "b i j d"]:
    """Squares of side x side pixels as one, their channels side by side."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // side, side, w // side, side, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h // side, w // side, side * side * c)


def from_patches(x: Float[Array, "b i j d"], side: int) -> Maps:
    """The inverse of `to_patches`."""
    b, h, w, d = x.shape
    x = x.reshape(b, h, w, side, side, d // side**2).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h * side, w * side, d // side**2)
