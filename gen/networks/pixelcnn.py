"""Autoregressive convolutional networks over grids of codes (van den Oord et al. 2016)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from gen.config.ranges import Count
from gen.networks.layers import Conv, conv


class MaskedConv(nn.Module):
    """A k x k convolution that sees the rows above and, of its own row, what is left of the centre.

    `centre`: whether it sees the centre too (mask B), or not (mask A) (van den Oord et al. 2016, section 3.4). The rows
    of the kernel below the centre, which the mask makes 0, are left out: 28 products of 49 for k = 7.
    """

    features: int
    size: int
    centre: bool
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w f"]:
        middle = self.size // 2
        mask = np.ones((middle + 1, self.size, 1, 1), np.float32)
        mask[middle, middle + self.centre:] = 0
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)[:middle + 1] * mask
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        pads = ((middle, 0), (middle, middle))
        return conv(x.astype(self.dtype), kernel.astype(self.dtype), padding=pads) + bias.astype(self.dtype)


class PixelCNN(nn.Module):
    """Logits of each code given those before it in raster order: a mask-A convolution, residual mask-B blocks."""

    codes: int
    width: Count = 128
    blocks: Count = 6
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, codes: Int[Array, "b h w"]) -> Float[Array, "b h w k"]:
        h = MaskedConv(self.width, 7, False, self.dtype)(nn.Embed(self.codes, self.width)(codes))
        for _ in range(self.blocks):
            r = Conv(self.width // 2, (1, 1), dtype=self.dtype)(nn.relu(h))
            r = MaskedConv(self.width // 2, 3, True, self.dtype)(nn.relu(r))
            h = h + Conv(self.width, (1, 1), dtype=self.dtype)(nn.relu(r))
        h = nn.relu(Conv(self.width, (1, 1), dtype=self.dtype)(nn.relu(h)))
        return Conv(self.codes, (1, 1), dtype=self.dtype, name="logits")(h).astype(jnp.float32)


def draw(logits, key: PRNGKeyArray, n: int, side: tuple[int, int]) -> Int[Array, "n h w"]:
    """Draws n grids code by code, `logits` being codes [n h w] -> Float[n h w k]: one pass through it for each."""
    height, width = side

    def place(i, codes):
        row, column = i // width, i % width
        code = jax.random.categorical(jax.random.fold_in(key, i), logits(codes)[:, row, column])
        return codes.at[:, row, column].set(code)

    return jax.lax.fori_loop(0, height * width, place, jnp.zeros((n, height, width), jnp.int32))


PIXEL_PRIORS = {"pixelcnn": PixelCNN}
