"""Variational autoencoders (Kingma & Welling 2014): a latent-variable model trained on a bound of log p(x).

The model, of one layer of latents (`one_layer`) or several (`hierarchical` of vectors, `bidirectional` of maps), gives
the terms of the bound for k posterior samples. The bound is a function of the terms (`gen.objectives.bounds`);
regularizers look at the latents of a batch.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray
from ml_collections import ConfigDict

from gen import optimizers
from gen.config import Part, field_of, flatten
from gen.config.ranges import Count, NonNegative
from gen.data import Spec
from gen.distributions import Normal
from gen.distributions.likelihoods import LIKELIHOODS
from gen.distributions.posteriors import POSTERIORS
from gen.distributions.priors import PRIORS
from gen.errors import UserError, lookup
from gen.families import common
from gen.families.types import Batch, Family, Metrics, TrainState
from gen.families.vae import bidirectional, factor, hierarchical, one_layer
from gen.families.vae.factor import SecondPlayer
from gen.families.vae.latent import Model, Temperature, Top, apart, condition
from gen.families.vae.objective import Objective, elbo_metrics
from gen.networks import ENCODERS, VAE_DECODERS, VAE_ENCODERS
from gen.objectives.bounds import BOUNDS
from gen.objectives.regularizers import REGULARIZERS
from gen.rng import stream

NETWORK = frozenset({"shape", "dtype"})

SCHEMA = {
    "": {"latents": Count, "samples": field_of(Count, 1), "kl_weight": field_of(NonNegative[float], 1.0),
         "output_bias": "zero", "conditional": False},
    "encoder": Part(VAE_ENCODERS, "encoder", supplied=NETWORK, optional=True),
    "decoder": Part(VAE_DECODERS, "decoder", supplied=NETWORK, optional=True),
    "posterior": Part(POSTERIORS, "posterior", supplied=frozenset({"encoder", "latents"})),
    "prior": Part(PRIORS, "prior", supplied=frozenset({"latents", "shape", "range"})),
    "hierarchy": Part(hierarchical.HIERARCHIES | bidirectional.NETWORKS, "hierarchy",
                      supplied=hierarchical.SUPPLIED | bidirectional.SUPPLIED, optional=True),
    "likelihood": Part(LIKELIHOODS, "likelihood", supplied=frozenset({"range"})),
    "objective": Part(BOUNDS, "objective", supplied=frozenset({"terms", "step"})),
    "regularizers": Part(REGULARIZERS, "regularizer", supplied=frozenset({"latents", "discriminate"}), many=True,
                         common={"weight": field_of(NonNegative[float], 1.0)}),
    "optimizer": Part(optimizers.OPTIMIZERS, "optimizer", common=optimizers.COMMON),
    "discriminator": Part(ENCODERS, "discriminator", supplied=NETWORK, optional=True),
    "discriminator_optimizer": Part(optimizers.OPTIMIZERS, "optimizer", common=optimizers.COMMON, optional=True),
}
"""What the config of a VAE says; `ABOUT` has the meanings."""

ABOUT = {
    "latents": "Dimensions of z: of the layer next to x in a hierarchy of vectors, channels of each layer in one of "
               "maps.",
    "samples": "Posterior samples k of the objective.",
    "kl_weight": "Of log p(z) and log q(z|x) in the objective, whichever it is; a schedule of it is a KL warm-up "
                 "(Sonderby et al. 2016), as `warm_up` or `stairs`.",
    "output_bias": "zero, or data_mean to begin at the mean of the data.",
    "conditional": "Encoder and decoder are given the label.",
    "encoder": "Of examples, to what the posterior is made of; a hierarchy of maps has its own.",
    "decoder": "Of latents, to what the likelihood is made of; a hierarchy of maps has its own.",
    "posterior": "q(z|x).",
    "prior": "p(z).",
    "hierarchy": "Further layers of latents.",
    "likelihood": "p(x|z).",
    "objective": "The bound of log p(x) that is climbed.",
    "regularizers": "Of the latents, beside the bound.",
    "regularizers.weight": "What the regularizer is multiplied by.",
    "optimizer": "Of all parameters of the model.",
    "discriminator": "Of the regularizer `factor`.",
    "discriminator_optimizer": "Of the regularizer `factor`.",
}
"""Key to its meaning."""

DEFAULTS = {"posterior": {"name": "normal"}, "prior": {"name": "standard_normal"}}
"""Parts that an experiment need not name."""

HYPERS = ("kl_weight", "objective", "regularizers")
"""Where the config's floats are that may differ between replicas of one program, beside those of the optimizers."""

FLOATS = (*HYPERS, "ema_half_life", "ema_rampup", "optimizer", "discriminator_optimizer")
"""Where the floats are that may have a schedule."""


def builder(config):
    """The module of this package that builds the model that the config describes."""
    if "hierarchy" not in config:
        return one_layer
    return bidirectional if config.hierarchy.name in bidirectional.NETWORKS else hierarchical


