"""Equal layers as one loop: which they are, what they compute, and what each of them keeps for itself."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.networks import loops

KEY = jax.random.key(0)
X = jnp.arange(6.0).reshape(3, 2) / 10


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Runs of three are loops already."""
    monkeypatch.setattr(loops, "LOOPED", 3)


class Counted(nn.Module):
    """tanh of a dense layer, and how often it was called."""

    size: int = 2

    @nn.compact
    def __call__(self, h):
        calls = self.variable("counts", "calls", lambda: jnp.zeros(()))
        calls.value += 1
        return jnp.tanh(nn.Dense(self.size, bias_init=nn.initializers.normal())(h))


class Chain(nn.Module):
    """Layers of these sizes in turn, each with a factor; an output for each of them."""

    sizes: tuple[int, ...]
    factors: tuple[int, ...]

    def setup(self):
        self.layers = [Counted(size) for size in self.sizes]

    def __call__(self, h, added=None):
        def step(layer, h, more):
            module, factor = layer
            h = factor * module(h) + (0 if more is None else more)
            return h, h.sum()

        return loops.in_turn(step, list(zip(self.layers, self.factors, strict=True)), h, added)


def both(module, *args):
    """(variables layer by layer, with runs stacked)."""
    made = dict(module.init(KEY, *args))
    runs = made.get("runs", {})
    return {name: of for name, of in made.items() if name != "runs"}, loops.stacked(made | {"runs": runs})


@pytest.mark.parametrize("sizes, factors, leaves", [
    ((2, 2, 2, 2), (1, 1, 1, 1), [4]),
    ((2, 2), (1, 1), [1, 1]),  # too few
    ((2, 2, 2, 2, 2, 2), (1, 1, 1, 3, 3, 3), [3, 3]),  # values beside the modules differ
    ((2, 4, 4, 4, 4, 2), (1,) * 6, [1, 1, 3, 1]),  # the first of the wide ones changes the shape
])
def test_runs_are_of_equal_layers_that_keep_the_shape(sizes, factors, leaves):
    single, stacked = both(Chain(sizes, factors), X)
    kept = [stacked["counts"][name]["calls"] for name in sorted(stacked["counts"])]
    assert [jnp.size(calls) for calls in kept] == leaves
    size = lambda tree: sum(v.size for v in jax.tree.leaves(tree))  # noqa: E731
    assert size(single["params"]) == size(stacked["params"])


def test_values_gradients_inputs_outputs_and_variables_are_those_of_the_layers_one_by_one():
    module, added = Chain((2, 4, 4, 4, 4, 2), (2,) * 6), [0.1 * jnp.ones(n) for n in (2, 4, 4, 4, 4, 2)]
    single, stacked = both(module, X, added)

    def loss(params, of):
        (h, outputs), after = module.apply(of | {"params": params}, X, added, mutable=["counts"])
        return (h**2).sum() + 3 * outputs[2] + outputs[4], (h, outputs, after)

    (value, (h, outputs, after)), gradient = jax.value_and_grad(loss, has_aux=True)(stacked["params"], stacked)
    h_one = X
    expected = []
    for i in range(6):
        dense = single["params"][f"layers_{i}"]["Dense_0"]
        h_one = 2 * jnp.tanh(h_one @ dense["kernel"] + dense["bias"]) + 0.1
        expected.append(h_one.sum())
    np.testing.assert_allclose(h, h_one, rtol=1e-6)
    np.testing.assert_allclose(outputs, expected, rtol=1e-6)
    np.testing.assert_array_equal(after["counts"]["layers_2"]["calls"], [2, 2, 2])
    step = 1e-3
    for i in range(3):  # of one bias of each layer of the loop
        moved = jax.tree.map(lambda v: v, stacked["params"])
        bias = moved["layers_2"]["Dense_0"]["bias"]
        moved["layers_2"]["Dense_0"]["bias"] = bias.at[i, 1].add(step)
        slope = (loss(moved, stacked)[0] - value) / step
        np.testing.assert_allclose(gradient["layers_2"]["Dense_0"]["bias"][i, 1], slope, rtol=0.02)


