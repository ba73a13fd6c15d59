"""Vector-quantised autoencoders (van den Oord et al. 2017): a codebook of moving averages, and a prior on codes.

The autoencoder descends the reconstruction error over the variance of the data, plus the commitment of the encoder to
its codes. An autoregressive network learns log p(codes) beside it, from codes that it does not change, so that the
model samples.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray
from ml_collections import ConfigDict

from gen import optimizers
from gen.config import Part, field_of
from gen.config import make as make_part
from gen.config.ranges import Count, Decay, Natural, NonNegative
from gen.data import Spec
from gen.families import common
from gen.families.types import Batch, Family, Metrics, TrainState
from gen.families.vqvae.codebook import averaged, embeddings, nearest, perplexity
from gen.networks.layers import Conv
from gen.networks.pixelcnn import PIXEL_PRIORS, draw
from gen.networks.resnet_vae import ResidualDown, ResidualUp, small_side
from gen.precision import policy
from gen.rng import stream

ENCODERS = {"residual": ResidualDown}
DECODERS = {"residual": ResidualUp}
NETWORK = frozenset({"shape", "dtype", "halvings"})

SCHEMA = {
    "": {"halvings": field_of(Natural, 2), "codes": field_of(Count, 512), "code_size": field_of(Count, 64),
         "commitment": field_of(NonNegative[float], 0.25), "decay": field_of(Decay[float], 0.99)},
    "encoder": Part(ENCODERS, "encoder", supplied=NETWORK),
    "decoder": Part(DECODERS, "decoder", supplied=NETWORK),
    "prior": Part(PIXEL_PRIORS, "prior", supplied=frozenset({"codes", "dtype"})),
    "optimizer": Part(optimizers.OPTIMIZERS, "optimizer", common=optimizers.COMMON),
    "prior_optimizer": Part(optimizers.OPTIMIZERS, "optimizer", common=optimizers.COMMON),
}
"""What the config of a VQ-VAE says; `ABOUT` has the meanings."""

ABOUT = {
    "halvings": "Of the image's sides, down to the grid of codes.",
    "codes": "Rows of the codebook.",
    "code_size": "Columns of the codebook.",
    "commitment": "Weight of the commitment loss.",
    "decay": "Of the codebook's moving averages, per step.",
    "encoder": "Of images, to the vectors that are quantised.",
    "decoder": "Of codes, to images.",
    "prior": "log p(codes), from which samples are drawn.",
    "optimizer": "Of encoder and decoder.",
    "prior_optimizer": "Of the prior.",
}
"""Key to its meaning."""

HYPERS = ("commitment", "decay")
"""Where the config's floats are that may differ between replicas of one program, beside those of the optimizers."""

FLOATS = (*HYPERS, "ema_half_life", "ema_rampup", "optimizer", "prior_optimizer")
"""Where the floats are that may have a schedule."""


