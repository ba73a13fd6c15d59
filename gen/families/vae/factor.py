"""The second player of FactorVAE: a discriminator that tells samples of q(z) from samples of prod_d q(z_d)."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from gen import optimizers
from gen.config import make as make_part
from gen.errors import UserError
from gen.families import common
from gen.families.types import Metrics, TrainState
from gen.networks import ENCODERS
from gen.networks.layers import Dense
from gen.objectives.adversarial import cross_entropy
from gen.precision import policy
from gen.rng import stream


class DensityRatio(nn.Module):
    """log q(z) - log prod_d q(z_d), estimated: linear in the features of an encoder (Kim & Mnih 2018, section 3)."""

    encoder: nn.Module

    @nn.compact
    def __call__(self, z: Float[Array, "b d"], *, train: bool) -> Float[Array, "b"]:
        return Dense(1, name="logits")(self.encoder(z, train=train).astype(jnp.float32))[:, 0]


class SecondPlayer(NamedTuple):
    """Attributes:
    init: TrainState -> TrainState with the entries "discriminator".
    discriminate: params -> (z [b d] -> logits [b]).
    update: (state, z, z of another batch, key) -> (state, metrics).
    """

    init: Callable[[TrainState], TrainState]
    discriminate: Callable[[dict], Callable[[Array], Array]]
    update: Callable[..., tuple[TrainState, Metrics]]


def permuted(z: Float[Array, "b d"], key: PRNGKeyArray) -> Float[Array, "b d"]:
    """Each dimension permuted over the batch on its own: samples of prod_d q(z_d) (Kim & Mnih 2018, algorithm 1)."""
    return jax.random.permutation(key, z, axis=0, independent=True)


def make(config, latents: int) -> SecondPlayer:
    """The discriminator of so many latents and its optimizer that the config names.

    Raises:
      UserError: the config has none, or one with variables (batch norm).
    """
    if "discriminator" not in config or "discriminator_optimizer" not in config:
        raise UserError("The regularizer 'factor' needs config.discriminator and config.discriminator_optimizer: "
                        "name an encoder and an optimizer, e.g. mlp and adam.")
    encoder = make_part(ENCODERS, config.discriminator, "discriminator", dtype=policy(config).activations)
    module = DensityRatio(encoder)

    def init(state: TrainState) -> TrainState:
        params, variables = common.initial(
            module, stream(state.key, "init discriminator"), jnp.zeros((2, latents)))
        if variables:
            raise UserError("FactorVAE's discriminator must have no batch norm: set "
                            "config.discriminator.batch_norm=false.")
        opt_state = optimizers.init(config, "discriminator_optimizer", params)
        return state.replace(
            params=state.params | {"discriminator": params},
            opt_state=state.opt_state | {"discriminator": opt_state},
            hypers=state.hypers | optimizers.hypers(config, "discriminator_optimizer"))

    def discriminate(params: dict) -> Callable[[Array], Array]:
        return lambda z: module.apply({"params": params}, z, train=True)

    def update(state: TrainState, z: Float[Array, "b d"], other: Float[Array, "b d"], key: PRNGKeyArray
               ) -> tuple[TrainState, Metrics]:
        """Descends -log D(z) - log(1 - D(permuted z')), z' of another batch (Kim & Mnih 2018, algorithm 2)."""
        factorised = permuted(other, key)

        def loss(params):
            logits = discriminate(params)
            return cross_entropy(logits(z), logits(factorised)).mean()

        value, grads = jax.value_and_grad(loss)(state.params["discriminator"])
        params, opt_state, limited = optimizers.move(
            config, "discriminator_optimizer", state.hypers, grads, state.opt_state["discriminator"],
            state.params["discriminator"])
        state = state.replace(params=state.params | {"discriminator": params},
                              opt_state=state.opt_state | {"discriminator": opt_state})
        return state, {"discriminator_loss": value} | {f"discriminator_{key}": of for key, of in limited.items()}

    return SecondPlayer(init, discriminate, update)
