"""Residual convolutional encoders and decoders of autoencoders (van den Oord et al. 2017, section 4.1)."""

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.config.ranges import Count, Natural
from gen.errors import UserError
from gen.networks.blocks import Condition, join
from gen.networks.layers import Conv, ConvTranspose, Dense


class ResidualStack(nn.Module):
    """`blocks` of h + [ReLU, 3x3 convolution to `inner`, ReLU, 1x1 convolution back], then ReLU."""

    blocks: int
    inner: int
    bias: bool
    dtype: Any

    @nn.compact
    def __call__(self, h: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        for _ in range(self.blocks):
            r = Conv(self.inner, (3, 3), use_bias=self.bias, dtype=self.dtype)(nn.relu(h))
            h = h + Conv(h.shape[-1], (1, 1), use_bias=self.bias, dtype=self.dtype)(nn.relu(r))
        return nn.relu(h)


class ResidualDown(nn.Module):
    """Images to feature maps 2^`halvings` times smaller: 4x4 convolutions of stride 2, a 3x3 one, residual blocks.

    `block_bias`: biases in the blocks; `stem_relu`: ReLU after the 3x3 convolution. Sonnet's example has both.
    """

    width: Count = 128
    halvings: Natural = 2
    blocks: Count = 2
    inner: Count = 32
    block_bias: bool = False
    stem_relu: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b s t f"]:
        small_side(x.shape[1:], self.halvings)
        h = x
        for i in reversed(range(self.halvings)):
            width = self.width // 2 if i else self.width
            h = nn.relu(Conv(width, (4, 4), (2, 2), dtype=self.dtype)(h))
        h = Conv(self.width, (3, 3), dtype=self.dtype)(h)
        return ResidualStack(self.blocks, self.inner, self.block_bias, self.dtype)(nn.relu(h) if self.stem_relu else h)


class ResidualUp(nn.Module):
    """Feature maps to images 2^`halvings` times larger: residual blocks, then transposed convolutions, linear.

    `block_bias`: biases in the blocks, as in Sonnet's example.
    """

    shape: tuple[int, ...]
    width: Count = 128
    halvings: Natural = 2
    blocks: Count = 2
    inner: Count = 32
    block_bias: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, h: Float[Array, "b s t f"], *, train: bool) -> Float[Array, "b h w c"]:
        h = Conv(self.width, (3, 3), dtype=self.dtype)(h)
        h = ResidualStack(self.blocks, self.inner, self.block_bias, self.dtype)(h)
        for _ in range(self.halvings - 1):
            h = nn.relu(ConvTranspose(self.width // 2, (4, 4), (2, 2), dtype=self.dtype)(h))
        return ConvTranspose(self.shape[-1], (4, 4), (2, 2), dtype=self.dtype, name="output")(h)


class ResNetVAEEncoder(nn.Module):
    """Images to the features of `ResidualDown`, as vectors."""

    width: Count = 64
    halvings: Natural = 2
    blocks: Count = 2
    inner: Count = 32
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], condition: Condition = None, *, train: bool) -> Float[Array, "b f"]:
        down = ResidualDown(self.width, self.halvings, self.blocks, self.inner, dtype=self.dtype)
        h = down(join(x, condition), train=train)
        return h.reshape(len(h), -1)


class ResNetVAEDecoder(nn.Module):
    """Latents to an image: a dense layer to a small feature map, then `ResidualUp`."""

    shape: tuple[int, ...]
    width: Count = 64
    halvings: Natural = 2
    blocks: Count = 2
    inner: Count = 32
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Float[Array, "b d"], condition: Condition = None, *, train: bool) -> Float[Array, "b h w c"]:
        small = (*small_side(self.shape, self.halvings), self.width)
        h = nn.relu(Dense(math.prod(small), dtype=self.dtype)(join(z, condition))).reshape(-1, *small)
        up = ResidualUp(self.shape, self.width, self.halvings, self.blocks, self.inner, dtype=self.dtype, name="up")
        return up(h, train=train)


def small_side(shape: tuple[int, ...], halvings: int) -> tuple[int, int]:
    """Height and width of an image after so many halvings.

    Raises:
      UserError: examples that are no images, or whose sides do not halve so often.
    """
    if len(shape) != 3 or shape[0] % 2**halvings or shape[1] % 2**halvings or halvings < 1:
        raise UserError(f"Residual autoencoders halve images {halvings} times, which examples of shape {shape} do not: "
                        "set another number of halvings (at least 1), or use an mlp.")
    return shape[0] >> halvings, shape[1] >> halvings
