"""Generative adversarial networks (Goodfellow et al. 2014): a generator, a discriminator, a loss, penalties.

One `update` is the algorithm box of the paper: `critic_steps` steps of the discriminator, then one of the
generator. The last fake batch serves both players, so that the generator runs forward once.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from gen.config import Part
from gen.config import make as make_part
from gen.data import Spec
from gen.families import common
from gen.families.types import Batch, Family, Metrics, TrainState
from gen.networks import DECODERS, ENCODERS, blocks
from gen.networks.layers import Dense
from gen.objectives.adversarial import ADVERSARIAL
from gen.objectives.penalties import PENALTIES
from gen.rng import stream
from gen.training import optimizers

OUTPUT_ACTIVATIONS = {"unit": jax.nn.sigmoid, "symmetric": jnp.tanh, "real": lambda x: x}
"""From a decoder's output to data units, by `Spec.range`."""


NETWORK = frozenset({"shape", "dtype"})
PENALTY = frozenset({"discriminate", "real", "fake", "key"})

SCHEMA = {
    "": {"latents": int, "critic_steps": 1, "simultaneous": False, "ema_half_life": 0.0},
    "generator": Part(DECODERS, "generator", supplied=NETWORK),
    "discriminator": Part(ENCODERS, "discriminator", supplied=NETWORK),
    "loss": Part(dict.fromkeys(ADVERSARIAL, lambda: None), "adversarial loss"),
    "penalties": Part(PENALTIES, "penalty", supplied=PENALTY, many=True, common={"weight": 1.0, "every": 1}),
    "generator_optimizer": Part(optimizers.OPTIMIZERS, "optimizer"),
    "discriminator_optimizer": Part(optimizers.OPTIMIZERS, "optimizer"),
}
"""What the config of a GAN says.

`latents`: dimensions of z ~ N(0, I). `critic_steps`: discriminator steps to one of the generator. `simultaneous`: both
players move from the same point, else the generator answers the updated discriminator. `ema_half_life`: of the
generator's moving average, in images; 0 for none. A penalty has a `weight` and acts every `every` steps.
"""


class Discriminator(nn.Module):
    """Logits [b]: linear in the features of an encoder."""

    encoder: nn.Module
    kernel_init: str

    @nn.compact
    def __call__(self, x: Float[Array, "b ..."], *, train: bool) -> Float[Array, "b"]:
        h = self.encoder(x, train=train).astype(jnp.float32)
        return Dense(1, kernel_init=blocks.initializer(self.kernel_init), name="logits")(h)[:, 0]


class Generator(nn.Module):
    """Examples in data units: a decoder and the output activation that the data's range asks for."""

    decoder: nn.Module
    range: str

    @nn.compact
    def __call__(self, z: Float[Array, "b d"], *, train: bool) -> Float[Array, "b ..."]:
        return OUTPUT_ACTIVATIONS[self.range](self.decoder(z, train=train).astype(jnp.float32))