def check(config) -> None:
    """Raises a UserError if parts or numbers of the config do not make a VAE together."""
    for part in ("encoder", "decoder"):
        whole = builder(config) is bidirectional
        if (part in config) == whole:
            raise UserError(f"config.{part}: config.hierarchy.name={config.hierarchy.name} has its own; leave it out."
                            if whole else f"config.{part}.name: is missing; choose one of "
                            f"{', '.join(sorted(SCHEMA[part].table))}.")
    lookup(dict.fromkeys(("zero", "data_mean")), config.output_bias, "config.output_bias")
    values = flatten(config)
    bounds = values.get("posterior.log_variance_bounds", ())
    if bounds and (len(bounds) != 2 or bounds[0] >= bounds[1]):
        raise UserError(f"config.posterior.log_variance_bounds={bounds} must be a least and a larger value, or ().")
    rows = config.train.batch_size // config.train.microbatches
    if "mmd" in config.regularizers and rows < 2:
        raise UserError(f"config.regularizers.mmd compares pairs of examples, and config.train.batch_size / "
                        f"config.train.microbatches = {rows}: at least 2 are needed.")
    if not values.get("hierarchy.latents", (1,)):
        raise UserError("config.hierarchy.latents=() must name the latents of at least one more layer.")


class VAE(NamedTuple):
    """A latent-variable model, its objective, and how it is trained. All methods are pure functions of the state.

    Attributes:
      model: p(x, z) and q(z|x).
      objective: what is minimised.
      second: FactorVAE's discriminator, if there is that regularizer.
    """

    config: ConfigDict
    spec: Spec
    model: Model
    objective: Objective
    second: SecondPlayer | None

    @property
    def classes(self) -> int:
        """Labels that the model is conditioned on, 0 for none."""
        return self.spec.classes if self.config.conditional else 0

    def init(self, key: PRNGKeyArray, examples: Batch) -> TrainState:
        """The state before the first step."""
        params, variables = self.model.init(key, examples)
        state = TrainState(
            step=jnp.zeros((), jnp.int32),
            key=key,
            params=params,
            variables=variables,
            opt_state={"optimizer": optimizers.init(self.config, "optimizer", params)},
            ema={},
            hypers=common.hypers(self.config, *HYPERS) | optimizers.hypers(self.config, "optimizer"),
        )
        return self.second.init(state) if self.second else state

    def descend(self, state: TrainState, batch: Batch, key: PRNGKeyArray
                ) -> tuple[TrainState, Float[Array, "b d"], Metrics]:
        """One step of the optimizer on the loss. Returns also the posterior samples."""
        params = {name: part for name, part in state.params.items() if name != "discriminator"}
        differentiated = common.value_and_grad(
            lambda params, batch, key: self.objective.loss(params, state, batch, key), self.config.train.microbatches)
        (value, ((variables, metrics), z)), grads = differentiated(params, batch, key)
        size = optimizers.norm(grads)
        params, opt_state, limited = optimizers.move(
            self.config, "optimizer", state.hypers, grads, state.opt_state["optimizer"], params, size)
        metrics = {"loss": value, "gradient_norm": size} | metrics | limited
        variables = optimizers.unless(limited.get("skipped_updates"), state.variables | variables, state.variables)
        state = state.replace(params=state.params | params, variables=variables,
                              opt_state=state.opt_state | {"optimizer": opt_state})
        return state, z, metrics

    def update(self, state: TrainState, batch: Batch, key: PRNGKeyArray) -> tuple[TrainState, Metrics]:
        """One step of the optimizer and, in FactorVAE, one of the discriminator (Kim & Mnih 2018, algorithm 2)."""
        if self.second is None:
            state, _, metrics = self.descend(state, batch, key)
            return state.replace(step=state.step + 1), metrics
        both = common.rounds(batch, 2)
        batch, other = (jax.tree.map(lambda v, i=i: v[i], both) for i in range(2))
        inference, _ = self.model.infer(state.params, state.variables, other, stream(key, "other"), 1, train=True)
        state, z, metrics = self.descend(state, batch, key)
        state, more = self.second.update(state, z, inference.latents.z, stream(key, "permutation"))
        return state.replace(step=state.step + 1), metrics | more

    def evaluate(self, state: TrainState, batch: Batch, key: PRNGKeyArray) -> Metrics:
        """The ELBO of each example and its parts in nats, and bits per dimension where the likelihood has levels.

        Of a hierarchy there is also the KL of each layer, counted from 1 next to x.
        """
        inference, _ = self.model.infer(state.params, state.variables, batch, key, 1, train=False)
        metrics = elbo_metrics(inference.terms)
        if len(self.model.layers) > 1:
            metrics |= {f"kl_layer_{i}": kl for i, kl in enumerate(inference.terms.kl.T, 1)}
        if self.model.likelihood.quantized:
            metrics["bits_per_dim"] = -metrics["elbo"] / (jnp.log(2) * batch["x"][0].size)
        return metrics

    def labels(self, label: Int[Array, "n"] | None) -> tuple[Array, ...]:
        """(one-hot labels,), or () where the model is not conditional."""
        return condition(label, self.classes)

    def decode(self, state: TrainState, z: Float[Array, "n d"], label: Int[Array, "n"] | None = None
               ) -> Float[Array, "n ..."]:
        """E[x|z], in data units."""
        return self.model.decode(state.params, state.variables, z, *self.labels(label)).mean()

    def encode(self, state: TrainState, x: Float[Array, "n ..."], label: Int[Array, "n"] | None = None) -> Normal:
        """q(z|x)."""
        return self.model.encode(state.params, state.variables, x, *self.labels(label))

    def code(self, state: TrainState, x: Float[Array, "n ..."], label: Int[Array, "n"] | None = None
             ) -> Float[Array, "n d"]:
        """The latents at the centre of q(z|x): its mean, or where a flow takes the mean of its noise."""
        return self.model.code(state.params, state.variables, x, *self.labels(label))

    def reconstruct(self, state: TrainState, x: Float[Array, "n ..."], label: Int[Array, "n"] | None = None
                    ) -> Float[Array, "n ..."]:
        """E[x|z] at the posterior's centre."""
        return self.decode(state, self.code(state, x, label), label)

    def log_weights(self, state: TrainState, batch: Batch, key: PRNGKeyArray, k: int) -> Float[Array, "k b"]:
        """log p(x, z_k) - log q(z_k | x) of k posterior samples of each example, in nats."""
        return self.model.infer(state.params, state.variables, batch, key, k, train=False)[0].terms.log_w

    def log_joint(self, state: TrainState, batch: Batch, z: Float[Array, "k b d"]
                  ) -> tuple[Float[Array, "k b"], Float[Array, "k b"]]:
        """(log p(z), log p(x|z)) at any latents, in nats."""
        p_x = self.model.decode(state.params, state.variables, z, *condition(batch.get("label"), self.classes))
        return (self.model.log_prior(state.params, state.variables, z),
                self.model.likelihood.log_prob(p_x, batch["x"], 2))

    def latents(self, state: TrainState, key: PRNGKeyArray, n: int, temperature: Temperature = 1.0
                ) -> Float[Array, "n d"]:
        """n samples of p(z), the scale of each layer times a temperature: one number, or one for each layer."""
        return self.model.draw(state.params, state.variables, key, n, temperature=temperature)

    def complete(self, state: TrainState, key: PRNGKeyArray, z: Float[Array, "n d"], layers: int,
                 temperature: Temperature = 1.0) -> Float[Array, "n d"]:
        """Latents whose upper `layers` are those of z, the others drawn from p given them at a temperature."""
        return self.model.draw(state.params, state.variables, key, len(z), Top(layers, z), temperature)

    def by_layer(self, state: TrainState, z: Float[Array, "*n d"]) -> list[Float[Array, "..."]]:
        """The latents of each layer, from the one next to x, flat."""
        return apart(z, self.model.layers)

    def simulate(self, state: TrainState, key: PRNGKeyArray, n: int) -> tuple[Batch, Float[Array, "n d"]]:
        """Samples (x, z) of p(x, z), as a batch and its latents."""
        label = common.draw_labels(stream(key, "label"), n, self.spec) if self.classes else jnp.zeros(n, jnp.int32)
        z = self.latents(state, stream(key, "latents"), n)
        p_x = self.model.decode(state.params, state.variables, z, *self.labels(label))
        return {"x": p_x.sample(stream(key, "x")), "label": label}, z

    def sample(self, state: TrainState, key: PRNGKeyArray, n: int, label: Int[Array, "n"] | None = None
               ) -> Float[Array, "n ..."]:
        """E[x|z] for z ~ p(z); without labels a conditional model draws them as the data has them."""
        if self.classes and label is None:
            label = common.draw_labels(stream(key, "label"), n, self.spec)
        return self.decode(state, self.latents(state, key, n), label)


def make(config, spec: Spec) -> Family:
    """The VAE that the config describes, for examples of `spec`, as a Family."""
    check(config)
    model = builder(config).build(config, spec)
    latents = sum(math.prod(shape) for shape in model.layers)
    second = factor.make(config, latents) if "factor" in config.regularizers else None
    vae = VAE(config, spec, model, Objective(config, model, second), second)
    methods = {"code": vae.code, "decode": vae.decode, "reconstruct": vae.reconstruct, "log_weights": vae.log_weights,
               "latents": vae.latents, "simulate": vae.simulate, "log_joint": vae.log_joint}
    if model.encode:
        methods["encode"] = vae.encode
    if len(model.layers) > 1:
        methods |= {"by_layer": vae.by_layer, "complete": vae.complete}
    return Family(vae.init, vae.update, vae.evaluate, vae.sample, methods, batches=2 if second else 1)
