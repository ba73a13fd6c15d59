"""What a config may ask of every family alike: schedules of its floats, and a moving average of its parameters."""

from collections.abc import Callable, Iterable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree
from ml_collections import ConfigDict

from gen import schedules
from gen.families import common
from gen.families.types import Batch, Family, Metrics, TrainState

STATISTICS = "batch_stats"
"""The collection of a module's variables that is averaged as its parameters are."""


def scheduled(config: ConfigDict, family: Family, floats: Iterable[str]) -> Family:
    """The family whose steps see each scheduled float at its value of then (`gen.schedules`).

    The state keeps the floats themselves, so that they can be swept, and those of the schedules.

    Args:
      config: of the run.
      family: of the config, without schedules.
      floats: keys at or below which are the floats that it reads from the state's `hypers`.
    """
    targets, images = schedules.targets(config, floats), config.train.batch_size * family.batches
    if not targets:
        return family

    def now(state: TrainState) -> TrainState:
        moved = {key: schedules.value(config, path, state.hypers[key], state.hypers, state.step, images)
                 for key, path in targets.items()}
        return state.replace(hypers=state.hypers | moved)

    def init(key: PRNGKeyArray, examples: Batch) -> TrainState:
        state = family.init(key, examples)
        return state.replace(hypers=state.hypers | common.hypers(config, *targets, schedules.SECTION))

    def update(state: TrainState, batch: Batch, key: PRNGKeyArray) -> tuple[TrainState, Metrics]:
        after, metrics = family.update(now(state), batch, key)
        return after.replace(hypers=after.hypers | {key: state.hypers[key] for key in targets}), metrics

    diagnose = family.diagnose
    return family._replace(
        init=init, update=update,
        diagnose=diagnose and (lambda state, batch, key: diagnose(now(state), batch, key)))


def averaged(config: ConfigDict, family: Family) -> Family:
    """The family that evaluates, samples, encodes and decodes with the moving averages of its parts (`ema_half_life`).

    All parts but discriminators, and of each the running statistics of its batch norms alike.
    """
    if not config.ema_half_life:
        return family
    images = config.train.batch_size

    def init(key: PRNGKeyArray, examples: Batch) -> TrainState:
        state = family.init(key, examples)
        return state.replace(ema=jax.tree.map(jnp.copy, _parts(state)), hypers=state.hypers | common.ema_hypers(config))

    def update(state: TrainState, batch: Batch, key: PRNGKeyArray) -> tuple[TrainState, Metrics]:
        after, metrics = family.update(state, batch, key)
        ema = common.averages(config, state, _parts(after), images, partial(skipped, config, metrics))
        return after.replace(ema=ema), metrics

    def by_averages(function: Callable) -> Callable:
        return lambda state, *args, **kwargs: function(_drawn(state), *args, **kwargs)

    return family._replace(
        init=init, update=update, evaluate=by_averages(family.evaluate), sample=by_averages(family.sample),
        methods={name: by_averages(method) for name, method in family.methods.items()})


def skipped(config: ConfigDict, metrics: Metrics, entry: str) -> Float[Array, ""] | None:
    """Whether the update of what an entry of the averages is of was left out; None if none is.

    A part that has an optimizer of its own, or a step of its own, has a metric of its own.
    """
    part = entry.removesuffix("_statistics")
    own = metrics.get(f"{part}_skipped_updates")
    return own if own is not None or f"{part}_optimizer" in config else metrics.get("skipped_updates")


def _parts(state: TrainState) -> dict[str, PyTree]:
    """What is averaged: parameters by part, and the statistics of a part as `<part>_statistics`."""
    params = {name: part for name, part in state.params.items() if name != "discriminator"}
    held = {name: state.variables.get(name, {}).get(STATISTICS) for name in params}
    return params | {f"{name}_statistics": statistics for name, statistics in held.items() if statistics}


def _drawn(state: TrainState) -> TrainState:
    """The state with its averages in place of what they are averages of."""
    params = {name: state.ema[name] for name in state.params if name in state.ema}
    statistics = {name: state.variables[name] | {STATISTICS: state.ema[f"{name}_statistics"]}
                  for name in params if f"{name}_statistics" in state.ema}
    return state.replace(params=state.params | params, variables=state.variables | statistics)
