"""Randomness by name: a stream's key depends on its name alone, so adding a stream changes no other."""

import zlib

import jax
from jaxtyping import Array, Int, Key, PRNGKeyArray


def stream(key: PRNGKeyArray, name: str, step: Int[Array, ""] | int | None = None) -> Key[Array, ""]:
    """Returns the key of stream `name`, folded with `step` where one is given."""
    key = jax.random.fold_in(key, zlib.crc32(name.encode()))
    return key if step is None else jax.random.fold_in(key, step)
