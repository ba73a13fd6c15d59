"""Adaptive augmentation: as much of it as keeps the discriminator from overfitting (Karras et al. 2020, section 3.1).

The heuristic is r_t = E[sign(D(x))] over real examples x as the discriminator sees them: 0 without overfitting, 1 where
it knows them all. Every `every` steps the probability of augmentations moves up if r_t is above the target, else down,
by what takes it from 0 to 1 in `images` real examples. It stays within [0, 1].
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree
from ml_collections import ConfigDict

from gen.families.types import Metrics, TrainState
from gen.schedules import acts

ENTRY = "augmentation"
"""Of the state's variables: the probability, and the sum of E[sign(D(x))] over the steps since it moved."""

Scalar = Float[Array, ""]


def initial(config: ConfigDict) -> dict[str, PyTree]:
    """What the state's variables have of it at first; nothing where the config has no target."""
    if not config.ada.target:
        return {}
    return {ENTRY: {"probability": jnp.float32(config.ada.initial), "signs": jnp.zeros(())}}


def probability(config: ConfigDict, state: TrainState) -> Scalar | None:
    """That of each augmentation of each image at this step; None where all are always applied."""
    if config.ada.target:
        return state.variables[ENTRY]["probability"]
    return state.hypers["augment_probability"] if config.augment and acts(config, "augment_probability") else None


def noted(config: ConfigDict, state: TrainState, metrics: Metrics) -> dict[str, PyTree]:
    """The variables after a step of the discriminator, whose metric `real_sign` is E[sign(D(x) - threshold)]."""
    if not config.ada.target:
        return {}
    held = state.variables[ENTRY]
    return {ENTRY: held | {"signs": held["signs"] + metrics["real_sign"]}}


def adjusted(config: ConfigDict, state: TrainState) -> tuple[dict[str, PyTree], Metrics]:
    """The variables after a step of both players, and the probability as a metric."""
    if not config.ada.target:
        return {}, {}
    held, steps = state.variables[ENTRY], config.ada.every * config.critic_steps
    direction = jnp.sign(held["signs"] / steps - state.hypers["ada.target"])
    real = steps * config.train.batch_size * config.packing
    moved = jnp.clip(held["probability"] + direction * real / config.ada.images, 0, 1)
    due = (state.step + 1) % config.ada.every == 0
    after = {"probability": jnp.where(due, moved, held["probability"]), "signs": jnp.where(due, 0, held["signs"])}
    return {ENTRY: after}, {"augment_probability": after["probability"]}
