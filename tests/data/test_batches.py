import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gen.data.batches import gather, order
from gen.data.batches import indices_at as eager_indices_at
from gen.data.batches import indices_block as eager_indices_block

ORDERS = 2000

indices_at = jax.jit(eager_indices_at, static_argnums=(2, 3))
indices_block = jax.jit(eager_indices_block, static_argnums=(2, 3, 4))


@functools.cache
def orders(n):
    """The first epoch's order of n examples under many seeds, [ORDERS n]."""
    keys = jax.vmap(jax.random.key)(jnp.arange(ORDERS))
    return np.asarray(jax.jit(jax.vmap(lambda key: indices_block(key, 0, 1, n, n)[0]))(keys))


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 3, 16, 97, 256, 60_000, 65_537])
def test_every_epoch_shows_every_example_once(n):
    epochs = np.asarray(indices_block(jax.random.key(1), 0, 3, n, n))
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(n), (3, 1)))


@pytest.mark.slow
def test_batches_run_on_across_epochs():
    n, batch = 10, 7
    sequence = np.concatenate([indices_at(jax.random.key(0), step, batch, n) for step in range(10)])
    np.testing.assert_array_equal(np.sort(sequence.reshape(7, n), axis=1), np.tile(np.arange(n), (7, 1)))
    np.testing.assert_array_equal(sequence[:n], np.asarray(indices_at(jax.random.key(0), 0, n, n)))


@pytest.mark.parametrize("n", [1, 2, 97, 60_000])
def test_the_order_in_numpy_is_the_same(n):
    key = jax.random.key(3)
    for step in (0, 1_000, 2**32 // 50 - 1):
        np.testing.assert_array_equal(order(key, n)(step, 3, 50), indices_block(key, step, 3, 50, n))


def test_block_is_the_single_steps():
    key, n, batch = jax.random.key(5), 123, 50
    block = indices_block(key, jnp.int32(4), 6, batch, n)
    single = jax.vmap(lambda step: indices_at(key, step, batch, n))(jnp.arange(4, 10))
    np.testing.assert_array_equal(block, single)
    assert block.shape == (6, batch) and block.dtype == jnp.int32


def test_positions_beyond_two_to_the_31():
    batch, n = 1000, 60_000
    step = 4_000_000
    block = np.asarray(indices_block(jax.random.key(0), step, n // batch, batch, n)).ravel()
    epoch_end = n - (step * batch) % n
    assert len(np.unique(block[:epoch_end])) == epoch_end
    assert block.min() >= 0 and block.max() < n


@pytest.mark.slow
def test_epochs_and_seeds_differ():
    n = 1000
    epochs = np.asarray(indices_block(jax.random.key(0), 0, 50, n, n))
    seeds = orders(n)[:50]
    for rows in (epochs, seeds):
        same = np.mean(rows[:, None] == rows[None], axis=-1)[~np.eye(50, dtype=bool)]
        assert same.max() < 0.01 and abs(same.mean() - 1 / n) < 3e-4


@pytest.mark.parametrize("n", [24, 100])
def test_each_place_is_uniform_over_seeds(n):
    drawn = orders(n)
    for place in (0, 1, n // 2, n - 1):
        assert stats.chisquare(np.bincount(drawn[:, place], minlength=n)).pvalue > 1e-4


@pytest.mark.parametrize("n", [24, 100])
def test_each_place_is_uniform_over_epochs(n):
    drawn = np.asarray(indices_block(jax.random.key(3), 0, ORDERS, n, n))
    for place in (0, 1, n // 2, n - 1):
        assert stats.chisquare(np.bincount(drawn[:, place], minlength=n)).pvalue > 1e-4


@pytest.mark.parametrize("n", [24, 100, 1000])
def test_neighbours_do_not_stay_neighbours(n):
    """In a random order a place is followed by its successor (cyclically) with probability 1 / (n - 1)."""
    steps = np.diff(orders(n), axis=1) % n
    followed = (steps == 1).sum(axis=1)
    error = followed.std() / np.sqrt(ORDERS)
    assert abs(followed.mean() - 1) < max(4 * error, 0.05)
    differences = np.bincount(steps[:, 0], minlength=n)[1:]
    assert stats.chisquare(differences).pvalue > 1e-4


def test_all_orders_of_three():
    drawn = orders(3)
    counts = np.unique(drawn @ [9, 3, 1], return_counts=True)[1]
    assert len(counts) == 6 and stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.slow
def test_vmap_over_keys_is_the_loop_over_keys():
    keys = jax.random.split(jax.random.key(2), 3)
    together = jax.vmap(lambda key: indices_at(key, 9, 8, 11))(keys)
    np.testing.assert_array_equal(together, jnp.stack([indices_at(key, 9, 8, 11) for key in keys]))


def test_the_order_is_pinned():
    """A change of the shuffle would silently change every run: this order is part of the format."""
    first = indices_at(jax.random.key(0), 0, 8, 60_000)
    np.testing.assert_array_equal(first, [31390, 4051, 50656, 24155, 20837, 23956, 55089, 49767])


def test_gather_takes_examples():
    data = {"x": jnp.arange(24, dtype=jnp.uint8).reshape(6, 2, 2), "label": jnp.arange(6)}
    taken = gather(data, jnp.array([[4, 0], [5, 5]]))
    assert taken["x"].dtype == jnp.uint8 and taken["x"].shape == (2, 2, 2, 2)
    np.testing.assert_array_equal(taken["label"], [[4, 0], [5, 5]])
    np.testing.assert_array_equal(taken["x"][0, 0], data["x"][4])
