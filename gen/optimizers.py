"""Optimizers and learning-rate schedules by name; optax does the work.

The learning rate is a leaf of the TrainState (`hypers`), so that a sweep over it compiles once; a schedule is a
factor on it. A schedule has its own length, so that extending a run does not change what has been trained.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree
from ml_collections import ConfigDict

from gen.config.ranges import Count, Decay, NonNegative, Positive

Scalar = Float[Array, ""]
Rate = float | Scalar
Options = Mapping | ConfigDict
Step = Int[Array, ""]
LearningRate = NonNegative[Rate]
Momentum = Decay[float]
Epsilon = Positive[float]


def adam(learning_rate: LearningRate = 1e-3, b1: Momentum = 0.9, b2: Momentum = 0.999, eps: Epsilon = 1e-8):
    """-learning_rate m / (sqrt(v) + eps), m and v corrected for their beginning at 0.

    Kingma & Ba 2015, algorithm 1, and torch. TensorFlow and Theano's Blocks add eps to the root before its correction
    (the paper's eps-hat), so that early steps feel a larger one.
    """
    return optax.adam(learning_rate, b1, b2, eps)


def adamw(learning_rate: LearningRate = 1e-3, b1: Momentum = 0.9, b2: Momentum = 0.999, eps: Epsilon = 1e-8,
          weight_decay: NonNegative[float] = 1e-4):
    """Adam's step - learning_rate * weight_decay * weight, of every parameter, biases and norms too.

    Decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2) as in torch, where the learning rate multiplies the
    decay; in the paper only its schedule does. torch's default is 1e-2.
    """
    return optax.adamw(learning_rate, b1, b2, eps, weight_decay=weight_decay)


def normalized_adam(learning_rate: LearningRate = 1e-3, b1: Momentum = 0.9, b2: Momentum = 0.999, eps: Epsilon = 1e-8):
    """Adam on gradients that are divided, tensor by tensor, by their Euclidean norm + 1e-7.

    AdamNormGrad of the released code of Tomczak & Welling 2018.
    """
    return optax.chain(optax.stateless(lambda grads, _: jax.tree.map(unit, grads)), adam(learning_rate, b1, b2, eps))


def unit(gradient: Float[Array, "..."]) -> Float[Array, "..."]:
    """The gradient over its Euclidean norm + 1e-7."""
    return gradient / (jnp.linalg.norm(gradient.ravel()) + 1e-7)


def rmsprop(learning_rate: LearningRate = 1e-3, decay: Momentum = 0.9, eps: Epsilon = 1e-8):
    """-learning_rate g / (sqrt(v) + eps), v the running mean of g^2 from 0, uncorrected: early steps are larger.

    Hinton 2012, lecture 6e, whose decay is 0.9, with eps where torch has it, outside the root; torch's decay is 0.99.
    TensorFlow 1 has eps = 1e-10 inside the root, and v begins at 1, so that early steps are smaller.
    """
    return optax.rmsprop(learning_rate, decay, eps, eps_in_sqrt=False)


def sgd(learning_rate: LearningRate = 1e-3, momentum: Momentum = 0.0):
    """Gradient descent; with momentum -learning_rate m, m = momentum m + g (Polyak's heavy ball).

    As in torch (dampening 0) and TensorFlow: a step grows to 1 / (1 - momentum) of one without.
    """
    return optax.sgd(learning_rate, momentum or None)


OPTIMIZERS = {
    "adam": adam, "adamw": adamw, "normalized_adam": normalized_adam, "rmsprop": rmsprop, "sgd": sgd,
}


def constant(step: Step) -> Scalar:
    """1 at every step."""
    return jnp.ones(())


def linear(step: Step, steps: Count = 10_000, final: NonNegative[float] = 0.0) -> Scalar:
    """From 1 to `final` on a straight line over `steps`, constant after it."""
    return 1 + (final - 1) * jnp.clip(step / steps, 0, 1)


def cosine(step: Step, steps: Count = 10_000, final: NonNegative[float] = 0.0) -> Scalar:
    """From 1 to `final` on half a cosine over `steps` (Loshchilov & Hutter 2017, eq. 5), constant after it."""
    return final + (1 - final) * 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(step / steps, 0, 1)))


def exponential(step: Step, half_life: Count = 10_000) -> Scalar:
    """Halves every `half_life` steps."""
    return 0.5 ** (step / half_life)


def stages(step: Step, unit: Count = 500, last: Count = 7) -> Scalar:
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
