"""Variational autoencoders (Kingma & Welling 2014): an encoder q(z|x), a decoder p(x|z), a prior p(z), a bound.

The networks give the terms of the bound for k posterior samples; the bound is a function of the terms
(`gen.objectives.bounds`).
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from gen.config import Part
from gen.config import make as make_part
from gen.data import Spec
from gen.distributions import Bernoulli, Distribution, Normal, kl_normal, standard_normal
from gen.errors import UserError
from gen.families import common
from gen.families.types import Batch, Family, Metrics, TrainState
from gen.networks import DECODERS, ENCODERS
from gen.networks.layers import Dense
from gen.objectives.bounds import BOUNDS, Terms
from gen.rng import stream
from gen.training import optimizers


class Likelihood(NamedTuple):
    """p(x|z) from a decoder's output.

    Attributes:
      outputs: decoder outputs per element of x.
      distribution: output [... c * outputs] -> distribution over [... c].
    """

    outputs: int
    distribution: Callable[[Array], Distribution]


def bernoulli() -> Likelihood:
    """Bernoulli with the decoder's output as logits; for data in [0, 1]."""
    return Likelihood(1, Bernoulli)


def normal(scale: float = 1.0) -> Likelihood:
    """Normal with the decoder's output as mean and a fixed scale, in data units."""
    return Likelihood(1, lambda out: Normal(out, jnp.full_like(out, jnp.log(scale))))


def normal_predicted(smallest_log_scale: float = -5.0) -> Likelihood:
    """Normal whose mean and log-scale both come from the decoder; the log-scale is bounded below."""

    def distribution(out):
        loc, log_scale = jnp.split(out, 2, axis=-1)
        return Normal(loc, smallest_log_scale + jax.nn.softplus(log_scale - smallest_log_scale))

    return Likelihood(2, distribution)


LIKELIHOODS = {"bernoulli": bernoulli, "normal": normal, "normal_predicted": normal_predicted}


NETWORK = frozenset({"shape", "dtype"})

SCHEMA = {
    "": {"latents": int, "samples": 1},
    "encoder": Part(ENCODERS, "encoder", supplied=NETWORK),
    "decoder": Part(DECODERS, "decoder", supplied=NETWORK),
    "likelihood": Part(LIKELIHOODS, "likelihood"),
    "objective": Part(BOUNDS, "objective", supplied=frozenset({"terms"})),
    "optimizer": Part(optimizers.OPTIMIZERS, "optimizer"),
}
"""What the config of a VAE says. `latents`: dimensions of z; `samples`: posterior samples k of the objective."""


class Posterior(nn.Module):
    """q(z|x): diagonal normal, its mean and log-scale linear in the encoder's features."""

    encoder: nn.Module
    latents: int

    @nn.compact
    def __call__(self, x: Float[Array, "b ..."], *, train: bool) -> Normal:
        h = self.encoder(x, train=train).astype(jnp.float32)
        return Normal(Dense(self.latents, name="loc")(h), Dense(self.latents, name="log_scale")(h))


class Model(NamedTuple):
    """The parts of a VAE that the config names."""

    posterior: Posterior
    decoder: nn.Module
    likelihood: Likelihood
    latents: int


def build(config, spec: Spec) -> Model:
    """Builds the modules and the likelihood for examples of `spec`.

    Raises:
      UserError: the likelihood does not fit the units of the data, or a part's options are wrong.
    """
    if config.likelihood.name == "bernoulli" and spec.range != "unit":
        raise UserError(f"The bernoulli likelihood needs data in [0, 1], and data.range is {spec.range!r}: "
                        "set --config.data.range=unit, or --config.likelihood.name=normal.")
    likelihood = make_part(LIKELIHOODS, config.likelihood, "likelihood")
    dtype = jnp.dtype(config.dtype)
    encoder = make_part(ENCODERS, config.encoder, "encoder", dtype=dtype)
    shape = (*spec.shape[:-1], spec.shape[-1] * likelihood.outputs)
    decoder = make_part(DECODERS, config.decoder, "decoder", shape=shape, dtype=dtype)
    return Model(Posterior(encoder, config.latents), decoder, likelihood, config.latents)


def decode(model: Model, params, variables, z: Float[Array, "b d"], *, train: bool):
    """p(x|z) and the decoder's variables after it."""
    out, variables = common.apply(model.decoder, params, variables, z, train=train)
    return model.likelihood.distribution(out.astype(jnp.float32)), variables


