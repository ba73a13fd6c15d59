"""The convolutional networks of SNGAN for 32 x 32 images (Miyato et al. 2018, appendix B.4, table 3).

Any size fits whose side is 4 to 7 pixels after three halvings. `dcgan.py` has no 3x3 convolutions between its halvings.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.config.ranges import Count, NonNegative
from gen.errors import UserError
from gen.networks import blocks
from gen.networks.blocks import Condition, Statistic, unchanged
from gen.networks.layers import Conv, ConvTranspose, Dense

HALVINGS = 3


def smallest(shape: tuple[int, ...]) -> int:
    """The side after three halvings; a UserError for what is no square image of 8 times so many pixels."""
    if len(shape) != 3 or shape[0] != shape[1] or shape[0] % 2**HALVINGS:
        raise UserError(f"SNGAN's convolutional networks halve square images three times; examples of shape {shape} "
                        "do not fit: resize the data, or use dcgan, resnet or mlp.")
    return shape[0] // 2**HALVINGS


class SNGANEncoder(nn.Module):
    """3x3 of width w, then three times a 4x4 of stride 2 and a 3x3 of twice the width; leaky ReLU of slope 0.1 each.

    A condition is appended to the channels of the image, a statistic to those before the last convolution.
    """

    width: Count = 64
    slope: NonNegative[float] = 0.1
    spectral_norm: bool = False
    kernel_init: str = "normal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], condition: Condition = None, *, train: bool,
                 statistic: Statistic = unchanged) -> Float[Array, "b f"]:
        smallest(x.shape[1:])

        def conv(h, width, size, stride):
            layer = Conv(width, (size, size), (stride, stride), kernel_init=blocks.initializer(self.kernel_init),
                         dtype=self.dtype)
            return nn.leaky_relu(blocks.constrained(layer, self.spectral_norm, train=train)(h), self.slope)

        h = conv(blocks.join(x, condition), self.width, 3, 1)
        for i in range(1, HALVINGS + 1):
            h = conv(h, self.width * 2**i, 4, 2)
            h = conv(statistic(h) if i == HALVINGS else h, self.width * 2**i, 3, 1)
        return h.reshape(len(h), -1)


class SNGANDecoder(blocks.BatchNormed):
    """Dense to maps of 8 w, 4x4 transposed convolutions of stride 2 to 4 w, 2 w, w, a 3x3 convolution to the image.

    Batch norm and ReLU after each but the last, without `first_norm` after the dense layer neither, as in
    PyTorch-StudioGAN's DCGAN; every layer has a bias.
    """

    shape: tuple[int, ...]
    width: Count = 64
    batch_norm: bool = True
    first_norm: bool = True
    conditioning: str = "concatenate"
    kernel_init: str = "normal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Float[Array, "b d"], condition: Condition = None, *, train: bool
                 ) -> Float[Array, "b h w c"]:
        side, init = smallest(self.shape), blocks.initializer(self.kernel_init)
        z, condition = blocks.split_condition(z, condition, self.conditioning, self.batch_norm)

        def block(h):
            return nn.relu(self.normalized(h, condition, train=train) if self.batch_norm else h)

        width = self.width * 2**HALVINGS
        h = Dense(side * side * width, kernel_init=init, dtype=self.dtype)(z).reshape(-1, side, side, width)
        h = block(h) if self.first_norm else h
        for i in reversed(range(HALVINGS)):
            h = block(ConvTranspose(self.width * 2**i, (4, 4), (2, 2), kernel_init=init, dtype=self.dtype)(h))
        return Conv(self.shape[-1], (3, 3), kernel_init=init, dtype=self.dtype, name="output")(h)
