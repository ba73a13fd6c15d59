"""VAE-GAN (Larsen et al. 2016): a VAE whose reconstruction error is measured in the features of a discriminator.

Encoder and decoder are a VAE's, the discriminator and its loss a GAN's: algorithm 1 of the paper, reconstructions and
samples each a fake of weight 1, with all three updates at the same point and the non-saturating loss for the decoder.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
from ml_collections import ConfigDict

from gen import optimizers
from gen.config import Part, field_of
from gen.config import make as make_part
from gen.config.ranges import Count, NonNegative
from gen.data import Spec
from gen.distributions import Normal, kl_normal, standard_normal
from gen.distributions.likelihoods import LIKELIHOODS
from gen.distributions.posteriors import POSTERIORS
from gen.families import common
from gen.families.types import Batch, Family, Metrics, TrainState
from gen.families.vae import one_layer
from gen.families.vae.latent import hold
from gen.networks import ENCODERS, VAE_DECODERS, VAE_ENCODERS
from gen.networks.layers import Dense
from gen.precision import policy
from gen.rng import stream

NETWORK = frozenset({"shape", "dtype"})
PLAYERS = ("encoder", "decoder", "discriminator")

SCHEMA = {
    "": {"latents": Count, "feature_weight": field_of(NonNegative[float], 1e-2)},
    "encoder": Part(VAE_ENCODERS, "encoder", supplied=NETWORK),
    "decoder": Part(VAE_DECODERS, "decoder", supplied=NETWORK),
    "discriminator": Part(ENCODERS, "discriminator", supplied=NETWORK),
    "posterior": Part({"normal": POSTERIORS["normal"]}, "posterior", supplied=frozenset({"encoder", "latents"})),
    "likelihood": Part(LIKELIHOODS, "likelihood", supplied=frozenset({"range"})),
    "optimizer": Part(optimizers.OPTIMIZERS, "optimizer", common=optimizers.COMMON),
}
"""What the config of a VAE-GAN says; `ABOUT` has the meanings."""

ABOUT = {
    "latents": "Dimensions of z.",
    "feature_weight": "gamma, of the decoder's reconstruction of features beside its adversarial loss -log D "
                      "(algorithm 1).",
    "encoder": "Of examples, to the posterior.",
    "decoder": "Of latents, to examples; the generator too.",
    "discriminator": "Its features measure reconstructions.",
    "posterior": "q(z|x).",
    "likelihood": "Its mean is the decoder's image.",
    "optimizer": "Each player has one of its own of this kind.",
}
"""Key to its meaning."""

DEFAULTS = {"posterior": {"name": "normal"}}
"""Parts that an experiment need not name."""

FLOATS = ("feature_weight", "ema_half_life", "ema_rampup", "optimizer")
"""Where the config's floats are that may have a schedule."""


class FeatureDiscriminator(nn.Module):
    """Logits [b] and the features [b f] they are linear in."""

    encoder: nn.Module

    @nn.compact
    def __call__(self, x: Float[Array, "b ..."], *, train: bool) -> tuple[Float[Array, "b"], Float[Array, "b f"]]:
        h = self.encoder(x, train=train).astype(jnp.float32)
        return Dense(1, name="logits")(h)[:, 0], h