def bound_terms(model: Model, params, variables, x: Float[Array, "b ..."], key: PRNGKeyArray, k: int, *, train: bool
                ) -> tuple[Terms, dict]:
    """The terms of the bound for k posterior samples of each example, as one batch. Returns (terms, variables)."""
    q, encoder_variables = common.apply(model.posterior, params["encoder"], variables["encoder"], x, train=train)
    z = q.loc + jnp.exp(q.log_scale) * jax.random.normal(key, (k, *q.loc.shape))
    p_x, decoder_variables = decode(
        model, params["decoder"], variables["decoder"], z.reshape(-1, model.latents), train=train)
    prior = standard_normal((model.latents,))
    x = jnp.broadcast_to(x, (k, *x.shape)).reshape(-1, *x.shape[1:])
    terms = Terms(
        log_likelihood=p_x.log_prob(x).reshape(k, q.loc.shape[0], -1).sum(-1),
        log_prior=prior.log_prob(z).sum(-1),
        log_posterior=q.log_prob(z).sum(-1),
        kl=kl_normal(q, prior).sum(-1),
    )
    return terms, {"encoder": encoder_variables, "decoder": decoder_variables}


def make(config, spec: Spec) -> Family:
    """The VAE that the config describes, for examples of `spec`, as a Family."""
    model = build(config, spec)
    objective = BOUNDS[config.objective.name]

    def init(key: PRNGKeyArray, examples: Batch) -> TrainState:
        encoder, encoder_variables = common.initial(model.posterior, stream(key, "init encoder"), examples["x"][:2])
        decoder, decoder_variables = common.initial(
            model.decoder, stream(key, "init decoder"), jnp.zeros((2, model.latents)))
        params = {"encoder": encoder, "decoder": decoder}
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            key=key,
            params=params,
            variables={"encoder": encoder_variables, "decoder": decoder_variables},
            opt_state={"optimizer": optimizers.transformation(config.optimizer, 0.0).init(params)},
            ema={},
            hypers=common.hypers(config, "optimizer.learning_rate", "objective"),
        )

    def update(state: TrainState, batch: Batch, key: PRNGKeyArray) -> tuple[TrainState, Metrics]:
        def loss(params):
            terms, variables = bound_terms(
                model, params, state.variables, batch["x"], key, config.samples, train=True)
            bound = objective(terms, **common.options(config.objective, "objective", state.hypers))
            return -bound.mean(), (terms, variables)

        (value, (terms, variables)), grads = jax.value_and_grad(loss, has_aux=True)(state.params)
        rate = state.hypers["optimizer.learning_rate"] * optimizers.factor(config.schedule, state.step)
        params, opt_state = optimizers.descend(
            config.optimizer, rate, grads, state.opt_state["optimizer"], state.params)
        metrics = {"loss": value, "gradient_norm": common.norm(grads)}
        metrics |= {name: values.mean() for name, values in elbo_metrics(terms).items()}
        return state.replace(step=state.step + 1, params=params, variables=variables,
                             opt_state={"optimizer": opt_state}), metrics

    def evaluate(state: TrainState, batch: Batch, key: PRNGKeyArray) -> Metrics:
        terms, _ = bound_terms(model, state.params, state.variables, batch["x"], key, 1, train=False)
        return elbo_metrics(terms)

    def decode_mean(state: TrainState, z: Float[Array, "b d"]) -> Float[Array, "b ..."]:
        """E[x|z], in data units."""
        return decode(model, state.params["decoder"], state.variables["decoder"], z, train=False)[0].mean()

    def encode(state: TrainState, x: Float[Array, "b ..."]) -> Normal:
        """q(z|x)."""
        return common.apply(model.posterior, state.params["encoder"], state.variables["encoder"], x, train=False)[0]

    def reconstruct(state: TrainState, x: Float[Array, "b ..."]) -> Float[Array, "b ..."]:
        """E[x|z] at the posterior's mean."""
        return decode_mean(state, encode(state, x).loc)

    def sample(state: TrainState, key: PRNGKeyArray, n: int) -> Float[Array, "n ..."]:
        return decode_mean(state, jax.random.normal(key, (n, model.latents)))

    return Family(init, update, evaluate, sample,
                  {"encode": encode, "decode": decode_mean, "reconstruct": reconstruct})


def elbo_metrics(terms: Terms) -> Metrics:
    """ELBO, reconstruction (log-likelihood) and KL of each example, in nats, whatever objective is trained."""
    log_likelihood = terms.log_likelihood.mean(0)
    return {"elbo": log_likelihood - terms.kl, "log_likelihood": log_likelihood, "kl": terms.kl}
