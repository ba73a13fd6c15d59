"""Masked dense networks: output i depends on inputs before i alone."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gen.networks import blocks
from gen.networks.layers import Dense


class MaskedDense(nn.Module):
    """x (W * mask) + b."""

    mask: np.ndarray
    kernel_init: Callable = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Float[Array, "... i"]) -> Float[Array, "... o"]:
        kernel = self.param("kernel", self.kernel_init, self.mask.shape)
        return x @ (kernel * self.mask) + self.param("bias", nn.initializers.zeros_init(), self.mask.shape[1:])


class MADE(nn.Module):
    """Masked autoencoder (Germain et al. 2015): `outputs` numbers for each of d inputs, those of input i computed from
    inputs 0..i-1 and from a context. The last layer begins at zero.

    No hidden unit leads to those of input 0, which are learned constants, whatever the context. So is the mask over the
    channels of one pixel in the released code of Kingma et al. 2016 (`get_linear_ar_mask`, openai/iaf). A flow here
    reverses its inputs between steps, so that each of two or more depends on the context in some step.
    """

    hidden: tuple[int, ...]
    outputs: int
    activation: str = "relu"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Float[Array, "... d"], context: Float[Array, "... c"] | None = None
                 ) -> Float[Array, "... d o"]:
        d, act, h = z.shape[-1], blocks.activation(self.activation), z
        degrees = np.arange(d)
        for i, width in enumerate(self.hidden):
            new = np.arange(width) % max(d - 1, 1)
            h = MaskedDense((degrees[:, None] <= new).astype(np.float32))(h)
            if context is not None and i == 0:
                h = h + Dense(width, use_bias=False, name="context")(context)
            h, degrees = act(h), new
        mask = np.repeat((degrees[:, None] < np.arange(d)).astype(np.float32), self.outputs, axis=1)
        out = MaskedDense(mask, nn.initializers.zeros_init(), name="output")(h)
        return out.reshape(*out.shape[:-1], d, self.outputs)
