"""Optimizers and learning-rate schedules by name; optax does the work.

The learning rate is a leaf of the TrainState (`hypers`), so that a sweep over it compiles once; a schedule is a
factor on it. A schedule has its own length, so that extending a run does not change what has been trained.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree
from ml_collections import ConfigDict

Scalar = Float[Array, ""]
Rate = float | Scalar
Options = Mapping | ConfigDict
Step = Int[Array, ""]


def adam(learning_rate: Rate = 1e-3, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8):
    """Kingma & Ba 2015, algorithm 1."""
    return optax.adam(learning_rate, b1, b2, eps)


def adamw(learning_rate: Rate = 1e-3, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8,
          weight_decay: float = 1e-4):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2)."""
    return optax.adamw(learning_rate, b1, b2, eps, weight_decay=weight_decay)


def rmsprop(learning_rate: Rate = 1e-3, decay: float = 0.9, eps: float = 1e-8):
    """Gradients over the root of their running mean square (Hinton 2012, lecture 6e)."""
    return optax.rmsprop(learning_rate, decay, eps)


def sgd(learning_rate: Rate = 1e-3, momentum: float = 0.0):
    """Gradient descent, with heavy-ball momentum if it is positive."""
    return optax.sgd(learning_rate, momentum or None)


OPTIMIZERS = {"adam": adam, "adamw": adamw, "rmsprop": rmsprop, "sgd": sgd}


def constant(step: Step) -> Scalar:
    """1 at every step."""
    return jnp.ones(())


def linear(step: Step, steps: int = 10_000, final: float = 0.0) -> Scalar:
    """From 1 to `final` on a straight line over `steps`, constant after it."""
    return 1 + (final - 1) * jnp.clip(step / steps, 0, 1)


def cosine(step: Step, steps: int = 10_000, final: float = 0.0) -> Scalar:
    """From 1 to `final` on half a cosine over `steps` (Loshchilov & Hutter 2017, eq. 5), constant after it."""
    return final + (1 - final) * 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(step / steps, 0, 1)))


def exponential(step: Step, half_life: int = 10_000) -> Scalar:
    """Halves every `half_life` steps."""
    return 0.5 ** (step / half_life)


def stages(step: Step, unit: int = 500, last: int = 7) -> Scalar:
    """10^(-i / last) in stage i of 3^i * `unit` steps, i = 0..`last`, then constant (Burda et al. 2016, section 5)."""
    ends = jnp.cumsum(unit * 3 ** jnp.arange(last))
    return 10.0 ** (-jnp.sum(step >= ends) / last)


SCHEDULES = {"constant": constant, "linear": linear, "cosine": cosine, "exponential": exponential, "stages": stages}


def factor(schedule: Options, step: Step) -> Scalar:
    """The value at `step` of the schedule that the config names."""
    options = {k: v for k, v in schedule.items() if k != "name"}
    return SCHEDULES[schedule["name"]](step, **options)


def transformation(part: Options, learning_rate: Rate) -> optax.GradientTransformation:
    """The optimizer that the config names, at this learning rate."""
    options = {k: v for k, v in part.items() if k not in ("name", "learning_rate")}
    return OPTIMIZERS[part["name"]](learning_rate, **options)


def descend(part: Options, learning_rate: Scalar, grads: PyTree, opt_state: PyTree, params: PyTree):
    """One step of the optimizer that the config names. Returns (params, opt_state)."""
    updates, opt_state = transformation(part, learning_rate).update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state
