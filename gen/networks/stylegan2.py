"""StyleGAN2's networks (Karras et al. 2020), as in the released code of StyleGAN2-ADA: outputs and parameters equal.

Latents z become styles w by a mapping network; w scales the inputs of every convolution, whose outputs are divided by
their expected norm. Widths double from the image on, up to a largest one. All weights have equalised learning rates.

What a generator draws beside z, the noise of its layers and the second style of mixing regularisation, is a function of
z here: the bits of z are its seed. So G stays a function, and an image is the same with whatever it is drawn together.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from gen.config.ranges import Count, Positive, Probability
from gen.errors import lookup
from gen.networks import blocks, equalized, layers, resampling
from gen.networks.blocks import Condition, Statistic, unchanged
from gen.networks.dcgan import levels
from gen.networks.equalized import active
from gen.rng import stream

Maps = Float[Array, "b h w c"]
Styles = Float[Array, "b layers s"]
Keys = Key[Array, "b"]

ARCHITECTURES = ("skip", "resnet", "orig")
"""How blocks are joined: images (maps) of all sizes are summed, residual blocks, or one after the other."""

NOISES = ("random", "fixed", "none")
"""Of each layer: new for each z, one map for all, or no such input."""

DECAY = 0.995
"""Of the moving average of the styles, which truncation draws them to."""


def rows(z: Float[Array, "b d"]) -> Keys:
    """A key of each row, from its bits alone."""
    bits = jax.lax.bitcast_convert_type(jax.lax.stop_gradient(z).astype(jnp.float32), jnp.uint32)
    odd = 2 * (jnp.arange(z.shape[-1], dtype=jnp.uint32) * jnp.uint32(0x9E3779B1)) + 1
    return jax.vmap(jax.random.key)((bits * odd).sum(-1, dtype=jnp.uint32))


def normals(keys: Keys, name: str, *shape: int) -> Float[Array, "b ..."]:
    """N(0, 1) of that shape for each key.

    In a loop on a CPU, where XLA would else compute the draws again inside of each operation that needs them: those of
    a map once for each of its channels.
    """
    def draw(key: Key[Array, ""]) -> Float[Array, "..."]:
        return jax.random.normal(stream(key, name), shape)

    return jax.lax.platform_dependent(keys, cpu=partial(jax.lax.map, draw), default=jax.vmap(draw))


def modulated(x: Maps, kernel: Float[Array, "k k c o"], style: Float[Array, "b c"], convolve: Callable,
              demodulate: bool = True) -> Float[Array, "b i j o"]:
    """The convolution by s_i W_ijk, each output j divided by sqrt(sum_ik (s_i W_ijk)^2 + 1e-8) (their eq. 1 and 3).

    Inputs and outputs are scaled in place of the weights, so that all images share one convolution.
    """
    y = convolve(x * style[:, None, None].astype(x.dtype), kernel.astype(x.dtype))
    if not demodulate:
        return y
    squares = jnp.square(style) @ jnp.square(kernel).sum((0, 1))
    return y * jax.lax.rsqrt(squares + 1e-8)[:, None, None].astype(y.dtype)


def doubled(x: Maps, kernel: Float[Array, "3 3 c o"]) -> Float[Array, "b 2*h 2*w o"]:
    """A transposed convolution of stride 2, then the filter [1, 3, 3, 1] / 4."""
    return resampling.filtered(layers.conv_transpose(x, kernel, 2, "VALID"), 1, gain=2.0)


class StyledLayer(nn.Module):
    """A modulated 3x3 convolution, noise times a learned strength, a bias, leaky ReLU; at twice the size if asked."""

    features: int
    up: bool
    noise: str
    dtype: Any

    @nn.compact
    def __call__(self, x: Maps, w: Float[Array, "b d"], noise: Float[Array, "b i j 1"]) -> Float[Array, "b i j o"]:
        style = equalized.Dense(x.shape[-1], bias=1.0, name="affine")(w)
        kernel = self.param("kernel", equalized.UNIT, (3, 3, x.shape[-1], self.features))
        y = modulated(x.astype(self.dtype), kernel, style, doubled if self.up else layers.conv)
        if self.noise == "fixed":
            shape = noise.shape[1:]
            noise = self.variable("noise", "map", lambda: jax.random.normal(self.make_rng("params"), shape))
            noise = noise.value
        if self.noise != "none":
            y += (self.param("noise_strength", nn.initializers.zeros, ()) * noise).astype(y.dtype)
        return active(y + self.param("bias", nn.initializers.zeros, (self.features,)).astype(y.dtype))


class ToImage(nn.Module):
    """A modulated 1x1 convolution to the image's channels, not demodulated."""

    channels: int

    @nn.compact
    def __call__(self, x: Maps, w: Float[Array, "b d"]) -> Float[Array, "b h w o"]:
        style = equalized.Dense(x.shape[-1], bias=1.0, name="affine")(w) / math.sqrt(x.shape[-1])
        kernel = self.param("kernel", equalized.UNIT, (1, 1, x.shape[-1], self.channels))
        y = modulated(x.astype(jnp.float32), kernel, style, layers.conv, demodulate=False)
        return y + self.param("bias", nn.initializers.zeros, (self.channels,))


