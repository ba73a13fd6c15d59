"""The networks of InfoGAN (Chen et al. 2016, appendix C.1), which Lucic et al. 2018 compare all GANs on.

Their code (compare_gan) has leaky ReLU in the generator too, and biases before batch norm.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.config.ranges import Count
from gen.errors import UserError
from gen.networks import blocks
from gen.networks.blocks import Condition, Statistic, unchanged
from gen.networks.layers import Conv, ConvTranspose, Dense


def quarter(shape: tuple[int, ...]) -> tuple[int, int]:
    """A quarter of each side of an image; raises a UserError where the sides are no multiples of 4."""
    if len(shape) != 3 or shape[0] % 4 or shape[1] % 4:
        raise UserError(f"The infogan networks need images whose sides are multiples of 4, not shape {shape}.")
    return shape[0] // 4, shape[1] // 4


class InfoGANEncoder(blocks.BatchNormed):
    """4x4 stride-2 convolutions of 64 and 128 channels, dense 1024; leaky ReLU, batch norm but on the first.

    A statistic is appended to the channels before the second convolution.
    """

    width: Count = 64
    hidden: Count = 1024
    activation: str = "leaky_relu"
    batch_norm: bool = True
    spectral_norm: bool = False
    kernel_init: str = "normal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], condition: Condition = None, *, train: bool,
                 statistic: Statistic = unchanged) -> Float[Array, "b f"]:
        quarter(x.shape[1:])
        act, init = blocks.activation(self.activation), blocks.initializer(self.kernel_init)

        def block(layer, h, norm):
            h = blocks.constrained(layer, self.spectral_norm, train=train)(h)
            return act(self.normalized(h, train=train) if norm else h)

        h = blocks.join(x, condition)
        for i in range(2):
            norm = self.batch_norm and i > 0
            layer = Conv(self.width * 2**i, (4, 4), (2, 2), use_bias=not norm, kernel_init=init, dtype=self.dtype)
            h = block(layer, statistic(h) if i else h, norm)
        dense = Dense(self.hidden, use_bias=not self.batch_norm, kernel_init=init, dtype=self.dtype)
        return block(dense, h.reshape(len(h), -1), self.batch_norm)


class InfoGANDecoder(blocks.BatchNormed):
    """Dense 1024, dense to a quarter of the size with 128 channels, 4x4 stride-2 transposed convolutions to 64 and out.

    Batch norm and ReLU after each but the last.
    """

    shape: tuple[int, ...]
    width: Count = 64
    hidden: Count = 1024
    activation: str = "relu"
    batch_norm: bool = True
    conditioning: str = "concatenate"
    kernel_init: str = "normal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Float[Array, "b d"], condition: Condition = None, *, train: bool
                 ) -> Float[Array, "b h w c"]:
        side = quarter(self.shape)
        act, init = blocks.activation(self.activation), blocks.initializer(self.kernel_init)
        h, condition = blocks.split_condition(z, condition, self.conditioning, self.batch_norm)
        options = {"use_bias": not self.batch_norm, "kernel_init": init, "dtype": self.dtype}

        def block(h):
            return act(self.normalized(h, condition, train=train) if self.batch_norm else h)

        h = block(Dense(self.hidden, **options)(h))
        h = block(Dense(side[0] * side[1] * 2 * self.width, **options)(h))
        h = h.reshape(-1, *side, 2 * self.width)
        h = block(ConvTranspose(self.width, (4, 4), (2, 2), **options)(h))
        return ConvTranspose(self.shape[-1], (4, 4), (2, 2), kernel_init=init, dtype=self.dtype, name="output")(h)
