"""What the families share: applying modules, hyperparameters as leaves, moving averages."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree


def apply(module: nn.Module, params: PyTree, variables: PyTree, *args, train: bool):
    """Applies a Flax module. Returns (output, variables after it); in evaluation the variables stay as they are."""
    if not train:
        return module.apply({"params": params, **variables}, *args, train=False), variables
    return module.apply({"params": params, **variables}, *args, train=True, mutable=list(variables))


def initial(module: nn.Module, key: PRNGKeyArray, *args) -> tuple[PyTree, PyTree]:
    """Returns (params, variables) of a module for inputs of these shapes."""
    variables = dict(module.init(key, *args, train=True))
    return variables.pop("params"), variables


def hypers(config, *keys: str) -> dict[str, Float[Array, ""]]:
    """The float values at these dotted keys of the config, or below them, as arrays by dotted key."""
    found = {}
    for key in keys:
        value = config
        for name in key.split("."):
            value = value[name]
        if isinstance(value, float):
            found[key] = jnp.float32(value)
        elif hasattr(value, "items"):
            found |= hypers(config, *(f"{key}.{name}" for name in value))
    return found


def options(part, prefix: str, hypers: dict[str, Array]) -> dict:
    """A part's options with the values of `hypers` in place of the config's, its name left out."""
    return {k: hypers.get(f"{prefix}.{k}", v) for k, v in part.items() if k != "name"}


def moving_average(average: PyTree, params: PyTree, images: int, half_life: float | Float[Array, ""]) -> PyTree:
    """Exponential moving average whose weights halve every `half_life` images, of which a step shows `images`."""
    decay = 0.5 ** (images / half_life)
    return jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, average, params)


def norm(tree: PyTree) -> Float[Array, ""]:
    """Euclidean norm of all leaves together."""
    return jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(tree)))
