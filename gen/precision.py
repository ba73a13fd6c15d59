"""How exactly products are computed: the training step as the config's `precision` says, all else in full float32.

Parameters, optimizers, losses and statistics are float32 throughout. What differs is how matrix products and
convolutions round what they multiply; sums are of float32.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from gen.errors import lookup

F = TypeVar("F", bound=Callable)

HIGHEST = "highest"


class Policy(NamedTuple):
    """How a training step computes.

    Attributes:
      products: of float32 numbers, in JAX's words (`jax.default_matmul_precision`).
      activations: type of what the networks pass from layer to layer, and multiply.
    """

    products: str
    activations: jnp.dtype


PRECISIONS = {
    "float32": Policy(HIGHEST, jnp.dtype("float32")),
    "tensorfloat32": Policy("tensorfloat32", jnp.dtype("float32")),
    "bfloat16": Policy(HIGHEST, jnp.dtype("bfloat16")),
}
"""By name, as in a config. `float32`, the default, rounds each number to 24 bits, `tensorfloat32` those that are
multiplied to 11 (the tensor cores of NVIDIA's GPUs since Ampere; three passes of bfloat16 on a TPU; no difference on a
CPU), `bfloat16` activations to 8."""


def policy(config: ConfigDict) -> Policy:
    """What the config's `precision` means; a UserError for an unknown one."""
    return lookup(PRECISIONS, config.precision, "config.precision")


def in_float32(config: ConfigDict) -> ConfigDict:
    """The config of the same model in float32."""
    copy = config.copy_and_resolve_references()
    copy.precision = "float32"
    return copy


def multiplying(products: str) -> Callable[[F], F]:
    """Decorates a function: its products of float32 numbers are computed so, in JAX's words."""
    def decorate(function: F) -> F:
        @functools.wraps(function)
        def computed(*args, **kwargs):
            with jax.default_matmul_precision(products):
                return function(*args, **kwargs)

        return computed

    return decorate


exact = multiplying(HIGHEST)
"""Decorates a function: its products of float32 numbers are computed in full."""
