"""What denoisers share, and an MLP: networks (x_t [b ...], log_snr [b], condition) -> an output of the shape of x_t."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.config.ranges import Count, Natural
from gen.networks import blocks
from gen.networks.blocks import Condition
from gen.networks.layers import Dense

LONGEST, SHORTEST = 64.0, 1.0
"""Wavelengths of the features of log_snr, whose range is some 20 wide."""


def level_features(log_snr: Float[Array, "b"], n: int) -> Float[Array, "b n"]:
    """Sines and cosines of log_snr at n / 2 wavelengths in geometric steps (Vaswani et al. 2017, section 3.5)."""
    wavelength = jnp.geomspace(LONGEST, SHORTEST, n // 2)
    angle = 2 * jnp.pi * log_snr[:, None] / wavelength
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)


def with_fourier_features(x: Float[Array, "b ... c"], powers: tuple[int, ...]) -> Float[Array, "b ... d"]:
    """x with sin(2^n pi x) and cos(2^n pi x) of each n appended: fine detail (Kingma et al. 2021, section 5.1)."""
    angles = [2.0**n * jnp.pi * x for n in powers]
    return jnp.concatenate([x, *(wave(angle) for angle in angles for wave in (jnp.sin, jnp.cos))], axis=-1)


class LevelEmbedding(nn.Module):
    """The level of noise, and a condition where there is one, as a vector: what every block of a denoiser is told."""

    width: int
    activation: str
    dtype: Any

    @nn.compact
    def __call__(self, log_snr: Float[Array, "b"], condition: Condition) -> Float[Array, "b d"]:
        act = blocks.activation(self.activation)
        h = blocks.join(level_features(log_snr, self.width), condition)
        h = act(Dense(self.width, dtype=self.dtype)(h))
        return act(Dense(self.width, dtype=self.dtype)(h))


class MLPDenoiser(nn.Module):
    """Dense layers on the flattened x_t, each with scale and shift by the level; for points and small images.

    `fourier`: powers of two of `with_fourier_features`. The last layer is 0 at first.
    """

    hidden: tuple[Count, ...] = (128, 128, 128)
    features: Count = 64
    activation: str = "swish"
    fourier: tuple[Natural, ...] = ()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b ..."], log_snr: Float[Array, "b"], condition: Condition = None, *,
                 train: bool) -> Float[Array, "b ..."]:
        act = blocks.activation(self.activation)
        level = LevelEmbedding(self.features, self.activation, self.dtype)(log_snr, condition)
        h = with_fourier_features(x.reshape(len(x), -1), self.fourier)
        for width in self.hidden:
            scale, shift = jnp.split(Dense(2 * width, dtype=self.dtype)(level), 2, axis=-1)
            h = act(Dense(width, dtype=self.dtype)(h) * (1 + scale) + shift)
        out = Dense(x[0].size, kernel_init=nn.initializers.zeros, dtype=self.dtype, name="output")(h)
        return out.reshape(x.shape)