class VQVAE(NamedTuple):
    """The networks, and how they are trained. All methods are pure functions of the state.

    Attributes:
      encoder, decoder: between images and grids of features; `project`: from features to the vectors of the codes.
      prior: log p(codes), a network over grids of `side`.
    """

    config: ConfigDict
    encoder: nn.Module
    decoder: nn.Module
    project: nn.Module
    prior: nn.Module
    side: tuple[int, int]

    def encode(self, params, x: Float[Array, "b h w c"]) -> Float[Array, "b s t d"]:
        """The vectors before they are quantised."""
        h = self.encoder.apply({"params": params["network"]}, x, train=True).astype(jnp.float32)
        return self.project.apply({"params": params["project"]}, h)

    def init(self, key: PRNGKeyArray, examples: Batch) -> TrainState:
        """The state before the first step; the codebook is vectors of the first examples."""
        config, x = self.config, examples["x"][:64]
        network, _ = common.initial(self.encoder, stream(key, "init encoder"), x)
        h = self.encoder.apply({"params": network}, x, train=True)
        project = self.project.init(stream(key, "init project"), h)["params"]
        params = {"encoder": {"network": network, "project": project}}
        z = self.encode(params["encoder"], x)
        params["decoder"], _ = common.initial(self.decoder, stream(key, "init decoder"), z)
        params["prior"] = self.prior.init(stream(key, "init prior"), jnp.zeros((1, *self.side), jnp.int32))["params"]
        vectors = jax.random.permutation(stream(key, "init codebook"), z.reshape(-1, config.code_size))
        codebook = {"counts": jnp.ones(config.codes), "sums": vectors[jnp.arange(config.codes) % len(vectors)]}
        autoencoder = {name: params[name] for name in ("encoder", "decoder")}
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            key=key,
            params=params,
            variables={"codebook": codebook, "data": {"variance": examples["x"].var()}},
            opt_state={"optimizer": optimizers.init(config, "optimizer", autoencoder),
                       "prior": optimizers.init(config, "prior_optimizer", params["prior"])},
            ema={},
            hypers=common.hypers(config, *HYPERS) | optimizers.hypers(config, "optimizer", "prior_optimizer"),
        )

    def autoencode(self, params, e: Float[Array, "k d"], x: Float[Array, "b h w c"]):
        """Returns (reconstructions, vectors, their codes); the gradient passes straight through the quantisation."""
        z = self.encode(params["encoder"], x)
        codes = nearest(z, e)
        quantised = z + jax.lax.stop_gradient(e[codes] - z)
        return self.decoder.apply({"params": params["decoder"]}, quantised, train=True).astype(jnp.float32), z, codes

    def code_log_prob(self, params, codes: Int[Array, "b s t"]) -> Float[Array, "b"]:
        """log p(codes) by the prior, in nats per example."""
        logits = self.prior.apply({"params": params}, codes)
        return -optax.softmax_cross_entropy_with_integer_labels(logits, codes).sum((1, 2))

    def update(self, state: TrainState, batch: Batch, key: PRNGKeyArray) -> tuple[TrainState, Metrics]:
        """One step of the autoencoder, the codebook and the prior, each from the same point."""
        config, x, codebook = self.config, batch["x"], state.variables["codebook"]
        e, scale = embeddings(codebook), state.variables["data"]["variance"]

        def autoencoder_loss(params, x, key):
            decoded, z, codes = self.autoencode(params, e, x)
            reconstruction = jnp.square(x - decoded).mean() / scale
            commitment = jnp.square(z - e[codes]).mean()
            metrics = {"reconstruction_error": reconstruction, "commitment": commitment}
            return reconstruction + state.hypers["commitment"] * commitment, (metrics, (z, codes))

        def prior_loss(params, codes, key):
            return -self.code_log_prob(params, codes).mean(), ((), ())

        autoencoder = {name: state.params[name] for name in ("encoder", "decoder")}
        parts = config.train.microbatches
        (loss, (metrics, (z, codes))), grads = common.value_and_grad(autoencoder_loss, parts)(autoencoder, x, key)
        (nats, _), prior_grads = common.value_and_grad(prior_loss, parts)(state.params["prior"], codes, key)
        size = optimizers.norm(grads)
        autoencoder, opt_state, limited = optimizers.move(
            config, "optimizer", state.hypers, grads, state.opt_state["optimizer"], autoencoder, size)
        prior_params, prior_state, of_prior = optimizers.move(
            config, "prior_optimizer", state.hypers, prior_grads, state.opt_state["prior"], state.params["prior"])
        metrics |= limited | {f"prior_{key}": value for key, value in of_prior.items()}
        codebook = optimizers.unless(
            limited.get("skipped_updates"),
            averaged(codebook, z.reshape(-1, config.code_size), codes.reshape(-1), state.hypers["decay"]), codebook)
        metrics |= {"loss": loss, "gradient_norm": size,
                    "perplexity": perplexity(codes, config.codes),
                    "prior_nats_per_code": nats / (self.side[0] * self.side[1])}
        return state.replace(
            step=state.step + 1, params=autoencoder | {"prior": prior_params},
            opt_state={"optimizer": opt_state, "prior": prior_state},
            variables=state.variables | {"codebook": codebook}), metrics

    def evaluate(self, state: TrainState, batch: Batch, key: PRNGKeyArray) -> Metrics:
        """Squared errors over the variance of the data, and the prior's nats for each code."""
        decoded, _, codes = self.autoencode(state.params, embeddings(state.variables["codebook"]), batch["x"])
        error = jnp.square(batch["x"] - decoded).mean((1, 2, 3)) / state.variables["data"]["variance"]
        nats = -self.code_log_prob(state.params["prior"], codes)
        return {"reconstruction_error": error, "prior_nats_per_code": nats / (self.side[0] * self.side[1])}

    def codes_of(self, state: TrainState, x: Float[Array, "n h w c"]) -> Int[Array, "n s t"]:
        """The grid of codes of each example."""
        return nearest(self.encode(state.params["encoder"], x), embeddings(state.variables["codebook"]))

    def decode_codes(self, state: TrainState, codes: Int[Array, "n s t"]) -> Float[Array, "n h w c"]:
        """The image of each grid of codes, in data units."""
        quantised = embeddings(state.variables["codebook"])[codes]
        return self.decoder.apply({"params": state.params["decoder"]}, quantised, train=True).astype(jnp.float32)

    def reconstruct(self, state: TrainState, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        """The image of the codes of each image."""
        return self.decode_codes(state, self.codes_of(state, x))

    def draw_codes(self, state: TrainState, key: PRNGKeyArray, n: int) -> Int[Array, "n s t"]:
        """Grids of codes drawn from the prior, one code at a time."""
        def logits(codes):
            return self.prior.apply({"params": state.params["prior"]}, codes)

        return draw(logits, key, n, self.side)

    def sample(self, state: TrainState, key: PRNGKeyArray, n: int) -> Float[Array, "n h w c"]:
        """Images of codes drawn from the prior."""
        return self.decode_codes(state, self.draw_codes(state, key, n))


def make(config, spec: Spec) -> Family:
    """The VQ-VAE that the config describes, for examples of `spec`, as a Family."""
    dtype = policy(config).activations
    sized = {"halvings": config.halvings, "dtype": dtype}
    vqvae = VQVAE(
        config,
        encoder=make_part(ENCODERS, config.encoder, "encoder", **sized),
        decoder=make_part(DECODERS, config.decoder, "decoder", shape=spec.shape, **sized),
        project=Conv(config.code_size, (1, 1)),
        prior=make_part(PIXEL_PRIORS, config.prior, "prior", codes=config.codes, dtype=dtype),
        side=small_side(spec.shape, config.halvings),
    )
    return Family(vqvae.init, vqvae.update, vqvae.evaluate, vqvae.sample,
                  {"codes": vqvae.codes_of, "decode_codes": vqvae.decode_codes, "draw_codes": vqvae.draw_codes,
                   "reconstruct": vqvae.reconstruct})
