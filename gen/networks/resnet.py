"""The residual networks of SNGAN (Miyato et al. 2018, appendix B.4), with self-attention if asked for.

As in the authors' code (sngan_projection), the 3x3 convolutions of the blocks begin with sqrt 2 times the initial
values of the other layers. There the discriminator of 32 x 32 images has no bias of its logit
(`discriminator_bias=false`), and batch norm has momentum 0.9 and eps 2e-5.
"""

import math
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.config.ranges import Count, Natural, Positive
from gen.errors import lookup
from gen.networks import blocks, resampling
from gen.networks.attention import SelfAttention
from gen.networks.blocks import Condition, Statistic, unchanged
from gen.networks.dcgan import levels
from gen.networks.layers import Conv, Dense

Maps = Float[Array, "b h w c"]


GAIN = math.sqrt(2)
"""Of the initial values in the branches of the blocks, before whose convolutions ReLU halves the second moment."""


def in_branch(kernel_init: str, gain: float) -> nn.initializers.Initializer:
    """`gain` times the initial values of that name."""
    init = blocks.initializer(kernel_init)
    return lambda *args, **options: gain * init(*args, **options)


def halve(x: Maps) -> Float[Array, "b h//2 w//2 c"]:
    """Means of 2x2 pixels."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))


def double(x: Maps) -> Float[Array, "b 2*h 2*w c"]:
    """Each pixel twice along both axes."""
    b, h, w, c = x.shape
    return jnp.broadcast_to(x[:, :, None, :, None], (b, h, 2, w, 2, c)).reshape(b, 2 * h, 2 * w, c)


DOUBLINGS = {"nearest": double, "bilinear": partial(resampling.double, border="edge")}
"""How maps grow: the authors' code repeats pixels, mimicry interpolates."""


POOLINGS = {"sum": jnp.sum, "mean": jnp.mean}
"""Over the pixels of the last maps."""


class UpBlock(blocks.BatchNormed):
    """x + F(x), both at twice the size: F = [norm, ReLU, double, 3x3, norm, ReLU, 3x3].

    Scales and shifts of conditional norms begin as 0, or with `label_init`; their layers have spectral normalisation
    with `label_norm`.
    """

    width: int
    batch_norm: bool
    kernel_init: str
    dtype: Any
    doubling: str = "nearest"
    gain: float = GAIN
    label_init: str = ""
    spectral_norm: bool = False
    label_norm: bool = False

    @nn.compact
    def __call__(self, x: Maps, condition: Condition, *, train: bool) -> Float[Array, "b 2*h 2*w o"]:
        double = lookup(DOUBLINGS, self.doubling, "doubling")
        conditional = {"spectral_norm": self.label_norm}
        if self.label_init:
            conditional["kernel_init"] = blocks.initializer(self.label_init)

        def conv(size, h, resize=""):
            init = in_branch(self.kernel_init, 1.0 if size == 1 else self.gain)
            layer = Conv(self.width, (size, size), dtype=self.dtype, kernel_init=init, resize=resize)
            return blocks.constrained(layer, self.spectral_norm, train=train)(h)

        def active(h):
            return nn.relu(self.normalized(h, condition, train=train, **conditional) if self.batch_norm else h)

        h = active(x)
        h = conv(3, h, "double") if self.doubling == "nearest" else conv(3, double(h))
        h = conv(3, active(h))
        return h + double(conv(1, x))


class DownBlock(nn.Module):
    """x + F(x): F = [ReLU unless first, 3x3, ReLU, 3x3], both halved if asked for.

    With `active_shortcut` the ReLU before F is before x too.
    """

    width: int
    down: bool
    first: bool
    spectral_norm: bool
    kernel_init: str
    dtype: Any
    active_shortcut: bool = False
    gain: float = GAIN

    @nn.compact
    def __call__(self, x: Maps, *, train: bool) -> Float[Array, "b i j o"]:
        def conv(size, h, resize=""):
            init = in_branch(self.kernel_init, 1.0 if size == 1 else self.gain)
            layer = Conv(self.width, (size, size), dtype=self.dtype, kernel_init=init, resize=resize)
            return blocks.constrained(layer, self.spectral_norm, train=train)(h)

        h = x if self.first else nn.relu(x)
        x = h if self.active_shortcut else x
        h = conv(3, nn.relu(conv(3, h)), "halve" if self.down else "")
        same = not self.down and x.shape[-1] == self.width
        shortcut = x if same else conv(1, halve(x)) if self.down else conv(1, x)  # 1x1 and the mean commute
        return h + shortcut


