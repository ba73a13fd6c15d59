"""The small networks of Unrolled GAN on stacked MNIST (Metz et al. 2017, appendix D; Lin et al. 2018, section 4.2)."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.config.ranges import Count, Real
from gen.errors import UserError
from gen.networks import blocks
from gen.networks.blocks import Condition, Statistic, unchanged
from gen.networks.layers import Conv, ConvTranspose, Dense

LEVELS = 3


def sides(shape: tuple[int, ...]) -> list[int]:
    """The side at each level, halved and rounded up: 28 -> [28, 14, 7, 4]; a UserError for what is no square image."""
    if len(shape) != 3 or shape[0] != shape[1]:
        raise UserError(f"The unrolled networks take square images, not examples of shape {shape}; use an mlp.")
    found = [shape[0]]
    for _ in range(LEVELS):
        found.append(-(-found[-1] // 2))
    return found


class UnrolledEncoder(blocks.BatchNormed):
    """3x3 stride-2 convolutions of width, 2 width, 4 width channels, batch norm and leaky ReLU of slope 0.3 each.

    Width 2 is the published discriminator of a quarter of the generator's size, 4 that of a half. A statistic is
    appended to the channels before the last convolution.
    """

    width: Count = 2
    slope: Real[float] = 0.3
    batch_norm: bool = True
    spectral_norm: bool = False
    kernel_init: str = "glorot_uniform"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], condition: Condition = None, *, train: bool,
                 statistic: Statistic = unchanged) -> Float[Array, "b f"]:
        sides(x.shape[1:])
        h = blocks.join(x, condition)
        for i in range(LEVELS):
            layer = Conv(self.width * 2**i, (3, 3), (2, 2), use_bias=not self.batch_norm,
                         kernel_init=blocks.initializer(self.kernel_init), dtype=self.dtype)
            h = statistic(h) if i == LEVELS - 1 else h
            h = blocks.constrained(layer, self.spectral_norm, train=train)(h)
            if self.batch_norm:
                h = self.normalized(h, train=train)
            h = nn.leaky_relu(h, self.slope)
        return h.reshape(len(h), -1)


class UnrolledDecoder(blocks.BatchNormed):
    """Dense to 4x4 of 8 width channels, 3x3 stride-2 transposed convolutions of 4, 2, 1 width, a 3x3 convolution out.

    Batch norm and ReLU after each but the last. Width 8 is the published generator: 28 x 28 goes 4, 7, 14, 28.
    """

    shape: tuple[int, ...]
    width: Count = 8
    batch_norm: bool = True
    conditioning: str = "concatenate"
    kernel_init: str = "glorot_uniform"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Float[Array, "b d"], condition: Condition = None, *, train: bool
                 ) -> Float[Array, "b h w c"]:
        *larger, smallest = sides(self.shape)
        h, condition = blocks.split_condition(z, condition, self.conditioning, self.batch_norm)
        init = blocks.initializer(self.kernel_init)
        options = {"use_bias": not self.batch_norm, "kernel_init": init, "dtype": self.dtype}

        def block(h):
            return nn.relu(self.normalized(h, condition, train=train) if self.batch_norm else h)

        width = self.width * 2**LEVELS
        h = block(Dense(smallest**2 * width, **options)(h).reshape(-1, smallest, smallest, width))
        for i, side in reversed(list(enumerate(larger))):
            padding = ((1, 1), (1, 1)) if side % 2 else ((2, 1), (2, 1))  # of "SAME" back from an odd or an even side
            h = block(ConvTranspose(self.width * 2**i, (3, 3), (2, 2), padding, **options)(h))
        return Conv(self.shape[-1], (3, 3), kernel_init=init, dtype=self.dtype, name="output")(h)
