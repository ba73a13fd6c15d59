"""What a latent-variable model is to the family that trains it: parameters, k posterior samples, samples of p(x).

Its latents are those of one layer or several, vectors or maps. Everybody else sees them as one vector z: the layers,
flattened, from the one next to x to the top (`joined`). So each bound, regularizer, evaluator and picture serves all.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from gen.distributions import Distribution, Normal
from gen.distributions.likelihoods import Likelihood
from gen.errors import UserError
from gen.families.types import Batch
from gen.objectives.bounds import Terms
from gen.objectives.regularizers import Latents

Parameters = dict[str, PyTree]
POSTERIOR = "encoder"
"""The entry of the parameters that belongs to q(z|x); all others are the model's."""

PRIOR_ENCODER = "prior_encoder"
"""Where this entry is there, it is q's parameters as the prior sees them (at the vamp prior's pseudo-inputs): those
are the model's, so that a bound with two sides sends each gradient to its own."""


class Inference(NamedTuple):
    """k posterior samples of each example of a batch.

    Attributes:
      terms: of the bound.
      latents: of the first sample, for regularizers; those of all layers in a hierarchy.
    """

    terms: Terms
    latents: Latents


class Model(NamedTuple):
    """p(x, z) and q(z|x) as pure functions of parameters and variables, dicts with the same entries.

    `condition` is () or, in a conditional model, (one-hot labels [b c],). In a hierarchy p(z) is the product of p(z_L)
    and each layer's p given those above.

    Attributes:
      layers: the shape of each layer's latents, from the one next to x to the top; of z [... d] d is their size.
      init: (key, batch) -> (params, variables).
      infer: (params, variables, batch, key, k, *, train) -> (Inference, variables): k samples as one batch.
      encode: (params, variables, x, *condition) -> q of z, in a hierarchy that of each layer at the mean of the layers
        that it is conditioned on; None where q is a flow.
      code: (params, variables, x, *condition) -> the latents [b d] at the centre of q: its mean, or where a flow takes
        the mean of its noise.
      decode: (params, variables, z [n d], *condition) -> p(x|z).
      draw: (params, variables, key, n, top=Top(), temperature=1.0) -> n samples [n d] of p(z), of p given the layers
        of `top` where that has any; scales are multiplied by the temperature, one for all layers or one for each.
      log_prior: (params, variables, z [... d]) -> log p(z).
      likelihood: what turns the decoder's output into p(x|z).
    """

    layers: tuple[tuple[int, ...], ...]
    init: Callable[[PRNGKeyArray, Batch], tuple[Parameters, Parameters]]
    infer: Callable[..., tuple[Inference, Parameters]]
    encode: Callable[..., Normal] | None
    code: Callable[..., Array]
    decode: Callable[..., Distribution]
    draw: Callable[..., Array]
    log_prior: Callable[[Parameters, Parameters, Array], Array]
    likelihood: Likelihood


class Top(NamedTuple):
    """What the upper layers of a hierarchy are held at.

    Attributes:
      layers: how many, from the top; 0 for none.
      z: latents of all layers, of which those count; None where there are none.
    """

    layers: int = 0
    z: Float[Array, "n d"] | None = None


FREE = Top()
"""No layer is held."""


def joined(layers: Sequence[Float[Array, "..."]]) -> Float[Array, "... d"]:
    """Flat latents of each layer, from the one next to x, as one vector."""
    return layers[0] if len(layers) == 1 else jnp.concatenate(layers, axis=-1)


def apart(z: Float[Array, "... d"], layers: Sequence[tuple[int, ...]]) -> list[Float[Array, "..."]]:
    """The flat latents of each layer of these shapes."""
    ends = list(itertools.accumulate(map(math.prod, layers)))
    return jnp.split(z, ends[:-1], axis=-1)


Temperature = float | Sequence[float]
"""One for all layers of latents, or one for each, from the one next to x."""


def scales(temperature: Temperature, layers: int) -> list[float]:
    """The temperature of each layer, from the one next to x.

    Raises:
      UserError: another number of temperatures.
    """
    given = list(temperature) if isinstance(temperature, tuple | list) else [temperature] * layers
    if len(given) != layers:
        raise UserError(f"{len(given)} temperatures for {layers} layers of latents: give one, or one for each, from "
                        "the layer next to x to the top.")
    return given


def condition(label: Int[Array, "b"] | None, classes: int) -> tuple[Float[Array, "b c"], ...]:
    """(one-hot labels,), or () where `classes` is 0: the model is not conditional.

    Raises:
      UserError: the model is conditional, and there are no labels.
    """
    if classes and label is None:
        raise UserError("This model is conditional (config.conditional): it needs the labels of the examples.")
    return (jax.nn.one_hot(label, classes),) if classes else ()


def hold(params: Parameters, *names: str) -> Parameters:
    """The parameters with no gradient to these entries."""
    return {name: jax.lax.stop_gradient(part) if name in names else part for name, part in params.items()}
