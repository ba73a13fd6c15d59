"""Optimizers by name, and what every one of them takes: limits on gradients. optax does the work.

The learning rate and the limits that are set are leaves of the TrainState (`hypers`), so that a sweep over them
compiles once; so is any other float of an optimizer that has a schedule (`gen.schedules`).
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PyTree
from ml_collections import ConfigDict

from gen import flat
from gen.config import field_of
from gen.config.ranges import Decay, NonNegative, Positive
from gen.errors import lookup

Scalar = Float[Array, ""]
Option = float | Scalar
Config = Mapping | ConfigDict
LearningRate = NonNegative[Option]
Momentum = Decay[Option]
Epsilon = Positive[Option]

COMMON = {"clip_norm": field_of(NonNegative[float], 0.0), "clip_value": field_of(NonNegative[float], 0.0),
          "skip_norm": field_of(NonNegative[float], 0.0)}
"""Limits that every optimizer takes, 0 for none. `clip_value`: each entry of the gradient is held within +- it.
`clip_norm`: the gradient is scaled down to this Euclidean norm of all its entries together (Pascanu et al. 2013,
algorithm 1). `skip_norm`: an update whose gradient, before both, has this norm or more, or none that is finite, is left
out (Child 2021, VDVAE, section 3.3 and its released code)."""

TINY = 1e-12
"""The least norm that a gradient is divided by."""

VECTORS = ("bias", "scale")
"""Names of parameters that a layer has one of for each channel; equal layers may have theirs stacked."""

KINDS: dict[str, Callable[[str, Array], bool]] = {
    "all": lambda name, array: True, "kernels": lambda name, array: array.ndim > 1 and name not in VECTORS}
"""Parameters that weight decay is of, by name and array: all, or kernels, which have two axes or more; biases and norms
have one."""


def adam(learning_rate: LearningRate = 1e-3, b1: Momentum = 0.9, b2: Momentum = 0.999, eps: Epsilon = 1e-8):
    """-learning_rate m / (sqrt(v) + eps), m and v corrected for their beginning at 0.

    Kingma & Ba 2015, algorithm 1, and torch. TensorFlow and Theano's Blocks add eps to the root before its correction
    (the paper's eps-hat), so that early steps feel a larger one.
    """
    return optax.adam(learning_rate, b1, b2, eps)


def adamw(learning_rate: LearningRate = 1e-3, b1: Momentum = 0.9, b2: Momentum = 0.999, eps: Epsilon = 1e-8,
          weight_decay: NonNegative[Option] = 1e-4, decayed: str = "all"):
    """Adam's step - learning_rate * weight_decay * weight, of parameters of the kind `decayed`, a key of `KINDS`.

    Decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2) as in torch, where the learning rate multiplies the
    decay; in the paper only its schedule does. torch's default is 1e-2, of all parameters.
    """
    kind = lookup(KINDS, decayed, "kind of parameters, config.*optimizer.decayed,")
    mask = None if decayed == "all" else lambda params: jax.tree_util.tree_map_with_path(
        lambda path, array: kind(jax.tree_util.keystr(path[-1:], simple=True), array), params)
    return optax.adamw(learning_rate, b1, b2, eps, weight_decay=weight_decay, mask=mask)


def adamax(learning_rate: LearningRate = 2e-3, b1: Momentum = 0.9, b2: Momentum = 0.999, eps: Epsilon = 1e-8):
    """-learning_rate m / ((1 - b1^t) u), u = max(b2 u, |g| + eps) (Kingma & Ba 2015, algorithm 2), eps as in torch."""
    return optax.adamax(learning_rate, b1, b2, eps)


def normalized_adam(learning_rate: LearningRate = 1e-3, b1: Momentum = 0.9, b2: Momentum = 0.999, eps: Epsilon = 1e-8):
    """Adam on gradients that are divided, tensor by tensor, by their Euclidean norm + 1e-7.

    AdamNormGrad of the released code of Tomczak & Welling 2018. Equal layers of a deep hierarchy are one tensor
    (`gen.networks.loops`).
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
    return optax.sgd(learning_rate, None if isinstance(momentum, float) and momentum == 0 else momentum)


