"""Streams for many layers: keys marked with a name, of which no round of threefry is asked."""

import jax
import jax.numpy as jnp
import numpy as np

from gen.rng import along, marked, part_key, split_rows

KEY = jax.random.key(0)
NAMES = ("encoder/blocks_0", "encoder/blocks_1", "decoder/blocks_0", "")


def test_marked_keys_draw_what_is_unrelated_to_the_key_and_to_each_other():
    draws = jnp.stack([jax.random.normal(key, (100_000,)) for key in (KEY, *(marked(KEY, name) for name in NAMES))])
    products = draws @ draws.T / draws.shape[1]
    np.testing.assert_allclose(products, jnp.eye(len(draws)), atol=5 / 100_000**0.5)
    np.testing.assert_array_equal(draws[1], jax.random.normal(marked(KEY, NAMES[0]), (100_000,)))


def test_bits_of_keys_that_differ_in_one_bit_differ_in_half():
    """A name turns some bits of a key; that any bit is enough is what `marked` relies on."""
    key = jax.random.key_data(KEY)
    ours = jax.random.bits(KEY, (10_000,))
    for bit in (0, 7, 31):
        theirs = jax.random.bits(jax.random.wrap_key_data(key.at[1].set(key[1] ^ jnp.uint32(1 << bit))), (10_000,))
        share = jnp.unpackbits((ours ^ theirs).view(jnp.uint8)).mean()
        np.testing.assert_allclose(share, 0.5, atol=5 * 0.5 / 320_000**0.5)


def test_a_part_of_a_batch_draws_its_rows_from_a_marked_key():
    whole = jax.random.normal(marked(KEY, "name"), (6, 3))
    parts = [jax.random.normal(along(marked(part_key(KEY, jnp.int32(i), 2, 3), "name"), 0), (3, 3)) for i in range(2)]
    np.testing.assert_array_equal(jnp.stack(parts), split_rows(whole, 2))
