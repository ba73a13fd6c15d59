"""What a latent-variable model is to the family that trains it: parameters, k posterior samples, samples of p(x)."""

from collections.abc import Callable
from typing import NamedTuple

import jax
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
      latents: of the first sample, for regularizers; of the layer next to x in a hierarchy.
    """

    terms: Terms
    latents: Latents


class Model(NamedTuple):
    """p(x, z) and q(z|x) as pure functions of parameters and variables, dicts with the same entries.

    `condition` is () or, in a conditional model, (one-hot labels [b c],).

    Attributes:
      init: (key, batch) -> (params, variables).
      infer: (params, variables, batch, key, k, *, train) -> (Inference, variables): k samples as one batch.
      encode: (params, variables, x, *condition) -> q of the latents next to x, in a ladder at the mean of the layer
        above; None where q is a flow.
      code: (params, variables, x, *condition) -> the latents [b d] at the centre of q: its mean, or where a flow takes
        the mean of its noise.
      decode: (params, variables, z [n d], *condition) -> p(x|z).
      draw: (params, variables, key, n) -> n samples [n d] of p(z), of the latents next to x.
      log_prior: (params, variables, z [... d]) -> log p(z) of the latents next to x; None in a hierarchy.
      likelihood: what turns the decoder's output into p(x|z).
    """

    init: Callable[[PRNGKeyArray, Batch], tuple[Parameters, Parameters]]
    infer: Callable[..., tuple[Inference, Parameters]]
    encode: Callable[..., Normal] | None
    code: Callable[..., Array]
    decode: Callable[..., Distribution]
    draw: Callable[[Parameters, Parameters, PRNGKeyArray, int], Array]
    log_prior: Callable[[Parameters, Parameters, Array], Array] | None
    likelihood: Likelihood


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
