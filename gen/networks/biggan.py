"""BigGAN's networks (Brock et al. 2019, appendix B), as PyTorch-StudioGAN builds them for 32 to 512 pixels.

The latents are split: one part for the first layer and one for each block, whose batch norms get it beside the label.
The label is embedded once for all of them (`label_embedding` of the config). Attention has pooled keys and values.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.config.ranges import Count, Natural
from gen.errors import UserError
from gen.networks import blocks
from gen.networks.attention import SelfAttention
from gen.networks.blocks import Condition, Statistic, unchanged
from gen.networks.dcgan import levels
from gen.networks.layers import Conv, Dense
from gen.networks.resnet import DownBlock, UpBlock

Maps = Float[Array, "b h w c"]

UP = {4: (16, 8, 4, 2, 1), 5: (16, 16, 8, 4, 2, 1), 6: (16, 16, 8, 8, 4, 2, 1), 7: (16, 16, 8, 8, 4, 2, 1, 1)}
"""Widths of the generator's maps from the smallest on, by doublings; of at most three doublings all are 4."""

DOWN = {4: (1, 2, 4, 8, 16), 5: (1, 2, 4, 8, 16, 16), 6: (1, 2, 4, 8, 8, 16, 16), 7: (1, 1, 2, 4, 8, 8, 16, 16)}
"""Widths of the discriminator's blocks, all but the last of which halve; of smaller images four of 2, two halving."""


class BigGANDecoder(blocks.BatchNormed):
    """Dense to 4x4 (28 x 28 images: 7x7), doubling residual blocks with conditional norms, a last norm, ReLU, a 3x3.

    `attention`: side of the maps with self-attention; 0: none. Every layer has spectral normalisation where asked.
    """

    shape: tuple[int, ...]
    width: Count = 96
    attention: Natural = 16
    spectral_norm: bool = True
    kernel_init: str = "orthogonal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Float[Array, "b d"], condition: Condition = None, *, train: bool) -> Maps:
        side, doublings = levels(self.shape)
        if z.shape[-1] % (doublings + 1):
            raise UserError(f"BigGAN splits its latents into {doublings + 1} parts here: {z.shape[-1]} is no multiple.")
        first, *others = jnp.split(z, doublings + 1, -1)
        widths = [self.width * factor for factor in UP.get(doublings, (4,) * (doublings + 1))]
        init, constrained = blocks.initializer(self.kernel_init), partial(
            blocks.constrained, spectral_norm=self.spectral_norm, train=train)
        h = constrained(Dense(side * side * widths[0], kernel_init=init, dtype=self.dtype))(first)
        h = h.reshape(-1, side, side, widths[0])
        for part, width in zip(others, widths[1:], strict=True):
            block = UpBlock(width, True, self.kernel_init, self.dtype, gain=1.0, label_init=self.kernel_init,
                            spectral_norm=self.spectral_norm, label_norm=self.spectral_norm, **self.batch_norm_options)
            h = block(h, part if condition is None else blocks.join(condition, part), train=train)
            if h.shape[1] == self.attention:
                h = SelfAttention(self.spectral_norm, self.kernel_init, self.dtype, pooled=True)(h, train=train)
        h = nn.relu(self.normalized(h, train=train))
        return constrained(Conv(self.shape[-1], (3, 3), kernel_init=init, dtype=self.dtype, name="output"))(h)


class BigGANEncoder(nn.Module):
    """Residual blocks whose shortcuts begin with the ReLU too, then ReLU and the sum over pixels.

    A condition is appended to the channels of the image, a statistic to those before the last block.
    """

    width: Count = 96
    attention: Natural = 16
    spectral_norm: bool = True
    kernel_init: str = "orthogonal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Maps, condition: Condition = None, *, train: bool, statistic: Statistic = unchanged
                 ) -> Float[Array, "b f"]:
        factors = DOWN.get(levels(x.shape[1:])[1], (2, 2, 2, 2))
        halvings = 2 if len(factors) == 4 else len(factors) - 1
        h = blocks.join(x, condition)
        for i, factor in enumerate(factors):
            block = DownBlock(self.width * factor, i < halvings, i == 0, self.spectral_norm, self.kernel_init,
                              self.dtype, active_shortcut=True, gain=1.0)
            h = block(statistic(h) if i == len(factors) - 1 else h, train=train)
            if h.shape[1] == self.attention and i < halvings:
                h = SelfAttention(self.spectral_norm, self.kernel_init, self.dtype, pooled=True)(h, train=train)
        return nn.relu(h).sum((1, 2))
