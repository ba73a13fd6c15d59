"""Equal layers of a convolutional hierarchy as one loop are what they are one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.data import Spec
from gen.families import vae
from gen.families.vae import bidirectional
from gen.networks import loops
from gen.networks.loops import stacked
from gen.rng import stream
from tests.helpers import all_of, hierarchy_config

KEY = jax.random.key(0)
DEEP = {
    "convolutional_ladder": {"halvings": (0, 0, 0, 0), "blocks": 1, "squeeze": 16, "relative": True, "dropout": 0.0,
                             "initial_scale": 0.0, "first_halving": False},
    "very_deep": {"up": ("8x3", "8d2", "4d4", "1"), "down": ("1", "8m1", "8x2"), "width": 8},
}
"""With three equal layers or more on both ways."""


@pytest.mark.slow
@pytest.mark.parametrize("name", DEEP)
def test_equal_layers_as_a_loop_have_values_gradients_and_statistics_of_layers_one_by_one(name, monkeypatch):
    options = {f"hierarchy__{key}": value for key, value in DEEP[name].items()}
    of, spec = hierarchy_config(hierarchy__name=name, **options), Spec((8, 8, 1), 0, "unit")
    family, model = vae.make(of, spec), bidirectional.build(of, spec)
    x, runs = jnp.float32(jax.random.bernoulli(KEY, 0.3, (4, 8, 8, 1))), []
    monkeypatch.setattr(loops, "LOOPED", 3)
    looped = jax.jit(family.init)(KEY, {"x": x})
    monkeypatch.setattr(bidirectional, "stacked", lambda found: runs.append(found.pop("runs")) or found)
    single = jax.jit(lambda batch: family.init(KEY, batch))({"x": x})
    join = lambda tree: stacked({"params": tree, "runs": runs[0]})["params"]  # noqa: E731
    assert sum(v.size for v in jax.tree.leaves(looped.params)) == sum(v.size for v in jax.tree.leaves(single.params))
    assert len(jax.tree.leaves(looped.params)) < 0.75 * len(jax.tree.leaves(single.params))
    jax.tree.map(np.testing.assert_array_equal, looped.params, join(single.params))
    params = jax.tree_util.tree_map_with_path(
        lambda path, v: v + 0.1 * jax.random.normal(stream(KEY, jax.tree_util.keystr(path)), v.shape), single.params)

    @jax.jit
    def infer(params, variables):
        def bound(params):
            inference, after = model.infer(params, variables, {"x": x}, KEY, 2, train=True)
            terms = inference.terms
            return terms.log_w.mean(), (terms.log_w, all_of(inference), after)

        return jax.grad(bound, has_aux=True)(params)

    gradient, found = infer(join(params), looped.variables)
    expected, (*values, after) = infer(params, single.variables)
    statistics = {part: join_of(of, part, runs[0]) for part, of in after.items()}
    for a, b in zip(*map(jax.tree.leaves, ((gradient, found), (join(expected), (*values, statistics)))), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4 * max(1.0, float(jnp.abs(b).max())))


def test_dropout_is_the_same_where_the_inside_of_blocks_is_computed_again():
    """`remat` saves memory alone: the layers draw the same masks, each its own."""
    spec, x = Spec((8, 8, 1), 0, "unit"), jnp.float32(jax.random.bernoulli(KEY, 0.3, (4, 8, 8, 1)))
    found = []
    for options in ({"remat": False}, {"remat": True}, {"dropout": 0.0}):
        options = {"name": "convolutional_ladder", "halvings": (0, 1), "blocks": 2, "dropout": 0.3} | options
        of = hierarchy_config(**{f"hierarchy__{key}": value for key, value in options.items()})
        state, model = jax.jit(vae.make(of, spec).init)(KEY, {"x": x}), bidirectional.build(of, spec)
        found.append(model.infer(state.params, state.variables, {"x": x}, KEY, 1, train=True)[0].terms.log_w)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
    assert (jnp.abs(found[0] - found[2]) > 0.01).all()


def join_of(variables, part, runs):
    """The variables of a part with those of equal layers stacked."""
    return {name: stacked({name: {part: of}, "runs": runs})[name][part] for name, of in variables.items()}
