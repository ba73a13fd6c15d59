"""What a VAE minimises: minus a bound of log p(x), and weighted regularizers of its latents."""

import inspect
from typing import NamedTuple

import jax
from jaxtyping import Array, Float, PRNGKeyArray
from ml_collections import ConfigDict

from gen.families import common
from gen.families.types import Batch, Metrics, TrainState
from gen.families.vae.factor import SecondPlayer
from gen.families.vae.latent import POSTERIOR, PRIOR_ENCODER, Inference, Model, Parameters, hold
from gen.objectives.bounds import BOUNDS, Sides, Terms
from gen.objectives.regularizers import REGULARIZERS
from gen.schedules import acts


class Objective(NamedTuple):
    """The config's objective for a model; `second` is the discriminator of the regularizer `factor`, if that is there.

    All methods are pure functions.
    """

    config: ConfigDict
    model: Model
    second: SecondPlayer | None

    def bound(self, params: Parameters, state: TrainState, batch: Batch, key: PRNGKeyArray):
        """The bound of each example. Returns (Float[b] or Sides, (inference, variables))."""
        config, bound = self.config, BOUNDS[self.config.objective.name]
        inference, variables = self.model.infer(params, state.variables, batch, key, config.samples, train=True)
        terms = inference.terms
        if acts(config, "kl_weight"):
            terms = terms.tempered(state.hypers["kl_weight"])
        options = common.options(config.objective, "objective", state.hypers)
        if "step" in inspect.signature(bound).parameters:
            options["step"] = state.step
        return bound(terms, **options), (inference, variables)

    def loss(self, params: Parameters, state: TrainState, batch: Batch, key: PRNGKeyArray):
        """-bound + weighted regularizers, averaged. Returns (loss, ((variables, metrics), posterior samples [b d])).

        Of a bound with two sides each part of the model climbs its own.
        """
        value, (inference, variables) = self.bound(params, state, batch, key)
        if isinstance(value, Sides):
            split = params | {PRIOR_ENCODER: params[POSTERIOR]}
            others = [name for name in split if name != POSTERIOR]
            model_side = self.bound(hold(split, POSTERIOR), state, batch, key)[0].model
            posterior_side = self.bound(hold(split, *others), state, batch, key)[0].posterior
            value = model_side + posterior_side - jax.lax.stop_gradient(posterior_side)
        total, penalties = -value.mean(), {}
        for name in self.config.regularizers:
            penalties[name] = self.regularizer(name, state, inference)
            total += state.hypers[f"regularizers.{name}.weight"] * penalties[name]
        metrics = penalties | {name: values.mean() for name, values in elbo_metrics(inference.terms).items()}
        return total, ((variables, metrics), inference.latents.z)

    def regularizer(self, name: str, state: TrainState, inference: Inference) -> Float[Array, ""]:
        """A regularizer of the batch's latents, without its weight."""
        options = common.options(self.config.regularizers[name], f"regularizers.{name}", state.hypers)
        del options["weight"]
        if name == "factor":
            options["discriminate"] = self.second.discriminate(state.params["discriminator"])
        return REGULARIZERS[name](inference.latents, **options)


def elbo_metrics(terms: Terms) -> Metrics:
    """ELBO, reconstruction (log-likelihood) and KL of each example, in nats, whatever objective is trained."""
    log_likelihood, kl = terms.log_likelihood.mean(0), terms.kl.sum(-1)
    return {"elbo": log_likelihood - kl, "log_likelihood": log_likelihood, "kl": kl}
