"""The next batch as a pure function of (key, step): a shuffle without a permutation array, a sort or an iterator.

Step s takes the positions s b, ..., s b + b - 1 of an endless sequence of epochs of n examples. Position p lies in
epoch p // n, and its example is P(p mod n), where P is a bijection on [0, n) keyed by the seed and the epoch. So each
epoch shows every example exactly once, batches run on across the end of an epoch, and the place in the data needs no
saving.

P is a Feistel network on pairs (left, right) in Z_a x Z_b, a b >= n, that alternates left += F(right) and
right += F(left); a value outside [0, n) is put through again until it falls inside ("cycle walking"). With
a = ceil(sqrt(n)) and b = ceil(n / a) fewer than a of the a b values lie outside, so that nearly no lane walks.
Source: J. Black and P. Rogaway, Ciphers with Arbitrary Finite Domains, CT-RSA 2002, methods 2 and 3.

Positions are uint32: a run must show fewer than 2^32 examples in all, or the sequence starts over.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray, PyTree, UInt32

from gen.rng import stream

Words = UInt32[Array, "..."] | UInt32[np.ndarray, "..."]

ROUNDS = 8
"""With 4 rounds neighbours stay neighbours up to 1.9 times as often as in a random order, with 6 up to 1.1 times."""


def indices_at(key: PRNGKeyArray, step: Int[Array, ""] | int, batch_size: int, n: int) -> Int[Array, "b"]:
    """Returns the indices in [0, n) of the examples of one step.

    Args:
      key: root key of the run; the shuffle takes its own stream of it.
      step: steps before this one.
      batch_size: examples a step.
      n: examples of the data set.
    """
    return indices_block(key, step, 1, batch_size, n)[0]


def indices_block(
    key: PRNGKeyArray, first_step: Int[Array, ""] | int, steps: int, batch_size: int, n: int
) -> Int[Array, "steps b"]:
    """Returns the indices of `steps` steps from `first_step` on: the rows are `indices_at` of each, in one go."""
    first = jnp.asarray(first_step).astype(jnp.uint32) * jnp.uint32(batch_size)
    position = first + jnp.arange(steps * batch_size, dtype=jnp.uint32)
    index = _permute(stream(key, "shuffle"), position // jnp.uint32(n), position % jnp.uint32(n), n)
    return index.astype(jnp.int32).reshape(steps, batch_size)


class Order(NamedTuple):
    """The same shuffle in numpy, for processes that read records and have no device.

    Attributes:
      words: the random words that the key gives.
      n: examples of the data set.
    """

    words: UInt32[np.ndarray, "r"]
    n: int

    def __call__(self, first_step: int, steps: int, batch_size: int) -> Int[np.ndarray, "steps b"]:
        """Returns what `indices_block` returns."""
        first = first_step * batch_size % 2**32
        position = (first + np.arange(steps * batch_size, dtype=np.uint64)).astype(np.uint32)
        salt, value = _mix(position // np.uint32(self.n) + self.words[ROUNDS]), position % np.uint32(self.n)
        value = _feistel(self.words, salt, value, self.n)
        while (outside := value >= self.n).any():
            value[outside] = _feistel(self.words, salt[outside], value[outside], self.n)
        return value.astype(np.int32).reshape(steps, batch_size)


def order(key: PRNGKeyArray, n: int) -> Order:
    """Returns the shuffle of n examples for this root key of a run."""
    return Order(np.asarray(_words(stream(key, "shuffle"))), n)


def gather(data: PyTree[Array], indices: Int[Array, "*batch"]) -> PyTree[Array]:
    """Returns the examples `indices` of every array of `data`, taken along its first axis."""
    return jax.tree.map(lambda array: jnp.take(array, indices, axis=0, mode="clip"), data)


def _permute(key: PRNGKeyArray, epoch: UInt32[Array, "p"], value: UInt32[Array, "p"], n: int) -> UInt32[Array, "p"]:
    """Applies each lane's bijection of its epoch to its value in [0, n)."""
    words = _words(key)
    salt = _mix(epoch + words[ROUNDS])

    def walk(value):
        return jnp.where(value < n, value, _feistel(words, salt, value, n))

    return jax.lax.while_loop(lambda value: jnp.any(value >= n), walk, _feistel(words, salt, value, n))


def _words(key: PRNGKeyArray) -> UInt32[Array, "r"]:
    """What keys the network: a word for each round and one for the epoch."""
    return jax.random.bits(key, (ROUNDS + 1,), jnp.uint32)


def _feistel(words: Words, salt: Words, value: Words, n: int) -> Words:
    """One pass of the network over [0, a b)."""
    a = math.isqrt(n - 1) + 1
    b = -(-n // a)
    left, right = value // np.uint32(b), value % np.uint32(b)
    for i in range(0, ROUNDS, 2):
        left = _add(left, _mix(right + words[i] + salt), a)
        right = _add(right, _mix(left + words[i + 1] + salt), b)
    return left * np.uint32(b) + right


def _add(half: Words, noise: Words, size: int) -> Words:
    """half + noise in Z_size, size <= 2^16; the upper 16 bits of the noise are scaled to [0, size)."""
    total = half + ((noise >> 16) * np.uint32(size) >> 16)
    return total - (total >= size) * np.uint32(size)


def _mix(x: Words) -> Words:
    """A bijection on 32 bits in which every bit of the input moves every bit of the output (C. Wellons, lowbias32)."""
    x = (x ^ (x >> 16)) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * np.uint32(0x846CA68B)
    return x ^ (x >> 16)