class ResNetEncoder(nn.Module):
    """`depth` residual blocks, the first two halving, then ReLU and the sum over pixels.

    A condition is appended to the channels of the image, a statistic to those before the last block. `attention`: side
    of the maps with self-attention; 0: none. `active_shortcut`: shortcuts begin with the ReLU too, as in mimicry and
    PyTorch-StudioGAN, whose ReLU works in place. `gain`: of the initial values in branches. `pooling`: the sum over
    pixels, or the mean, as in mimicry's WGAN-GP.
    """

    width: Count = 128
    depth: Count = 4
    active_shortcut: bool = False
    attention: Natural = 0
    spectral_norm: bool = False
    kernel_init: str = "glorot_uniform"
    gain: Positive[float] = GAIN
    pooling: str = "sum"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Maps, condition: Condition = None, *, train: bool, statistic: Statistic = unchanged
                 ) -> Float[Array, "b f"]:
        levels(x.shape[1:])
        h = blocks.join(x, condition)
        for i in range(self.depth):
            block = DownBlock(self.width, i < 2, i == 0, self.spectral_norm, self.kernel_init, self.dtype,
                              self.active_shortcut, self.gain)
            h = block(statistic(h) if i == self.depth - 1 else h, train=train)
            if h.shape[1] == self.attention and i < 2:
                h = SelfAttention(self.spectral_norm, self.kernel_init, self.dtype)(h, train=train)
        return lookup(POOLINGS, self.pooling, "pooling")(nn.relu(h), (1, 2))


class ResNetDecoder(blocks.BatchNormed):
    """Dense to 4x4 (28 x 28 images: 7x7), a doubling residual block per level, batch norm, ReLU, a 3x3 convolution.

    `attention`: side of the maps that get self-attention; 0: none. `doubling`: nearest or bilinear. `gain`: of the
    initial values in branches. `label_init`: initial values of the conditional norms' layers, 0 where it is empty. With
    `spectral_norm` all layers but those have it.
    """

    shape: tuple[int, ...]
    width: Count = 256
    doubling: str = "nearest"
    attention: Natural = 0
    batch_norm: bool = True
    conditioning: str = "batch_norm"
    spectral_norm: bool = False
    kernel_init: str = "glorot_uniform"
    gain: Positive[float] = GAIN
    label_init: str = ""
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Float[Array, "b d"], condition: Condition = None, *, train: bool) -> Maps:
        side, doublings = levels(self.shape)
        init = blocks.initializer(self.kernel_init)
        h, condition = blocks.split_condition(z, condition, self.conditioning, self.batch_norm)
        constrained = partial(blocks.constrained, spectral_norm=self.spectral_norm, train=train)
        h = constrained(Dense(side * side * self.width, kernel_init=init, dtype=self.dtype))(h)
        h = h.reshape(-1, side, side, self.width)
        for _ in range(doublings):
            block = UpBlock(self.width, self.batch_norm, self.kernel_init, self.dtype, self.doubling,
                            self.gain, self.label_init, self.spectral_norm, **self.batch_norm_options)
            h = block(h, condition, train=train)
            if h.shape[1] == self.attention:
                h = SelfAttention(self.spectral_norm, self.kernel_init, self.dtype)(h, train=train)
        h = jax.nn.relu(self.normalized(h, train=train) if self.batch_norm else h)
        return constrained(Conv(self.shape[-1], (3, 3), kernel_init=init, dtype=self.dtype, name="output"))(h)
