"""Vector-quantised autoencoders (van den Oord et al. 2017): a codebook of moving averages, and a prior on codes.

The autoencoder descends the reconstruction error over the variance of the data, plus the commitment of the encoder to
its codes. An autoregressive network learns log p(codes) beside it, from codes that it does not change, so that the
model samples.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from gen import optimizers
from gen.config import Part, field_of
from gen.config import make as make_part
from gen.config.ranges import Count, Decay, Natural, NonNegative
from gen.data import Spec
from gen.families import common
from gen.families.types import Batch, Family, Metrics, TrainState
from gen.networks.layers import Conv
from gen.networks.pixelcnn import PIXEL_PRIORS, draw
from gen.networks.resnet_vae import ResidualDown, ResidualUp, small_side
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
    "optimizer": Part(optimizers.OPTIMIZERS, "optimizer"),
    "prior_optimizer": Part(optimizers.OPTIMIZERS, "optimizer"),
}
"""What the config of a VQ-VAE says.

`halvings`: of the image's sides, down to the grid of codes. `codes`, `code_size`: rows and columns of the codebook.
`commitment`: weight of the commitment loss. `decay`: of the codebook's moving averages, per step.
"""

SMOOTHING = 1e-5
Codebook = dict[str, Array]
"""counts [k], sums [k d]: moving averages of how many vectors each code has, and of their sum."""


def embeddings(codebook: Codebook) -> Float[Array, "k d"]:
    """e_i = sums_i / counts_i, counts smoothed as by a few more vectors (van den Oord et al. 2017, appendix A.1)."""
    counts = codebook["counts"]
    total = counts.sum()
    smoothed = (counts + SMOOTHING) / (total + len(counts) * SMOOTHING) * total
    return codebook["sums"] / smoothed[:, None]


def nearest(z: Float[Array, "*n d"], e: Float[Array, "k d"]) -> Int[Array, "*n"]:
    """The code whose embedding is nearest to each vector (van den Oord et al. 2017, eq. 1)."""
    return jnp.argmin(jnp.square(e).sum(-1) - 2 * z @ e.T, axis=-1)


def averaged(codebook: Codebook, z: Float[Array, "n d"], codes: Int[Array, "n"], decay: float | Float[Array, ""]
             ) -> Codebook:
    """The codebook after a step in which these vectors had these codes (van den Oord et al. 2017, eq. 6-8)."""
    one_hot = jax.nn.one_hot(codes, len(codebook["counts"]))
    new = {"counts": one_hot.sum(0), "sums": one_hot.T @ z}
    return jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, codebook, new)


def perplexity(codes: Int[Array, "..."], k: int) -> Float[Array, ""]:
    """exp of the entropy of the codes' frequencies: how many codes are in use."""
    p = jnp.bincount(codes.reshape(-1), length=k) / codes.size
    return jnp.exp(jax.scipy.special.entr(p).sum())