class StyleGAN2Decoder(nn.Module):
    """Mapping and synthesis network, from a learned map on; the image is linear (`bounded=false` in the config).

    `width` is of the maps at the image's size, `largest` of any; `mixing` the probability that an image of training has
    two styles, the second from a random layer on (Karras et al. 2019, section 3.1). `noise`: a key of `NOISES`.
    """

    shape: tuple[int, ...]
    width: Count = 256
    largest: Count = 512
    style_width: Count = 512
    mapping_depth: Count = 8
    mapping_rate: Positive[float] = 0.01
    architecture: str = "skip"
    mixing: Probability[float] = 0.0
    noise: str = "random"
    dtype: Any = jnp.float32

    @property
    def style_count(self) -> int:
        """Layers with a style of their own: two a size, of which the last makes the image."""
        return 2 * levels(self.shape)[1] + 2

    @nn.compact
    def __call__(self, z: Float[Array, "b d"], condition: Condition = None, *, train: bool,
                 truncation: float | Float[Array, ""] | None = None, second: Float[Array, "b d"] | None = None,
                 crossover: int | Int[Array, "b"] = 0, shift: Styles | float = 0.0) -> Maps:
        """The images of z.

        Args:
          truncation: psi of w' = mean + psi (w - mean), mean being the average style (Karras et al. 2019, appendix B).
          second: other latents, whose styles the layers from `crossover` on have.
          shift: added to the styles of all layers.
        """
        keys, mapping = rows(z), equalized.Mapping(self.style_width, self.mapping_depth, self.mapping_rate,
                                                   name="mapping")
        w = mapping(z, condition)
        mean = self.variable("averages", "style", jnp.zeros, w.shape[-1])
        if train and not self.is_initializing() and self.is_mutable_collection("averages"):
            mean.value = DECAY * mean.value + (1 - DECAY) * jax.lax.stop_gradient(w).mean(0)
        if train and self.mixing and second is None:
            second, crossover = self.mixed(keys, z.shape[-1])
        styles = jnp.broadcast_to(w[:, None], (len(w), self.style_count, w.shape[-1]))
        if second is not None:
            first = jnp.arange(self.style_count) < jnp.reshape(crossover, (-1, 1))
            styles = jnp.where(first[..., None], styles, mapping(second, condition)[:, None])
        if truncation is not None:
            styles = mean.value + truncation * (styles - mean.value)
        return self.synthesis(styles + shift, self.drawn(keys))

    def mixed(self, keys: Keys, d: int) -> tuple[Float[Array, "b d"], Int[Array, "b"]]:
        """Second latents, and the layer from which each serves; with probability 1 - `mixing` from none."""
        def crossover(key: Key[Array, ""]) -> Int[Array, ""]:
            layer = jax.random.randint(stream(key, "crossover"), (), 1, self.style_count)
            return jnp.where(jax.random.bernoulli(stream(key, "mixing"), self.mixing), layer, self.style_count)

        return normals(keys, "second latents", d), jax.vmap(crossover)(keys)

    def drawn(self, keys: Keys) -> list[Float[Array, "b _ _ 1"]]:
        """The noise of each layer, of one draw for all of them; zeros where it is not random."""
        side, doublings = levels(self.shape)
        sides = [side] + [side * 2**i for i in range(1, doublings + 1) for _ in range(2)]
        ends = np.cumsum([side**2 for side in sides])
        noise = normals(keys, "noise", int(ends[-1])) if self.noise == "random" else jnp.zeros((len(keys), ends[-1]))
        parts = jnp.split(noise, ends[:-1], 1)
        return [part.reshape(-1, side, side, 1) for part, side in zip(parts, sides, strict=True)]

    def synthesis(self, styles: Styles, noise: list[Float[Array, "b _ _ 1"]]) -> Maps:
        """The images of styles."""
        side, doublings = levels(self.shape)
        lookup(dict.fromkeys(ARCHITECTURES), self.architecture, "architecture of StyleGAN2")
        lookup(dict.fromkeys(NOISES), self.noise, "noise of StyleGAN2")
        constant = self.param("constant", equalized.UNIT, (side, side, self.at(doublings)))
        h, image = jnp.broadcast_to(constant, (len(styles), *constant.shape)), None
        for i in range(doublings + 1):
            features, entering = self.at(doublings - i), h

            def layer(h, number, up=False, i=i, features=features):
                made = StyledLayer(features, up, self.noise, self.dtype, name=f"block_{i}_layer_{int(not up)}")
                return made(h, styles[:, number], noise[number])

            h = layer(layer(h, 2 * i - 1, up=True) if i else h, 2 * i)
            if i and self.architecture == "resnet":
                skip = equalized.Conv(features, 1, use_bias=False, dtype=self.dtype, name=f"block_{i}_skip")
                h = (h + resampling.double(skip(entering))) * math.sqrt(0.5)
            image = None if image is None else resampling.double(image)
            if self.architecture == "skip" or i == doublings:
                part = ToImage(self.shape[-1], name=f"block_{i}_image")(h, styles[:, 2 * i + 1])
                image = part if image is None else image + part
        return image

    def at(self, halvings: int) -> int:
        """Width of the maps that many halvings below the image."""
        return min(self.width * 2**halvings, self.largest)


