"""Flat trees against the trees: the same entries, the same optimizers, under every transformation of JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from ml_collections import ConfigDict

from gen import flat, optimizers
from gen.families import common
from gen.families.types import TrainState

SHAPES = {"a": {"kernel": (3, 2), "bias": (2,)}, "b": {"kernel": (2, 4), "bias": (4,), "scale": ()},
          "c": {"kernel": (3, 3, 2, 5)}, "d": {"kernel": (1, 2), "bias": (3, 2), "none": (0, 2)}}
LIMITS = ({}, {"clip_value": 0.1}, {"clip_norm": 0.5}, {"skip_norm": 1e-3}, {"clip_norm": 0.5, "skip_norm": 100.0})


def tree(seed, *lead):
    shapes, built = jax.tree.flatten(SHAPES, is_leaf=lambda x: isinstance(x, tuple))
    return jax.tree.unflatten(built, [random.normal(random.key(100 * seed + i), (*lead, *shape))
                                      for i, shape in enumerate(shapes)])


@pytest.fixture
def flattened(foreign, monkeypatch):
    """Trees of these sizes are made flat, as large ones are in a process with one device."""
    monkeypatch.setitem(flat._state, "there", True)
    monkeypatch.setattr(flat, "MANY", 2)
    monkeypatch.setattr(jax, "device_count", lambda: 1)


def same(a, b, **tolerance):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        np.testing.assert_allclose(one, other, **{"rtol": 0, "atol": 0, **tolerance})


def test_a_flat_tree_has_the_entries_by_name_and_number_of_axes(flattened):
    given = tree(0)
    made = jax.jit(flat.packed)(given)
    assert jax.tree.map(jnp.shape, made) == {
        "1": {"bias": (6,), "scale": (1,)}, "2": {"kernel": (1, 16), "bias": (1, 6), "none": (1, 0)},
        "4": {"kernel": (1, 1, 1, 90)}}
    np.testing.assert_array_equal(made["2"]["kernel"][0], np.concatenate(
        [given[name]["kernel"].ravel() for name in ("a", "b", "d")]))
    same(jax.jit(lambda tree: flat.unpacked(flat.packed(tree), tree))(given), given)


def test_rows_of_a_batch_stay_rows(flattened):
    given = tree(1, 7)
    made = jax.jit(jax.vmap(flat.packed))(given)
    for i in range(7):
        same(jax.tree.map(lambda x, i=i: x[i], made), flat.packed(jax.tree.map(lambda x, i=i: x[i], given)))
    same(jax.jit(jax.vmap(lambda tree: flat.unpacked(flat.packed(tree), tree)))(given), given)
    last = jax.tree.map(lambda x: jnp.moveaxis(x, 0, -1), given)
    one = {**last, "a": tree(2)["a"]}
    axes = jax.tree.map(lambda _: -1, one) | {"a": {"kernel": None, "bias": None}}
    mixed = jax.vmap(lambda tree: flat.unpacked(flat.packed(tree), tree), in_axes=(axes,))(one)
    same(mixed["b"], given["b"])
    same(jax.tree.map(lambda x: x[3], mixed["a"]), one["a"])


def test_gradients_of_any_order_go_through(flattened):
    def through(tree):
        return flat.entrywise(lambda tree: jax.tree.map(lambda x: x**3, tree))(tree)

    def plain(tree):
        return jax.tree.map(lambda x: x**3, tree)

    def penalty(function, given, weights):
        def value(given):
            return sum(jnp.vdot(w, y) for w, y in zip(*map(jax.tree.leaves, (weights, function(given))), strict=True))

        grads, along = jax.grad(value)(given), jax.jvp(value, (given,), (weights,))[1]
        return sum(jnp.sum(g**2) for g in jax.tree.leaves(grads)) + along

    given, weights = tree(3), tree(4)
    found, wanted = (jax.jit(jax.value_and_grad(lambda x, of=of: penalty(of, x, weights)))(given)
                     for of in (through, plain))
    same(found, wanted, rtol=1e-5, atol=1e-6)
    only = jax.grad(lambda tree: flat.unpacked(flat.packed(tree), tree)["a"]["bias"].sum())(given)
    assert float(only["a"]["bias"].sum()) == 2 and float(jnp.abs(only["c"]["kernel"]).sum()) == 0


def test_programs_for_other_platforms_have_no_foreign_function(flattened):
    traced = jax.jit(lambda tree: flat.unpacked(flat.packed(tree), tree)).trace(tree(5))
    assert "gen_pack" in traced.lower().as_text()
    assert "gen_" not in traced.lower(lowering_platforms=("cuda",)).as_text()
    one = jnp.arange(4.0).reshape(2, 2)
    same(flat._unpacked_by_xla(flat._packed_by_xla(one, 2 * one, lead=1), shapes=((2,), (1, 2)), lead=1),
         [one, 2 * one[:, None]])


def test_few_arrays_other_types_and_without_stay_trees(flattened, monkeypatch):
    given = tree(6)
    assert flat.serves(given) and flat.shortest(given) is not given
    assert not flat.serves(jax.tree.map(lambda x: x.astype(jnp.bfloat16), given))
    with flat.without():
        assert flat.shortest(given) is given
    monkeypatch.setattr(flat, "MANY", 12)
    assert flat.shortest(given) is given


def steps(config, params, jitted):
    """Parameters, state and metrics after three steps."""
    state = optimizers.init(config, "optimizer", params)

    def step(grads, state, params):
        return optimizers.move(config, "optimizer", {"optimizer.learning_rate": jnp.float32(0.1)}, grads, state, params)

    for seed in range(3):
        params, state, metrics = jitted(step)(tree(10 + seed), state, params)
    return params, state, metrics


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("part", [*({"name": name} for name in optimizers.OPTIMIZERS),
                                  {"name": "adamw", "weight_decay": 0.3, "decayed": "kernels"},
                                  {"name": "sgd", "momentum": 0.9}])
def test_every_optimizer_moves_flat_trees_as_trees(flattened, part, limits, monkeypatch):
    config = {"optimizer": {"learning_rate": 0.1, **part, **limits}}
    found = steps(config, tree(9), jax.jit)
    monkeypatch.setattr(flat, "MANY", 1000)
    same(found, steps(config, tree(9), jax.jit), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_what_moves_entries_by_their_own_gradients_alone_is_flat(flattened, name):
    """The claim of `ENTRYWISE`: the gradients of an array's other entries do not move an entry."""
    config, params = {"optimizer": {"name": name, "learning_rate": 0.1}}, tree(9)
    state = optimizers.init(config, "optimizer", params)

    def step(grads):
        return optimizers.move(config, "optimizer", {}, grads, state, params)[0]["c"]["kernel"]

    program = jax.jit(step).lower(tree(10)).as_text()
    grads = tree(10)
    other = grads | {"c": {"kernel": grads["c"]["kernel"].at[0].multiply(9.0)}}
    moved, again = map(jax.jit(step), (grads, other))
    own = bool(jnp.all(moved[1:] == again[1:]))
    assert own == (name in optimizers.ENTRYWISE) == ("gen_pack" in program)