class VAEGAN(NamedTuple):
    """The three players, and how they are trained. All methods are pure functions of the state."""

    config: ConfigDict
    posterior: nn.Module
    generative: one_layer.Generative
    discriminator: FeatureDiscriminator

    def decoded(self, params, variables, z: Float[Array, "b d"], *, train: bool):
        """The decoder's images, and its variables after it."""
        p, variables = common.apply(self.generative, params["decoder"], variables["decoder"], z, train=train)
        return p.mean(), variables

    def judged(self, params, variables, x: Float[Array, "b ..."]):
        """((logits, features) of a batch with its own statistics, the discriminator's variables after it)."""
        return common.apply(self.discriminator, params["discriminator"], variables["discriminator"], x, train=True)

    def init(self, key: PRNGKeyArray, examples: Batch) -> TrainState:
        """The state before the first step."""
        x = examples["x"][:2]
        inputs = {"encoder": (self.posterior, x), "decoder": (self.generative, jnp.zeros((2, self.config.latents))),
                  "discriminator": (self.discriminator, x)}
        pairs = {name: common.initial(module, stream(key, f"init {name}"), of) for name, (module, of) in inputs.items()}
        params = {name: params for name, (params, _) in pairs.items()}
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            key=key,
            params=params,
            variables={name: variables for name, (_, variables) in pairs.items()},
            opt_state={name: optimizers.init(self.config, "optimizer", params[name]) for name in PLAYERS},
            ema={},
            hypers=common.hypers(self.config, "feature_weight") | optimizers.hypers(self.config, "optimizer"),
        )

    def losses(self, params, state: TrainState, x: Float[Array, "b ..."], key: PRNGKeyArray):
        """The sum of the three players' losses, each with a gradient to its own parameters alone."""
        variables = dict(state.variables)
        (q, _), variables["encoder"] = common.apply(
            self.posterior, params["encoder"], variables["encoder"], x, train=True)
        z, prior = q.sample(stream(key, "posterior")), jax.random.normal(stream(key, "prior"), q.loc.shape)

        def images(params, z):
            """Decoded posterior samples and as many of the prior, as one batch; the former alone; the variables."""
            rows, put_back = common.as_rows(jnp.stack([z, prior]))
            both, after = self.decoded(params, variables, rows, train=True)
            return both, put_back(both)[0], after

        def feature_error(params, again):
            """0.5 |D_l(x) - D_l(decoded)|^2, the negative log-likelihood of features N(D_l(decoded), I) (eq. 7-8)."""
            features = [self.judged(params, variables, v)[0][1] for v in (again, x)]
            return 0.5 * jnp.square(features[0] - features[1]).sum(-1)

        to_encoder, to_decoder = (hold(params, *(other for other in PLAYERS if other != name)) for name in PLAYERS[:2])
        kl = kl_normal(q, standard_normal((self.config.latents,))).sum(-1)
        error = feature_error(to_encoder, images(to_encoder, z)[1])
        fakes, again, after = images(to_decoder, jax.lax.stop_gradient(z))
        fooled = 2 * jax.nn.softplus(-self.judged(to_decoder, variables, fakes)[0][0]).mean()
        decoder_loss = state.hypers["feature_weight"] * feature_error(to_decoder, again).mean() + fooled
        variables["decoder"] = after
        (real_logits, _), variables["discriminator"] = self.judged(params, variables, x)
        (fake_logits, _), variables["discriminator"] = self.judged(params, variables, jax.lax.stop_gradient(fakes))
        discriminator_loss = jax.nn.softplus(-real_logits).mean() + 2 * jax.nn.softplus(fake_logits).mean()
        metrics = {"kl": kl.mean(), "feature_error": error.mean(), "decoder_loss": decoder_loss,
                   "discriminator_loss": discriminator_loss, "real_accuracy": (real_logits > 0).mean(),
                   "fake_accuracy": (fake_logits < 0).mean()}
        return (kl + error).mean() + decoder_loss + discriminator_loss, (variables, metrics)

    def update(self, state: TrainState, batch: Batch, key: PRNGKeyArray) -> tuple[TrainState, Metrics]:
        """One step of all three players, each from the same point."""
        def loss(params, x, key):
            value, means = self.losses(params, state, x, key)
            return value, (means, ())

        (value, ((variables, metrics), _)), grads = common.value_and_grad(loss, self.config.train.microbatches)(
            state.params, batch["x"], key)
        moved = {name: optimizers.move(self.config, "optimizer", state.hypers, grads[name], state.opt_state[name],
                                       state.params[name]) for name in PLAYERS}
        variables = {name: optimizers.unless(moved[name][2].get("skipped_updates"), variables[name], of)
                     for name, of in state.variables.items()}
        state = state.replace(
            step=state.step + 1, variables=variables, params={name: params for name, (params, *_) in moved.items()},
            opt_state={name: opt_state for name, (_, opt_state, _) in moved.items()})
        metrics |= {f"{name}_{key}": of for name, (*_, limited) in moved.items() for key, of in limited.items()}
        return state, metrics | {"loss": value, "gradient_norm": optimizers.norm(grads)}

    def encode(self, state: TrainState, x: Float[Array, "n ..."]) -> Normal:
        """q(z|x)."""
        return common.apply(self.posterior, state.params["encoder"], state.variables["encoder"], x, train=False)[0][0]

    def decode(self, state: TrainState, z: Float[Array, "n d"]) -> Float[Array, "n ..."]:
        """The decoder's images, in data units."""
        return self.decoded(state.params, state.variables, z, train=False)[0]

    def code(self, state: TrainState, x: Float[Array, "n ..."]) -> Float[Array, "n d"]:
        """The mean of q(z|x)."""
        return self.encode(state, x).loc

    def reconstruct(self, state: TrainState, x: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
        """The decoder's images of the codes of the examples."""
        return self.decode(state, self.code(state, x))

    def evaluate(self, state: TrainState, batch: Batch, key: PRNGKeyArray) -> Metrics:
        """Squared errors of the reconstruction, in the discriminator's features and in data units, and the KL.

        The discriminator sees the reconstructions and the examples each as a batch with its own statistics, as in
        training; encoder and decoder have their running ones.
        """
        x, again = batch["x"], self.reconstruct(state, batch["x"])
        ours, theirs = (self.judged(state.params, state.variables, v)[0][1] for v in (again, x))
        kl = kl_normal(self.encode(state, x), standard_normal((self.config.latents,))).sum(-1)
        return {"feature_error": 0.5 * jnp.square(ours - theirs).sum(-1), "kl": kl,
                "squared_error": jnp.square(x - again).reshape(len(x), -1).mean(-1)}

    def latents(self, state: TrainState, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        """n samples of p(z) = N(0, I)."""
        return jax.random.normal(key, (n, self.config.latents))

    def sample(self, state: TrainState, key: PRNGKeyArray, n: int) -> Float[Array, "n ..."]:
        """The decoder's images of samples of the prior."""
        return self.decode(state, self.latents(state, key, n))


def make(config, spec: Spec) -> Family:
    """The VAE-GAN that the config describes, for examples of `spec`, as a Family."""
    features = make_part(ENCODERS, config.discriminator, "discriminator", dtype=policy(config).activations)
    vaegan = VAEGAN(config, one_layer.posterior(config), one_layer.generative(config, spec),
                    FeatureDiscriminator(features))
    return Family(vaegan.init, vaegan.update, vaegan.evaluate, vaegan.sample,
                  {"encode": vaegan.encode, "code": vaegan.code, "decode": vaegan.decode,
                   "reconstruct": vaegan.reconstruct, "latents": vaegan.latents})
