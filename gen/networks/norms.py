"""Group norm: Flax's parameters and numbers, in a form that is fast on the CPU.

XLA:CPU sums over the pixels of each channel three times faster than over pixels and the channels of a group at once; so
the channels' sums come first and those of the groups are sums of them. The result is one product and one sum for each
channel of an example, x a + b, and so is its gradient.

What follows the norm is computed with it: a gain and an offset of each channel go into a and b, and an activation is
computed again for its gradient, from x, in place of being kept.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from gen.errors import UserError
from gen.settled import settled


class GroupNorm(nn.Module):
    """Drop-in for `nn.GroupNorm(num_groups)`: (x - mean) / sqrt(variance + epsilon) of a group, times scale, plus bias.

    The moments are of float32 or wider; the variance is E[x^2] - E[x]^2, not below 0. Wu & He 2018, eq. 1-7.
    `activation` is applied to the result.
    """

    num_groups: int = 32
    epsilon: float = 1e-6
    dtype: Any = None
    param_dtype: Any = jnp.float32
    activation: Callable[[Array], Array] = lambda x: x

    @nn.compact
    def __call__(self, x: Float[Array, "b *space c"], gain: Float[Array, "b c"] | None = None,
                 offset: Float[Array, "b c"] | None = None) -> Float[Array, "b *space c"]:
        """Normalises each example by itself; its channels are then multiplied by a gain, and an offset is added."""
        channels, groups = x.shape[-1], self.num_groups
        if channels % groups:
            raise UserError(f"Group norm of {groups} groups: {channels} channels are no multiple of that.")
        scale = self.param("scale", nn.initializers.ones, (channels,), self.param_dtype)
        bias = self.param("bias", nn.initializers.zeros, (channels,), self.param_dtype)
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        space = tuple(range(1, x.ndim - 1))

        def of_groups(values: Array) -> Array:
            sums = values.sum(space).reshape(len(x), groups, -1)
            return jnp.repeat(sums.mean(-1), channels // groups, axis=-1)

        pixels = x.size // (len(x) * channels)
        mean = of_groups(wide) / pixels
        variance = jnp.maximum(of_groups(wide * wide) / pixels - mean**2, 0)
        factor = lax.rsqrt(variance + self.epsilon) * scale
        shift = bias - mean * factor
        if gain is not None:
            factor, shift = factor * gain, shift * gain
        dtype = self.dtype or jnp.result_type(x, scale)

        @jax.checkpoint
        def applied(x: Array, factor: Array, shift: Array) -> Array:
            return self.activation((x.astype(wide.dtype) * factor + shift).astype(dtype))

        both = settled(jnp.stack([factor, shift if offset is None else shift + offset]))
        return applied(x, *(jnp.expand_dims(a, space) for a in both))