def make(config, spec: Spec) -> Family:
    """The VQ-VAE that the config describes, for examples of `spec`, as a Family."""
    dtype, side = jnp.dtype(config.dtype), small_side(spec.shape, config.halvings)
    sized = {"halvings": config.halvings, "dtype": dtype}
    encoder = make_part(ENCODERS, config.encoder, "encoder", **sized)
    decoder = make_part(DECODERS, config.decoder, "decoder", shape=spec.shape, **sized)
    project = Conv(config.code_size, (1, 1))
    prior = make_part(PIXEL_PRIORS, config.prior, "prior", codes=config.codes, dtype=dtype)

    def encode(params, x: Float[Array, "b h w c"]) -> Float[Array, "b s t d"]:
        """The vectors before they are quantised."""
        h = encoder.apply({"params": params["network"]}, x, train=True).astype(jnp.float32)
        return project.apply({"params": params["project"]}, h)

    def init(key: PRNGKeyArray, examples: Batch) -> TrainState:
        x = examples["x"][:64]
        network, _ = common.initial(encoder, stream(key, "init encoder"), x)
        h = encoder.apply({"params": network}, x, train=True)
        params = {"encoder": {"network": network, "project": project.init(stream(key, "init project"), h)["params"]}}
        z = encode(params["encoder"], x)
        params["decoder"], _ = common.initial(decoder, stream(key, "init decoder"), z)
        params["prior"] = prior.init(stream(key, "init prior"), jnp.zeros((1, *side), jnp.int32))["params"]
        vectors = jax.random.permutation(stream(key, "init codebook"), z.reshape(-1, config.code_size))
        codebook = {"counts": jnp.ones(config.codes), "sums": vectors[jnp.arange(config.codes) % len(vectors)]}
        autoencoder = {name: params[name] for name in ("encoder", "decoder")}
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            key=key,
            params=params,
            variables={"codebook": codebook, "data": {"variance": examples["x"].var()}},
            opt_state={"optimizer": optimizers.transformation(config.optimizer, 0.0).init(autoencoder),
                       "prior": optimizers.transformation(config.prior_optimizer, 0.0).init(params["prior"])},
            ema={},
            hypers=common.hypers(config, "commitment", "decay", "optimizer.learning_rate",
                                 "prior_optimizer.learning_rate"),
        )

    def autoencode(params, e: Float[Array, "k d"], x: Float[Array, "b h w c"]):
        """Returns (reconstructions, vectors, their codes); the gradient passes straight through the quantisation."""
        z = encode(params["encoder"], x)
        codes = nearest(z, e)
        quantised = z + jax.lax.stop_gradient(e[codes] - z)
        return decoder.apply({"params": params["decoder"]}, quantised, train=True).astype(jnp.float32), z, codes

    def code_log_prob(params, codes: Int[Array, "b s t"]) -> Float[Array, "b"]:
        """log p(codes) by the prior, in nats per example."""
        logits = prior.apply({"params": params}, codes)
        return -optax.softmax_cross_entropy_with_integer_labels(logits, codes).sum((1, 2))

    def update(state: TrainState, batch: Batch, key: PRNGKeyArray) -> tuple[TrainState, Metrics]:
        x, codebook = batch["x"], state.variables["codebook"]
        e, scale = embeddings(codebook), state.variables["data"]["variance"]

        def autoencoder_loss(params, x, key):
            decoded, z, codes = autoencode(params, e, x)
            reconstruction = jnp.square(x - decoded).mean() / scale
            commitment = jnp.square(z - e[codes]).mean()
            metrics = {"reconstruction_error": reconstruction, "commitment": commitment}
            return reconstruction + state.hypers["commitment"] * commitment, (metrics, (z, codes))

        def prior_loss(params, codes, key):
            return -code_log_prob(params, codes).mean(), ((), ())

        autoencoder = {name: state.params[name] for name in ("encoder", "decoder")}
        parts = config.train.microbatches
        (loss, (metrics, (z, codes))), grads = common.value_and_grad(autoencoder_loss, parts)(autoencoder, x, key)
        (nats, _), prior_grads = common.value_and_grad(prior_loss, parts)(state.params["prior"], codes, key)
        factor = optimizers.factor(config.schedule, state.step)
        autoencoder, opt_state = optimizers.descend(
            config.optimizer, factor * state.hypers["optimizer.learning_rate"], grads, state.opt_state["optimizer"],
            autoencoder)
        prior_params, prior_state = optimizers.descend(
            config.prior_optimizer, factor * state.hypers["prior_optimizer.learning_rate"], prior_grads,
            state.opt_state["prior"], state.params["prior"])
        codebook = averaged(codebook, z.reshape(-1, config.code_size), codes.reshape(-1), state.hypers["decay"])
        metrics |= {"loss": loss, "gradient_norm": common.norm(grads), "perplexity": perplexity(codes, config.codes),
                    "prior_nats_per_code": nats / (side[0] * side[1])}
        return state.replace(
            step=state.step + 1, params=autoencoder | {"prior": prior_params},
            opt_state={"optimizer": opt_state, "prior": prior_state},
            variables=state.variables | {"codebook": codebook}), metrics

    def evaluate(state: TrainState, batch: Batch, key: PRNGKeyArray) -> Metrics:
        decoded, _, codes = autoencode(state.params, embeddings(state.variables["codebook"]), batch["x"])
        error = jnp.square(batch["x"] - decoded).mean((1, 2, 3)) / state.variables["data"]["variance"]
        return {"reconstruction_error": error,
                "prior_nats_per_code": -code_log_prob(state.params["prior"], codes) / (side[0] * side[1])}

    def codes_of(state: TrainState, x: Float[Array, "n h w c"]) -> Int[Array, "n s t"]:
        """The grid of codes of each example."""
        return nearest(encode(state.params["encoder"], x), embeddings(state.variables["codebook"]))

    def decode_codes(state: TrainState, codes: Int[Array, "n s t"]) -> Float[Array, "n h w c"]:
        """The image of each grid of codes, in data units."""
        quantised = embeddings(state.variables["codebook"])[codes]
        return decoder.apply({"params": state.params["decoder"]}, quantised, train=True).astype(jnp.float32)

    def reconstruct(state: TrainState, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        return decode_codes(state, codes_of(state, x))

    def sample(state: TrainState, key: PRNGKeyArray, n: int) -> Float[Array, "n h w c"]:
        """Images of codes drawn from the prior, one code at a time."""
        def logits(codes):
            return prior.apply({"params": state.params["prior"]}, codes)

        return decode_codes(state, draw(logits, key, n, side))

    return Family(init, update, evaluate, sample,
                  {"codes": codes_of, "decode_codes": decode_codes, "reconstruct": reconstruct})
