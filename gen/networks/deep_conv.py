"""The discriminator of PyTorch-StudioGAN's DCGAN (`deep_conv.py`); its generator is SNGAN's without the first norm."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.config.ranges import Count
from gen.networks import blocks
from gen.networks.blocks import Condition, Statistic, unchanged
from gen.networks.layers import Conv
from gen.networks.sngan import HALVINGS, smallest


class DeepConvEncoder(blocks.BatchNormed):
    """Three times a 3x3 of twice the width and a 4x4 of stride 2, then a 3x3; ReLU after each, the sum over pixels.

    Batch norm before each ReLU where asked for. A condition is appended to the channels of the image, a statistic to
    those before the last convolution.
    """

    width: Count = 64
    batch_norm: bool = True
    spectral_norm: bool = False
    kernel_init: str = "orthogonal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], condition: Condition = None, *, train: bool,
                 statistic: Statistic = unchanged) -> Float[Array, "b f"]:
        smallest(x.shape[1:])

        def conv(h, width, size, stride):
            layer = Conv(width, (size, size), (stride, stride), kernel_init=blocks.initializer(self.kernel_init),
                         dtype=self.dtype)
            h = blocks.constrained(layer, self.spectral_norm, train=train)(h)
            return nn.relu(self.normalized(h, train=train) if self.batch_norm else h)

        h = blocks.join(x, condition)
        for i in range(HALVINGS):
            h = conv(conv(h, self.width * 2**i, 3, 1), self.width * 2**i, 4, 2)
        return conv(statistic(h), self.width * 2**HALVINGS, 3, 1).sum((1, 2))
