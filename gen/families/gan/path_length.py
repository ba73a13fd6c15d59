"""Path length regularisation: steps of one length in w move the image by one length (Karras et al. 2020, section 3.2).

(||J_w^T y||_2 - a)^2 over fresh latents, y ~ N(0, I) / sqrt(pixels), a the moving average of the norms; every few steps
and then times as many. As in the released code of StyleGAN2-ADA the norm is the root of the mean over the layers of the
squared lengths, and a, with the step's own norms in it, is not held fixed; there its gradient has an optimizer step of
its own, here it is added to that of the loss.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree
from ml_collections import ConfigDict

from gen.families.gan.players import Players
from gen.families.types import Metrics, TrainState
from gen.networks.blocks import Condition
from gen.rng import stream

ENTRY = "path_length"
"""Of the state's variables: the moving average a."""


def initial(config: ConfigDict) -> dict[str, Float[Array, ""]]:
    """What the state's variables have of it at first; nothing where its weight is 0."""
    return {ENTRY: jnp.zeros(())} if config.path_length.weight else {}


def lengths(players: Players, params: PyTree, variables: PyTree, z: Float[Array, "n d"], condition: Condition,
            key: PRNGKeyArray) -> Float[Array, "n"]:
    """||J_w^T y|| of each image, root mean square over the layers."""
    decoder = players.generator.decoder
    noise = jax.random.normal(key, (len(z), *players.shape)) / math.sqrt(math.prod(players.shape[:-1]))

    def weighted(shift: Float[Array, "n layers d"]) -> Float[Array, ""]:
        x, _ = players.generate(params, variables, z, condition, shift=shift)
        return (x * noise).sum()

    gradient = jax.grad(weighted)(jnp.zeros((len(z), decoder.style_count, decoder.style_width)))
    return jnp.sqrt(jnp.square(gradient).sum(2).mean(1))


def added(config: ConfigDict, players: Players, state: TrainState, grads: PyTree, condition: Condition,
          key: PRNGKeyArray) -> tuple[PyTree, PyTree, Metrics]:
    """The generator's gradient with that of the penalty where it is due, the variables with a, and its metrics."""
    if not config.path_length.weight:
        return grads, {}, {}
    part, average = config.path_length, state.variables[ENTRY]
    n = config.train.batch_size * players.packing // part.shrink
    condition = None if condition is None else condition[:n]

    def penalty(params: PyTree):
        z = players.draw_latents(stream(key, "path latents"), n)
        found = lengths(players, params, state.variables["generator"], z, condition, stream(key, "path noise"))
        moved = average + (1 - state.hypers["path_length.decay"]) * (found.mean() - average)
        value = jnp.square(found - moved).mean()
        return part.every * state.hypers["path_length.weight"] * value, (moved, value)

    def due():
        gradient, (moved, value) = jax.grad(penalty, has_aux=True)(state.params["generator"])
        return jax.tree.map(jnp.add, grads, gradient), moved, part.every * value

    grads, moved, value = jax.lax.cond(
        state.step % part.every == 0, due, lambda: (grads, average, jnp.zeros(())))
    return grads, {ENTRY: moved}, {"path_length": moved, "path_length_penalty": value}