@pytest.mark.parametrize("skipped", [None, 0.0, 1.0])
def test_moving_averages_of_flat_trees_are_those_of_trees(flattened, skipped, monkeypatch):
    config = ConfigDict({"ema_half_life": 100.0, "ema_rampup": 0.0})
    state = TrainState(step=jnp.int32(3), key=random.key(0), params={}, variables={}, opt_state={},
                       ema={"encoder": tree(1), "decoder": tree(2)}, hypers={"ema_half_life": jnp.float32(100.0)})
    now = {"decoder": tree(3), "encoder": tree(4), "other": tree(5)}
    flag = None if skipped is None else jnp.float32(skipped)

    def averages():
        return jax.jit(lambda state, now: common.averages(config, state, now, 10, lambda name: flag))

    found = averages()(state, now)
    assert "gen_pack" in averages().lower(state, now).as_text()
    monkeypatch.setattr(flat, "MANY", 1000)
    same(found, averages()(state, now), rtol=1e-6)
    if skipped:
        same(found, state.ema)


def test_the_norm_is_that_of_all_entries(flattened):
    given = tree(0)
    entries = np.concatenate([np.ravel(x) for x in jax.tree.leaves(given)])
    assert float(jax.jit(optimizers.norm)(given)) == pytest.approx(np.linalg.norm(entries), rel=1e-6)