OPTIMIZERS = {
    "adam": adam, "adamax": adamax, "adamw": adamw, "normalized_adam": normalized_adam, "rmsprop": rmsprop, "sgd": sgd,
}


ENTRYWISE = ("adam", "adamax", "adamw", "rmsprop", "sgd")
"""Those that move an entry by its own gradient, state and value alone, so that arrays may be put together
(`gen.flat`)."""


def hypers(config: Config, *names: str) -> dict[str, Scalar]:
    """The learning rates of the optimizers that the config has at `names`, and limits that are set, by dotted key."""
    return {f"{name}.{key}": jnp.float32(config[name][key]) for name in names if name in config
            for key in ("learning_rate", *COMMON) if key == "learning_rate" or config[name][key]}


def transformation(config: Config, name: str, hypers: Mapping[str, Option]) -> optax.GradientTransformation:
    """The optimizer that the config has at `name`, with the values of `hypers` in place of its own."""
    options = {key: hypers.get(f"{name}.{key}", value) for key, value in config[name].items()
               if key not in ("name", *COMMON)}
    return OPTIMIZERS[config[name]["name"]](**options)


def init(config: Config, name: str, params: PyTree) -> PyTree:
    """The first state of the optimizer that the config has at `name`."""
    return transformation(config, name, {}).init(params)


def move(config: Config, name: str, hypers: Mapping[str, Option], grads: PyTree, opt_state: PyTree, params: PyTree,
         size: Scalar | None = None) -> tuple[PyTree, PyTree, dict[str, Scalar]]:
    """One step of the optimizer that the config has at `name`, within its limits.

    Args:
      size: the norm of the gradient where it is known already: XLA finds sums over the same leaves only late.

    Returns:
      (params, opt_state, metrics); of an optimizer that skips, the metric `skipped_updates` is 1 where it did.
    """
    limits = {key: hypers.get(f"{name}.{key}", config[name][key]) for key in COMMON if config[name].get(key)}
    if size is None and {"clip_norm", "skip_norm"} & limits.keys():
        size = norm(grads)
    kept = size < limits["skip_norm"] if "skip_norm" in limits else None

    def within(grads: PyTree, opt_state: PyTree, params: PyTree) -> tuple[PyTree, PyTree]:
        updates, after = transformation(config, name, hypers).update(clipped(grads, limits, size), opt_state, params)
        moved = optax.apply_updates(params, updates), after
        return moved if kept is None else chosen(kept, moved, (params, opt_state))

    step = flat.entrywise(within) if config[name]["name"] in ENTRYWISE else within
    params, opt_state = step(grads, opt_state, params)
    return params, opt_state, {} if kept is None else {"skipped_updates": 1.0 - kept}


def norm(tree: PyTree) -> Scalar:
    """Euclidean norm of all leaves together.

    Behind a barrier: XLA would keep the squares of a gradient, for Adam's second moments, 4 % of a small step.
    """
    leaves = jax.lax.optimization_barrier(jax.tree.leaves(flat.shortest(tree)))
    return jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in leaves))


def clipped(grads: PyTree, limits: Mapping[str, Option], size: Scalar | None) -> PyTree:
    """The gradient, whose norm is `size`, within the limits `clip_value` and `clip_norm`, where there are such."""
    if "clip_value" in limits:
        grads = jax.tree.map(lambda g: jnp.clip(g, -limits["clip_value"], limits["clip_value"]), grads)
        size = norm(grads)
    if "clip_norm" in limits:
        shrink = jnp.minimum(1, limits["clip_norm"] / jnp.maximum(size, TINY))
        grads = jax.tree.map(lambda g: shrink * g, grads)
    return grads


def unless(skipped: Scalar | None, after: PyTree, before: PyTree) -> PyTree:
    """What goes with an update after it: `before` where `skipped`, a metric of `move`, is 1; None: it never is."""
    return after if skipped is None else chosen(skipped > 0, before, after)


def chosen(condition: Bool[Array, ""], these: PyTree, others: PyTree) -> PyTree:
    """Leaves of the one tree or of the other."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), these, others)
