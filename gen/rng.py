"""Randomness by name: a stream's key depends on its name alone, so adding a stream changes no other.

And randomness by rows: what a part of a batch draws are its rows of what the whole batch would.
"""

import functools
import math
import zlib

import jax
import jax.numpy as jnp
from jax.extend.random import define_prng_impl
from jaxtyping import Array, Int, Key, PRNGKeyArray, Shaped


def stream(key: PRNGKeyArray, name: str, step: Int[Array, ""] | int | None = None) -> Key[Array, ""]:
    """Returns the key of stream `name`, folded with `step` where one is given."""
    key = jax.random.fold_in(key, zlib.crc32(name.encode()))
    return key if step is None else jax.random.fold_in(key, step)


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

    The axis of the batch is the first one if its rows are examples or groups, else one as long as the part; a scalar is
    the same in all parts.

    Args:
      key: of the whole batch.
      i: which part.
      parts: how many there are.
      rows: of a part.
      group: rows that stay together.
    """
    data = jnp.append(jax.random.key_data(key), i.astype(jnp.uint32))
    return jax.random.wrap_key_data(data, impl=_impl(parts, rows, group))


@functools.cache
def _impl(parts: int, rows: int, group: int):
    """Threefry whose keys have a third word, the part, that stays as it is when they are folded or split."""
    def whole(key):
        return jax.random.wrap_key_data(key[:2], impl="threefry2x32")

    def with_part(keys, key):
        data = jax.random.key_data(keys)
        return jnp.concatenate([data, jnp.broadcast_to(key[2:], (*data.shape[:-1], 1))], axis=-1)

    def random_bits(key, bit_width, shape):
        if not shape or not math.prod(shape):
            return jax.random.bits(whole(key), shape, f"uint{bit_width}")
        axis = shape.index(rows) if rows in shape and shape[0] != rows // group else 0
        size = group if shape[axis] == rows else 1
        full = (*shape[:axis], shape[axis] * parts, *shape[axis + 1:])
        bits = jnp.moveaxis(jax.random.bits(whole(key), full, f"uint{bit_width}"), axis, 0)
        own = jax.lax.dynamic_index_in_dim(split_rows(bits, parts, size), key[2].astype(jnp.int32), keepdims=False)
        return jnp.moveaxis(own, 0, axis)

    return define_prng_impl(
        key_shape=(3,),
        seed=lambda seed: jnp.append(jax.random.key_data(jax.random.key(seed, impl="threefry2x32")), 0),
        split=lambda key, shape: with_part(jax.random.split(whole(key), shape), key),
        random_bits=random_bits,
        fold_in=lambda key, data: with_part(jax.random.fold_in(whole(key), data), key),
        name=f"rows_{parts}_{rows}_{group}",
        tag="rows",
    )
