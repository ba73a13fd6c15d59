"""How a trained generator draws: with which weights, and with which statistics of its batch norms.

The moving average of a generator (`ema_half_life`) has weights of its own, whose activations have other means and
variances than those of the generator that trains: with the latter's statistics its samples are worse than they need be.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float, PyTree
from ml_collections import ConfigDict

from gen.errors import lookup
from gen.families import common
from gen.families.gan.players import Players
from gen.families.types import TrainState
from gen.networks.blocks import Condition
from gen.rng import stream

AVERAGED = "generator_statistics"
"""The entry of `ema` with the moving average of the generator's statistics, beside that of its weights."""

STANDING_BATCHES = 16
"""Batches of `train.batch_size` latents that standing statistics come from. Brock et al. 2019 have typically 100."""


class Sampler(NamedTuple):
    """Samples of a trained generator, the averaged one if that is kept. All methods are pure functions."""

    config: ConfigDict
    players: Players

    def averages(self, params: PyTree, variables: PyTree) -> dict[str, PyTree]:
        """What a moving average is kept of: the generator's weights, and its statistics if it has batch norm."""
        return {"generator": params} | ({AVERAGED: variables} if variables else {})

    def params(self, state: TrainState) -> PyTree:
        """The weights that draw."""
        return state.ema.get("generator", state.params["generator"])

    def generate(self, state: TrainState, z: Float[Array, "n d"], condition: Condition, **options
                 ) -> Float[Array, "n ..."]:
        """G(z) in data units, with the config's statistics. `options`: of a decoder that has any.

        A generator with styles has no batch norm, so that its batch says nothing.
        """
        statistics = STATISTICS[self.config.generator_statistics]
        if statistics is None and not self.players.styled:
            return self.together(state, z, condition)
        variables = (statistics or Sampler.running)(self, state)
        return self.players.generate(self.params(state), variables, z, condition, train=False, **options)[0]

    def averaged(self, state: TrainState) -> PyTree:
        """The moving average of the statistics where there is one of the weights, else the running ones."""
        return state.ema.get(AVERAGED, state.variables["generator"])

    def running(self, state: TrainState) -> PyTree:
        """The running statistics of the generator that trains."""
        return state.variables["generator"]

    def standing(self, state: TrainState) -> PyTree:
        """Means and variances over `STANDING_BATCHES` batches of latents, afresh for the weights that draw.

        Each batch is normalised by its own statistics, as in training (Brock et al. 2019, appendix B).
        """
        def of_batch(i):
            z, condition = self.others(state, self.config.train.batch_size, i)
            return common.batch_statistics(
                self.players.generator, self.params(state), state.variables["generator"], z, condition)

        return pooled(jax.lax.map(of_batch, jnp.arange(STANDING_BATCHES)))

    def together(self, state: TrainState, z: Float[Array, "n d"], condition: Condition) -> Float[Array, "n ..."]:
        """G(z) normalised by the batch itself; fewer than `train.batch_size` are joined by others, which are dropped.

        So an example depends on those that it is drawn with, as in training.
        """
        more = max(self.config.train.batch_size - len(z), 0)
        inputs = jax.tree.map(lambda *a: jnp.concatenate(a), (z, condition), self.others(state, more, 0))
        return self.players.generate(self.params(state), state.variables["generator"], *inputs)[0][:len(z)]

    def others(self, state: TrainState, n: int, i) -> tuple[Float[Array, "n d"], Condition]:
        """n latents and conditions of their distributions, always the same of a run for every i."""
        key = stream(state.key, "statistics of samples", i)
        return self.players.draw_latents(key, n), self.players.condition(self.players.draw_labels(key, n))


def pooled(statistics: PyTree) -> PyTree:
    """Mean and variance of all examples from those of batches of equal size, on the first axis of every array."""
    arrays = flatten_dict(statistics)
    spread = {path: arrays[(*path[:-1], "mean")].var(0) for path in arrays if path[-1] == "var"}
    return unflatten_dict({path: array.mean(0) + spread.get(path, 0.0) for path, array in arrays.items()})


STATISTICS = {"averaged": Sampler.averaged, "running": Sampler.running, "standing": Sampler.standing, "batch": None}
"""What the generator's batch norm draws with: (sampler, state) -> variables, None for `Sampler.together`.

averaged: statistics averaged as the weights are where `ema_half_life` is set, else running ones. running: those of the
generator that trains. standing: estimated for the weights that draw, each time afresh. batch: those of the batch of
samples itself.
"""


def build(config: ConfigDict, players: Players) -> Sampler:
    """The sampler that the config asks for; a UserError if there is no such."""
    lookup(STATISTICS, config.generator_statistics, "config.generator_statistics")
    return Sampler(config, players)
