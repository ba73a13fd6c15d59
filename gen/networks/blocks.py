"""Small choices that architectures share: activations and initial values by name."""

from collections.abc import Callable

import flax.linen as nn
from flax.linen.initializers import Initializer

from gen.errors import lookup

ACTIVATIONS: dict[str, Callable] = {
    "relu": nn.relu,
    "leaky_relu": lambda x: nn.leaky_relu(x, 0.2),
    "tanh": nn.tanh,
    "elu": nn.elu,
    "swish": nn.swish,
    "gelu": nn.gelu,
}

INITIALIZERS: dict[str, Initializer] = {
    "lecun_normal": nn.initializers.lecun_normal(),
    "glorot_uniform": nn.initializers.glorot_uniform(),
    "he_normal": nn.initializers.he_normal(),
    "orthogonal": nn.initializers.orthogonal(),
    "normal": nn.initializers.normal(0.02),  # Radford et al. 2016, section 4
}


def activation(name: str) -> Callable:
    """Returns the activation function of that name."""
    return lookup(ACTIVATIONS, name, "activation")


def initializer(name: str) -> Initializer:
    """Returns the initializer of that name."""
    return lookup(INITIALIZERS, name, "initializer")
