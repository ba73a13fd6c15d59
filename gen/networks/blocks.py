"""What architectures share: activations and initial values by name, conditioning, norms, spectral normalisation."""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.initializers import Initializer
from jaxtyping import Array, Float

from gen.config.ranges import Decay, Positive
from gen.errors import UserError, lookup
from gen.networks.layers import BatchNorm, Dense

ACTIVATIONS: dict[str, Callable] = {
    "identity": lambda x: x,
    "relu": nn.relu,
    "leaky_relu": lambda x: nn.leaky_relu(x, 0.2),
    "tanh": nn.tanh,
    "elu": nn.elu,
    "swish": nn.swish,
    "gelu": nn.gelu,
}

INITIALIZERS: dict[str, Initializer] = {
    "lecun_normal": nn.initializers.lecun_normal(),
    "glorot_uniform": nn.initializers.glorot_uniform(),
    "he_normal": nn.initializers.he_normal(),
    "orthogonal": nn.initializers.orthogonal(),
    "kaiming_normal": nn.initializers.variance_scaling(2.0, "fan_in", "normal"),  # torch's; he_normal is truncated
    "torch_uniform": nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform"),  # of torch's layers by default
    "normal": nn.initializers.normal(0.02),  # Radford et al. 2016, section 4
    "fan_in_normal": nn.initializers.variance_scaling(1.0, "fan_in", "normal"),  # lecun_normal is cut off at 2 std
}

CONDITIONINGS = ("concatenate", "batch_norm")
"""How a decoder uses its condition: beside the latents, or as scale and shift of its batch norms."""

Condition = Float[Array, "b k"] | None

Statistic = Callable[[Float[Array, "b ... c"]], Float[Array, "b ... d"]]
"""What an encoder applies to its maps before its last layers: minibatch standard deviation appends a channel there."""


def unchanged(h: Float[Array, "b ... c"]) -> Float[Array, "b ... c"]:
    """No statistic."""
    return h


def activation(name: str) -> Callable:
    """Returns the activation function of that name."""
    return lookup(ACTIVATIONS, name, "activation")


def initializer(name: str) -> Initializer:
    """Returns the initializer of that name."""
    return lookup(INITIALIZERS, name, "initializer")


def join(x: Float[Array, "b ... c"], condition: Condition) -> Float[Array, "b ... d"]:
    """Appends the condition to the last axis, constant over the axes between (Mirza & Osindero 2014)."""
    if condition is None:
        return x
    shape = (len(x),) + (1,) * (x.ndim - 2) + condition.shape[1:]
    constant = jnp.broadcast_to(condition.reshape(shape), (*x.shape[:-1], condition.shape[-1]))
    return jnp.concatenate([x, constant.astype(x.dtype)], axis=-1)


def split_condition(z: Float[Array, "b d"], condition: Condition, conditioning: str, batch_norm: bool
                    ) -> tuple[Float[Array, "b e"], Condition]:
    """What a decoder's first layer and what its batch norms are given: (z with the condition, None) or (z, condition).

    Raises:
      UserError: no such conditioning, or conditional batch norm in a network without batch norm.
    """
    lookup(dict.fromkeys(CONDITIONINGS), conditioning, "conditioning of a decoder")
    if conditioning == "concatenate":
        return join(z, condition), None
    if condition is not None and not batch_norm:
        raise UserError("conditioning='batch_norm' needs batch_norm=true: or set conditioning='concatenate'.")
    return z, condition


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose scale 1 + W y and shift V y are linear in the condition y (Dumoulin et al. 2017, eq. 5).

    W = V = 0 at first, so that it starts as plain batch norm, where no other initial values are asked for.
    """

    momentum: Decay[float] = 0.99
    epsilon: Positive[float] = 1e-5
    dtype: Any = jnp.float32
    kernel_init: Initializer = nn.initializers.zeros
    spectral_norm: bool = False

    @nn.compact
    def __call__(self, h: Float[Array, "b ... c"], condition: Float[Array, "b k"], *, train: bool
                 ) -> Float[Array, "b ... c"]:
        h = BatchNorm(not train, momentum=self.momentum, epsilon=self.epsilon, use_scale=False, use_bias=False,
                      dtype=self.dtype)(h)
        shape = (len(h),) + (1,) * (h.ndim - 2) + (h.shape[-1],)
        linear = partial(Dense, h.shape[-1], use_bias=False, kernel_init=self.kernel_init, dtype=self.dtype)
        scale, shift = (constrained(linear(name=name), self.spectral_norm, train=train)(condition).reshape(shape)
                        for name in ("scale", "shift"))
        return h * (1 + scale) + shift


class BatchNormed(nn.Module, kw_only=True):
    """A network with batch norm, (h - mean) / sqrt(variance + epsilon), then a learned scale and shift.

    Attributes:
      batch_norm_momentum: what the running statistics keep of themselves in a step; 1 - momentum where torch says so.
      batch_norm_epsilon: added to the variance.
    """

    batch_norm_momentum: Decay[float] = 0.99
    batch_norm_epsilon: Positive[float] = 1e-5

    @property
    def batch_norm_options(self) -> dict[str, float]:
        """Both, for a network within this one."""
        return {"batch_norm_momentum": self.batch_norm_momentum, "batch_norm_epsilon": self.batch_norm_epsilon}

    def normalized(self, h: Float[Array, "b ... c"], condition: Condition = None, *, train: bool, **conditional
                   ) -> Float[Array, "b ... c"]:
        """Batch norm, conditional where a condition is given; a layer of this network, to be called as it is built.

        `conditional`: options of `ConditionalBatchNorm`.
        """
        options = {"momentum": self.batch_norm_momentum, "epsilon": self.batch_norm_epsilon, "dtype": self.dtype}
        if condition is None:
            return BatchNorm(use_running_average=not train, **options)(h)
        return ConditionalBatchNorm(**options, **conditional)(h, condition, train=train)


def constrained(layer: nn.Module, spectral_norm: bool, *, train: bool) -> Callable[[Array], Array]:
    """The layer, its kernel divided by its largest singular value if asked for (Miyato et al. 2018, algorithm 1).

    One power iteration each time the layer is applied in training.
    """
    return partial(nn.SpectralNorm(layer), update_stats=train) if spectral_norm else layer
