"""Penalties on a discriminator: functions (discriminate, real, fake, key) -> Float[b], any of them with any loss.

`discriminate` maps examples [b ...] to logits [b]. The loss of the discriminator gains weight * penalty; the
weight is a leaf of the TrainState.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

Examples = Float[Array, "b ..."]
Discriminate = Callable[[Examples], Float[Array, "b"]]


def squared_gradient_norm(discriminate: Discriminate, x: Examples) -> Float[Array, "b"]:
    """||grad_x D(x)||^2 of each example."""
    gradient = jax.grad(lambda x: discriminate(x).sum())(x)
    return jnp.square(gradient).reshape(len(x), -1).sum(-1)


def r1(discriminate: Discriminate, real: Examples, fake: Examples, key: PRNGKeyArray) -> Float[Array, "b"]:
    """||grad D(x)||^2 on real examples (Mescheder et al. 2018, eq. 9; their gamma / 2 is our weight)."""
    return squared_gradient_norm(discriminate, real)


PENALTIES = {"r1": r1}
