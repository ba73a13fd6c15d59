"""Convolutional networks of Radford et al. 2016 (DCGAN), for any image size that halves down to 4..7 pixels."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.config.ranges import Count, Natural
from gen.errors import UserError
from gen.networks import blocks
from gen.networks.blocks import Condition, Statistic, unchanged
from gen.networks.layers import Conv, ConvTranspose, Dense


def levels(shape: tuple[int, ...], smallest: int = 0) -> tuple[int, int]:
    """Returns (smallest side, number of halvings) for square images: 28 -> (7, 2), 32 -> (4, 3), 64 -> (4, 4).

    Args: `smallest` asks for another smallest side: (32, 2) -> (2, 4).

    Raises:
      UserError: the example is no square image, or its side does not halve down to between 4 and 7 pixels, or to the
        smallest that is asked for.
    """
    if len(shape) != 3 or shape[0] != shape[1]:
        raise UserError(f"Convolutional networks take square images, not examples of shape {shape}; use an mlp.")
    side, halvings = shape[0], 0
    if smallest:
        while side > smallest and side % 2 == 0:
            side, halvings = side // 2, halvings + 1
        if side != smallest or halvings == 0:
            raise UserError(f"smallest={smallest}: images of {shape[0]} x {shape[1]} do not halve down to that side.")
        return side, halvings
    while side > 7 and side % 2 == 0:
        side, halvings = side // 2, halvings + 1
    if not 4 <= side <= 7 or halvings == 0:
        raise UserError(
            f"These convolutional networks do not fit {shape[0]} x {shape[1]} images: "
            "the side must be 4, 5, 6 or 7 times a power of two (8, 28, 32, 64, ...); resize the data or use an mlp."
        )
    return side, halvings


class DCGANEncoder(blocks.BatchNormed):
    """Images to features: 4x4 convolutions of stride 2, the width doubling, leaky ReLU, batch norm but on the first.

    A condition is appended to the channels of the image, a statistic to those before the last convolution.

    Attributes:
      kernel_size: of the convolutions; 5 in some implementations.
      smallest: side of the last maps; 0: the one between 4 and 7.
      norm_last: batch norm after the activation in place of before it.
      bias: in the convolutions without batch norm.
    """

    width: Count = 64
    activation: str = "leaky_relu"
    kernel_size: Count = 4
    smallest: Natural = 0
    norm_last: bool = False
    bias: bool = True
    batch_norm: bool = True
    spectral_norm: bool = False
    kernel_init: str = "normal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], condition: Condition = None, *, train: bool,
                 statistic: Statistic = unchanged) -> Float[Array, "b f"]:
        act, init = blocks.activation(self.activation), blocks.initializer(self.kernel_init)
        h = blocks.join(x, condition)
        halvings, size = levels(x.shape[1:], self.smallest)[1], self.kernel_size
        for i in range(halvings):
            norm = self.batch_norm and i > 0
            h = statistic(h) if i == halvings - 1 else h
            layer = Conv(self.width * 2**i, (size, size), (2, 2), (size - 1) // 2, use_bias=self.bias and not norm,
                         kernel_init=init, dtype=self.dtype)
            h = blocks.constrained(layer, self.spectral_norm, train=train)(h)
            if norm and not self.norm_last:
                h = self.normalized(h, train=train)
            h = act(h)
            if norm and self.norm_last:
                h = self.normalized(h, train=train)
        return h.reshape(len(h), -1)


class DCGANDecoder(blocks.BatchNormed):
    """Latents to an image: a dense layer, then 4x4 transposed convolutions of stride 2, the width halving.

    Attributes:
      smallest: side of the first maps; 0: the one between 4 and 7.
      bias: in the layers without batch norm.
    """

    shape: tuple[int, ...]
    width: Count = 64
    activation: str = "relu"
    smallest: Natural = 0
    bias: bool = True
    batch_norm: bool = True
    conditioning: str = "concatenate"
    kernel_init: str = "normal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Float[Array, "b d"], condition: Condition = None, *, train: bool
                 ) -> Float[Array, "b h w c"]:
        side, halvings = levels(self.shape, self.smallest)
        bias = self.bias and not self.batch_norm
        act, init = blocks.activation(self.activation), blocks.initializer(self.kernel_init)
        z, condition = blocks.split_condition(z, condition, self.conditioning, self.batch_norm)

        def block(h):
            return act(self.normalized(h, condition, train=train) if self.batch_norm else h)

        width = self.width * 2 ** (halvings - 1)
        h = Dense(side * side * width, use_bias=bias, kernel_init=init, dtype=self.dtype)(z)
        h = block(h.reshape(-1, side, side, width))
        for i in reversed(range(halvings - 1)):
            up = ConvTranspose(self.width * 2**i, (4, 4), (2, 2), use_bias=bias, kernel_init=init, dtype=self.dtype)
            h = block(up(h))
        return ConvTranspose(self.shape[-1], (4, 4), (2, 2), use_bias=self.bias, kernel_init=init, dtype=self.dtype,
                             name="output")(h)
