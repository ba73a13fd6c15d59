"""Randomness by name: a stream's key depends on its name alone, so adding a stream changes no other.

And randomness by rows: what a part of a batch draws are its rows of what the whole batch would.
"""

import functools
import math
import zlib
from collections.abc import Hashable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import define_prng_impl
from jaxtyping import Array, Int, Key, PRNGKeyArray, Shaped


def stream(key: PRNGKeyArray, name: str, step: Int[Array, ""] | int | None = None) -> Key[Array, ""]:
    """Returns the key of stream `name`, folded with `step` where one is given."""
    key = jax.random.fold_in(key, zlib.crc32(name.encode()))
    return key if step is None else jax.random.fold_in(key, step)


def marked(key: PRNGKeyArray, name: str) -> Key[Array, ""]:
    """The key with two hashes of `name` in its words, by exclusive or: a stream for each of many layers.

    Threefry's bits of keys that differ in one bit are unrelated, as the tests measure. `stream` calls it once more to
    fold a name in, and each call is a loop that XLA compiles; a network may have sixty layers that draw.
    """
    data, text = jax.random.key_data(key), name.encode()
    words = np.zeros(data.shape[-1], np.uint32)
    words[:2] = zlib.crc32(text), zlib.adler32(text)
    return jax.random.wrap_key_data(data ^ words, impl=jax.random.key_impl(key))


def is_key(leaf) -> bool:
    """Whether an array, or its abstract form, has keys for elements."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def plain(leaf):
    """The data of keys, which can be written and sent; other arrays as they are."""
    return jax.random.key_data(leaf) if is_key(leaf) else leaf


def key_as(like, leaf):
    """`leaf` as keys where `like` has keys and it has their data."""
    return jax.random.wrap_key_data(leaf) if is_key(like) and not is_key(leaf) else leaf


def split_rows(x: Shaped[Array, "n ..."], parts: int, group: int = 1) -> Shaped[Array, "parts m ..."]:
    """Rows of a batch in equal parts: part i has the groups i, i + parts, ... of `group` rows in succession.

    So a batch that is split over devices gives each of them its share of every part, where it is.
    """
    dealt = x.reshape(len(x) // (parts * group), parts, group, *x.shape[1:])
    return jnp.moveaxis(dealt, 1, 0).reshape(parts, len(x) // parts, *x.shape[1:])


def join_rows(x: Shaped[Array, "parts m ..."], group: int = 1) -> Shaped[Array, "n ..."]:
    """The inverse of `split_rows`."""
    parts, m = x.shape[:2]
    dealt = x.reshape(parts, m // group, group, *x.shape[2:])
    return jnp.moveaxis(dealt, 0, 1).reshape(parts * m, *x.shape[2:])


def part_key(key: PRNGKeyArray, i: Int[Array, ""], parts: int, rows: int, group: int = 1) -> Key[Array, ""]:
    """The key of part i of a batch (`split_rows`): it draws the rows of part i of what `key` draws for all.

    The batch is the first axis of what is drawn, of a row for each example or for each group; where it is another one,
    the draw says so with `along`. A scalar is the same in all parts.

    Args:
      key: of the whole batch.
      i: which part.
      parts: how many there are.
      rows: of a part.
      group: rows that stay together.

    Raises:
      ValueError: at a draw whose axis of the batch is as long as neither `rows` nor the groups of a part.
    """
    data = jnp.append(jax.random.key_data(key), i.astype(jnp.uint32))
    return jax.random.wrap_key_data(data, impl=_impl(Layout(parts, rows, group, 0)))


def along(key: PRNGKeyArray, axis: int) -> Key[Array, ""]:
    """The key for draws whose batch is at `axis`, e.g. 1 of k samples for each example, [k b ...].

    A key that is no part's draws what it always does.
    """
    layout = _LAYOUTS.get(jax.random.key_impl(key))
    if layout is None:
        return key
    return jax.random.wrap_key_data(jax.random.key_data(key), impl=_impl(layout._replace(axis=axis)))


class Layout(NamedTuple):
    """How the draws of a part's key lie in those of the whole batch: see `part_key`; `axis` is that of the batch."""

    parts: int
    rows: int
    group: int
    axis: int


_LAYOUTS: dict[Hashable, Layout] = {}
"""By `jax.random.key_impl` of a part's keys."""


@functools.cache
def _impl(layout: Layout):
    """Threefry whose keys have a third word, the part, that stays as it is when they are folded or split."""
    parts, rows, group, axis = layout

    def whole(key):
        return jax.random.wrap_key_data(key[:2], impl="threefry2x32")

    def with_part(keys, key):
        data = jax.random.key_data(keys)
        return jnp.concatenate([data, jnp.broadcast_to(key[2:], (*data.shape[:-1], 1))], axis=-1)

    def random_bits(key, bit_width, shape):
        if not shape or not math.prod(shape):
            return jax.random.bits(whole(key), shape, f"uint{bit_width}")
        if len(shape) <= axis or shape[axis] not in (rows, rows // group):
            raise ValueError(f"A part of {rows} rows drew noise of shape {shape}: its axis {axis} is not the batch's.")
        full = (*shape[:axis], shape[axis] * parts, *shape[axis + 1:])
        bits = jnp.moveaxis(jax.random.bits(whole(key), full, f"uint{bit_width}"), axis, 0)
        dealt = split_rows(bits, parts, group if shape[axis] == rows else 1)
        own = jax.lax.dynamic_index_in_dim(dealt, key[2].astype(jnp.int32), keepdims=False)
        return jnp.moveaxis(own, 0, axis)

    implementation = define_prng_impl(
        key_shape=(3,),
        seed=lambda seed: jnp.append(jax.random.key_data(jax.random.key(seed, impl="threefry2x32")), 0),
        split=lambda key, shape: with_part(jax.random.split(whole(key), shape), key),
        random_bits=random_bits,
        fold_in=lambda key, data: with_part(jax.random.fold_in(whole(key), data), key),
        name=f"rows_{parts}_{rows}_{group}_{axis}",
        tag="rows",
    )
    _LAYOUTS[implementation] = layout
    return implementation