def test_inputs_of_different_forms_divide_a_loop():
    module = Chain((2, 2, 2, 2), (1, 1, 1, 1))
    _, stacked = both(module, X)
    assert [v.shape[0] for v in jax.tree.leaves(stacked["params"])] == [4, 4]
    added = [jnp.ones(2), jnp.ones(2), None, jnp.ones(())]
    (h, outputs), after = module.apply(stacked, X, added, mutable=["counts"])
    expected = X
    dense = stacked["params"]["layers_0"]["Dense_0"]
    for i, more in enumerate(added):
        expected = jnp.tanh(expected @ dense["kernel"][i] + dense["bias"][i]) + (0 if more is None else more)
        np.testing.assert_allclose(outputs[i], expected.sum(), rtol=1e-5)
    np.testing.assert_allclose(h, expected, rtol=1e-5)
    np.testing.assert_array_equal(after["counts"]["layers_0"]["calls"], [2, 2, 2, 2])


def test_what_all_layers_see_is_one_array_in_the_loop_and_has_the_sum_of_their_gradients():
    module, more = Chain((2, 2, 2, 2), (1,) * 4), jnp.ones(2)
    own = [jnp.full(2, 0.1 * i) for i in range(4)]
    _, stacked = both(module, X)

    def value(added):
        return (module.apply(stacked, X, added, mutable=["counts"])[0][0]**2).sum()

    seen, copies = jax.grad(lambda more: value([more] * 4))(more), jax.grad(value)([more * 1 for _ in range(4)])
    np.testing.assert_allclose(seen, sum(copies), rtol=1e-5)
    inputs = [(more, each) for each in own]
    common, differs = loops.shared(inputs)
    assert common.leaves[0] is more and common.leaves[1] is None and [v.shape for v in differs] == [(4, 2)]
    for i, each in enumerate(inputs):
        jax.tree.map(np.testing.assert_array_equal, common.filled([v[i] for v in differs]), each)


def test_layers_of_many_parameters_are_a_loop_from_fewer_on(monkeypatch):
    monkeypatch.setattr(loops, "LOOPED", 4)
    parameters = 2 * 2 + 2
    for wide, leaves in ((parameters, [3]), (parameters + 1, [1, 1, 1])):
        monkeypatch.setattr(loops, "WIDE", wide)
        _, stacked = both(Chain((2, 2, 2), (1, 1, 1)), X)
        assert [jnp.size(stacked["counts"][name]["calls"]) for name in sorted(stacked["counts"])] == leaves


class Noisy(nn.Module):
    """Adds noise; its one parameter keeps runs apart."""

    @nn.compact
    def __call__(self, h):
        return h + self.param("size", nn.initializers.ones, ()) * jax.random.normal(self.make_rng("dropout"), h.shape)


class Tower(nn.Module):
    """Equal groups of equal layers."""

    groups: int
    each: int

    def setup(self):
        self.layers = [[Noisy() for _ in range(self.each)] for _ in range(self.groups)]

    def __call__(self, h):
        def inner(layer, h, _):
            after = layer(h)
            return after, after - h

        def outer(group, h, _):
            return loops.in_turn(inner, group, h)

        return loops.in_turn(outer, self.layers, h)


def test_every_turn_of_nested_loops_has_noise_of_its_own():
    module, rngs = Tower(4, 3), {"params": KEY, "dropout": KEY}
    stacked = loops.stacked(dict(module.init(rngs, jnp.zeros(5))))
    assert [v.shape for v in jax.tree.leaves(stacked)] == [(4, 3)]
    h, found = module.apply(stacked, jnp.zeros(5), rngs={"dropout": KEY})
    noise = np.array(found)
    assert noise.shape == (4, 3, 5) and len(np.unique(noise)) == 60
    np.testing.assert_allclose(noise.sum((0, 1)), h, rtol=1e-5)
