"""Normalising flows: invertible maps with the log-determinant of their Jacobian."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gen.config.ranges import Count, NonNegative
from gen.networks import blocks
from gen.networks.layers import Dense
from gen.networks.masked import MADE


class Coupling(nn.Module):
    """Affine coupling: y = x where `mask` is 1, x exp(s) + t elsewhere, s and t functions of the masked x.

    Dinh et al. 2017, eq. 7-9; s = tanh(.) keeps a layer's log-scale within [-1, 1]. Begins as the identity.
    """

    mask: tuple[int, ...]
    hidden: tuple[int, ...]
    activation: str

    def setup(self):
        self.layers = [Dense(width) for width in self.hidden]
        self.output = Dense(2 * len(self.mask), kernel_init=nn.initializers.zeros_init())

    def scale_and_shift(self, x: Float[Array, "... d"]) -> tuple[Float[Array, "... d"], Float[Array, "... d"]]:
        """s and t, zero where `mask` is 1."""
        mask = np.asarray(self.mask, np.float32)
        h = x * mask
        for layer in self.layers:
            h = blocks.activation(self.activation)(layer(h))
        s, t = jnp.split(self.output(h), 2, axis=-1)
        return jnp.tanh(s) * (1 - mask), t * (1 - mask)

    def __call__(self, x: Float[Array, "... d"]) -> tuple[Float[Array, "... d"], Float[Array, "..."]]:
        """Returns (y, log|det dy/dx|)."""
        s, t = self.scale_and_shift(x)
        return x * jnp.exp(s) + t, s.sum(-1)

    def inverse(self, y: Float[Array, "... d"]) -> Float[Array, "... d"]:
        s, t = self.scale_and_shift(y)
        return (y - t) * jnp.exp(-s)


class RealNVP(nn.Module):
    """`layers` couplings whose masks alternate between even and odd coordinates (Dinh et al. 2017, section 3.5)."""

    features: int
    layers: Count = 8
    hidden: tuple[Count, ...] = (128, 128)
    activation: str = "relu"

    def setup(self):
        masks = [tuple((j + i) % 2 for j in range(self.features)) for i in range(self.layers)]
        self.couplings = [Coupling(mask, self.hidden, self.activation) for mask in masks]

    def __call__(self, x: Float[Array, "... d"]) -> tuple[Float[Array, "... d"], Float[Array, "..."]]:
        """Returns (y, log|det dy/dx|)."""
        log_det = jnp.zeros(x.shape[:-1])
        for coupling in self.couplings:
            x, step = coupling(x)
            log_det += step
        return x, log_det

    def inverse(self, y: Float[Array, "... d"]) -> Float[Array, "... d"]:
        for coupling in reversed(self.couplings):
            y = coupling.inverse(y)
        return y


class InverseAutoregressiveFlow(nn.Module):
    """`steps` of z <- sigma z + (1 - sigma) m, with m and sigma = sigmoid(s) autoregressive in z and the context.

    Kingma et al. 2016, algorithm 1, with the gate of eq. 14; the coordinates are reversed between steps.
    """

    steps: Count = 2
    hidden: tuple[Count, ...] = (320,)
    activation: str = "elu"
    forget_bias: NonNegative[float] = 1.5

    def setup(self):
        self.nets = [MADE(self.hidden, 2, self.activation) for _ in range(self.steps)]

    def __call__(self, z: Float[Array, "... d"], context: Float[Array, "... c"]
                 ) -> tuple[Float[Array, "... d"], Float[Array, "..."]]:
        """Returns (z after the flow, log|det dz'/dz|)."""
        log_det = jnp.zeros(z.shape[:-1])
        for net in self.nets:
            m, s = jnp.moveaxis(net(z[..., ::-1], context), -1, 0)
            s = s + self.forget_bias
            sigma = jax.nn.sigmoid(s)
            z = sigma * z[..., ::-1] + (1 - sigma) * m
            log_det += jax.nn.log_sigmoid(s).sum(-1)
        return z, log_det
