"""What all networks share: shapes at every published size, statistics in evaluation, conditions, spectral norm."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.errors import UserError
from gen.networks import DECODERS, ENCODERS

KEY = jax.random.key(0)
SMALL = {"width": 4}
OPTIONS = {"mlp": {"hidden": (8,)}, "maxout": {"hidden": (8,)}, "point": {}, "infogan": SMALL | {"hidden": 8},
           "r3gan": {"width": 4, "depth": 1, "groups": 2}}
CONVOLUTIONAL = ("dcgan", "infogan", "unrolled", "resnet", "r3gan")


def make(table, name, **options):
    return table[name](**OPTIONS.get(name, SMALL), **options)


@pytest.mark.parametrize("side", [28, 32, 64, 128])
@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_image_sizes(name, side):
    shape = (side, side, 3)
    made = jax.eval_shape(lambda key: make(DECODERS, name, shape=shape).init_with_output(
        key, jnp.ones((2, 5)), train=True)[0], KEY)
    assert made.shape == (2, *shape)
    features = jax.eval_shape(lambda key: make(ENCODERS, name).init_with_output(
        key, jnp.ones((2, *shape)), train=True)[0], KEY)
    assert features.ndim == 2 and features.shape[0] == 2


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_points_do_not_fit(name):
    with pytest.raises(UserError, match="images"):
        make(DECODERS, name, shape=(2,)).init(KEY, jnp.ones((2, 2)), train=True)


@pytest.mark.parametrize("name", ("dcgan", "infogan", "resnet", "r3gan"))
def test_sides_that_do_not_halve_are_refused(name):
    with pytest.raises(UserError, match="30|sides"):
        make(ENCODERS, name).init(KEY, jnp.ones((2, 30, 30, 1)), train=True)


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_with_spectral_norm_and_a_condition(name):
    """The features depend on the condition, and spectral norm keeps vectors of its own."""
    x, condition = jax.random.normal(KEY, (4, 8, 8, 1)), jnp.eye(4)
    encoder = make(ENCODERS, name, spectral_norm=True)
    variables = initial(encoder, x, condition)
    assert any("/u" in jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(variables["batch_stats"]))
    variables["params"] = away_from_zero(variables["params"])
    first, second = (evaluated(encoder)(variables, x, c) for c in (condition, condition[::-1]))
    assert not np.allclose(first, second)


@pytest.mark.parametrize("conditioning", ["concatenate", "batch_norm"])
@pytest.mark.parametrize("name", [name for name in DECODERS if name != "point"])
def test_decoders_with_a_condition(name, conditioning):
    options = {} if name == "r3gan" else {"conditioning": conditioning, "batch_norm": True}
    z, condition = jax.random.normal(KEY, (4, 3)), jnp.eye(4)
    decoder = make(DECODERS, name, shape=(8, 8, 1), **options)
    variables = initial(decoder, z, condition)
    variables["params"] = away_from_zero(variables["params"])
    first, second = (evaluated(decoder)(variables, z, c) for c in (condition, condition[::-1]))
    assert not np.allclose(first, second)


def initial(network, x, condition):
    return jax.jit(partial(network.init, train=True))(KEY, x, condition)


def evaluated(network):
    return jax.jit(partial(network.apply, train=False))


def away_from_zero(params):
    """Adds noise, since some layers start at 0."""
    leaves, treedef = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(7), len(leaves))
    return treedef.unflatten(
        [leaf + 0.1 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)])


@pytest.mark.parametrize("name", [name for name in CONVOLUTIONAL if name != "r3gan"])
def test_evaluation_is_per_example(name):
    """With running statistics an output does not depend on the rest of the batch; in training it does."""
    decoder, z = make(DECODERS, name, shape=(8, 8, 1), batch_norm=True), jax.random.normal(KEY, (4, 3))
    variables = initial(decoder, z, None)
    alone = evaluated(decoder)(variables, z[:1], None)
    np.testing.assert_allclose(evaluated(decoder)(variables, z, None)[:1], alone, atol=1e-5)
    together, _ = decoder.apply(variables, z, train=True, mutable=["batch_stats"])
    assert not np.allclose(together[:1], alone, atol=1e-5)


@pytest.mark.parametrize("name", ["mlp", "dcgan"])
def test_half_precision_computes_and_float32_keeps(name):
    z = jnp.ones((2, 3))
    decoder = make(DECODERS, name, shape=(8, 8, 1), dtype=jnp.bfloat16)
    out, variables = decoder.init_with_output(KEY, z, train=True)
    assert out.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables["params"])} == {jnp.dtype("float32")}