def make(config, spec: Spec) -> Family:
    """The GAN that the config describes, for examples of `spec`, as a Family."""
    dtype = jnp.dtype(config.dtype)
    decoder = make_part(DECODERS, config.generator, "generator", shape=tuple(spec.shape), dtype=dtype)
    encoder = make_part(ENCODERS, config.discriminator, "discriminator", dtype=dtype)
    generator = Generator(decoder, spec.range)
    discriminator = Discriminator(encoder, config.discriminator.kernel_init)
    loss = ADVERSARIAL[config.loss.name]

    def generate(params: PyTree, variables: PyTree, z: Float[Array, "b d"], train: bool = True):
        return common.apply(generator, params, variables, z, train=train)

    def judge(params: PyTree, variables: PyTree, x: Float[Array, "b ..."], train: bool = True):
        return common.apply(discriminator, params, variables, x, train=train)

    def latents(key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        return jax.random.normal(key, (n, config.latents))

    def init(key: PRNGKeyArray, examples: Batch) -> TrainState:
        g_params, g_variables = common.initial(generator, stream(key, "init generator"), latents(key, 2))
        d_params, d_variables = common.initial(discriminator, stream(key, "init discriminator"), examples["x"][:2])
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            key=key,
            params={"generator": g_params, "discriminator": d_params},
            variables={"generator": g_variables, "discriminator": d_variables},
            opt_state={
                "generator": optimizers.transformation(config.generator_optimizer, 0.0).init(g_params),
                "discriminator": optimizers.transformation(config.discriminator_optimizer, 0.0).init(d_params),
            },
            ema={"generator": jax.tree.map(jnp.copy, g_params)} if config.ema_half_life else {},
            hypers=common.hypers(config, "generator_optimizer.learning_rate",
                                 "discriminator_optimizer.learning_rate", "penalties"),
        )

    def descend(state: TrainState, player: str, grads: PyTree) -> TrainState:
        """One optimizer step of one player."""
        rate = state.hypers[f"{player}_optimizer.learning_rate"] * optimizers.factor(config.schedule, state.step)
        params, opt_state = optimizers.descend(
            config[f"{player}_optimizer"], rate, grads, state.opt_state[player], state.params[player])
        return state.replace(params=state.params | {player: params}, opt_state=state.opt_state | {player: opt_state})

    def penalty(name: str, state: TrainState, params: PyTree, real, fake, key: PRNGKeyArray) -> Float[Array, ""]:
        """The mean of a penalty; every `every` steps and then times `every`, if it is lazy (Karras et al. 2020)."""
        part = config.penalties[name]

        def mean(_):
            def discriminate(x):
                return judge(params, state.variables["discriminator"], x)[0]
            return PENALTIES[name](discriminate, real, fake, stream(key, name)).mean()

        if part["every"] == 1:
            return mean(None)
        return jax.lax.cond(state.step % part["every"] == 0, lambda _: part["every"] * mean(None),
                            lambda _: jnp.zeros(()), None)

    def discriminator_step(state: TrainState, real, fake, key: PRNGKeyArray) -> tuple[TrainState, Metrics]:
        """Ascends the discriminator's side of the game on one real and one fake batch."""

        def objective(params):
            real_logits, variables = judge(params, state.variables["discriminator"], real)
            fake_logits, variables = judge(params, variables, fake)
            value = loss.discriminator(real_logits, fake_logits).mean()
            metrics = {"discriminator_loss": value, "real_logits": real_logits.mean(),
                       "fake_logits": fake_logits.mean(), "real_accuracy": (real_logits > 0).mean(),
                       "fake_accuracy": (fake_logits < 0).mean()}
            for name in config.penalties:
                metrics[name] = penalty(name, state, params, real, fake, key)
                value += state.hypers[f"penalties.{name}.weight"] * metrics[name]
            return value, (metrics, variables)

        grads, (metrics, variables) = jax.grad(objective, has_aux=True)(state.params["discriminator"])
        metrics["discriminator_gradient_norm"] = common.norm(grads)
        state = descend(state, "discriminator", grads)
        return state.replace(variables=state.variables | {"discriminator": variables}), metrics

    def critic_step(state: TrainState, real_and_key) -> tuple[TrainState, Metrics]:
        """A discriminator step on a fake batch of its own."""
        real, key = real_and_key
        fake, variables = generate(state.params["generator"], state.variables["generator"],
                                   latents(stream(key, "latents"), len(real)))
        state = state.replace(variables=state.variables | {"generator": variables})
        return discriminator_step(state, real, fake, stream(key, "penalties"))

    def update(state: TrainState, batch: Batch, key: PRNGKeyArray) -> tuple[TrainState, Metrics]:
        """Algorithm 1 of Goodfellow et al. 2014, with any loss, penalties and optimizers."""
        reals = batch["x"].reshape(config.critic_steps, -1, *spec.shape)
        keys = jax.random.split(stream(key, "critic"), config.critic_steps)
        if config.critic_steps > 1:
            state, _ = jax.lax.scan(critic_step, state, (reals[:-1], keys[:-1]))

        real, z = reals[-1], latents(stream(key, "latents"), reals.shape[1])
        fake, pull_back, g_variables = jax.vjp(
            lambda params: generate(params, state.variables["generator"], z), state.params["generator"], has_aux=True)
        before = state.params["discriminator"]
        state, metrics = discriminator_step(state, real, fake, keys[-1])
        opponent = before if config.simultaneous else state.params["discriminator"]

        def objective(fake):
            real_logits, variables = judge(opponent, state.variables["discriminator"], real)
            fake_logits, _ = judge(opponent, variables, fake)
            return loss.generator(real_logits, fake_logits).mean()

        metrics["generator_loss"], fake_gradient = jax.value_and_grad(objective)(fake)
        (grads,) = pull_back(fake_gradient)
        metrics["generator_gradient_norm"] = common.norm(grads)
        state = descend(state, "generator", grads)
        state = state.replace(step=state.step + 1, variables=state.variables | {"generator": g_variables},
                              ema=average(state, reals.shape[1]))
        return state, metrics

    def average(state: TrainState, images: int) -> dict[str, PyTree]:
        """The moving average of the generator after this step, if one is kept."""
        return {name: common.moving_average(ema, state.params[name], images, config.ema_half_life)
                for name, ema in state.ema.items()}

    def decode(state: TrainState, z: Float[Array, "b d"]) -> Float[Array, "b ..."]:
        """G(z) in data units, by the averaged generator if one is kept, with running batch statistics."""
        params = state.ema.get("generator", state.params["generator"])
        return generate(params, state.variables["generator"], z, train=False)[0]

    def sample(state: TrainState, key: PRNGKeyArray, n: int) -> Float[Array, "n ..."]:
        return decode(state, latents(key, n))

    def discriminate(state: TrainState, x: Float[Array, "b ..."]) -> Float[Array, "b"]:
        """Logits of the discriminator, with running batch statistics."""
        return judge(state.params["discriminator"], state.variables["discriminator"], x, train=False)[0]

    def evaluate(state: TrainState, batch: Batch, key: PRNGKeyArray) -> Metrics:
        real_logits = discriminate(state, batch["x"])
        fake_logits = discriminate(state, sample(state, key, len(batch["x"])))
        return {"real_logits": real_logits, "fake_logits": fake_logits,
                "real_accuracy": jnp.float32(real_logits > 0), "fake_accuracy": jnp.float32(fake_logits < 0)}

    methods = {"decode": decode, "discriminate": discriminate}
    return Family(init, update, evaluate, sample, methods, batches=config.critic_steps)