class StyleGAN2Encoder(nn.Module):
    """The discriminator without its last layer: blocks of two 3x3 convolutions that halve, a 3x3, a dense layer.

    `width` and `largest` as in the generator. A condition is appended to the image's channels; the released code has a
    mapping network of the label instead (`conditioning.name=mapped`). A statistic is appended before the last 3x3.
    """

    width: Count = 256
    largest: Count = 512
    architecture: str = "resnet"
    dtype: Any = jnp.float32

    EQUALIZED = True
    """Heads on the features have equalised learning rates too."""

    @nn.compact
    def __call__(self, x: Maps, condition: Condition = None, *, train: bool, statistic: Statistic = unchanged
                 ) -> Float[Array, "b f"]:
        halvings = levels(x.shape[1:])[1]
        lookup(dict.fromkeys(ARCHITECTURES), self.architecture, "architecture of StyleGAN2")
        conv = partial(equalized.Conv, dtype=self.dtype)
        image, h = blocks.join(x, condition), None
        for i in range(halvings + 1):
            features = [min(self.width * 2**k, self.largest) for k in (i, i + 1)]
            if i == 0 or self.architecture == "skip":
                part = active(conv(features[0], 1, name=f"block_{i}_image")(image))
                h, image = part if h is None else h + part, resampling.halve(image)
            if i == halvings:
                break
            entering = h
            h = active(conv(features[0], 3, name=f"block_{i}_layer_0")(h))
            halving = conv(features[1], 3, 2, "VALID", name=f"block_{i}_layer_1")
            h = active(halving(resampling.filtered(h, 2)))
            if self.architecture == "resnet":
                skip = conv(features[1], 1, use_bias=False, name=f"block_{i}_skip")
                h = (h + skip(resampling.halve(entering))) * math.sqrt(0.5)
        h = active(conv(h.shape[-1], 3, name="last_layer")(statistic(h)))
        return active(equalized.Dense(h.shape[-1], dtype=self.dtype, name="features")(h.reshape(len(h), -1)))
