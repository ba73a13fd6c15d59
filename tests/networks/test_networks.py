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
ANY_SIDE = ("dcgan", "infogan", "unrolled", "resnet", "r3gan")
CONVOLUTIONAL = (*ANY_SIDE, "sngan")


def make(table, name, **options):
    return table[name](**OPTIONS.get(name, SMALL), **options)


@pytest.mark.slow
@pytest.mark.parametrize("side", [28, 32, 64, 128])
@pytest.mark.parametrize("name", ANY_SIDE)
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


@partial(jax.jit, static_argnums=0)
def with_two_conditions(network, x, condition):
    """The variables, and the outputs in evaluation for a condition and for its rows reversed.

    Noise is added to all parameters, since some layers start at 0.
    """
    variables = network.init(KEY, x, condition, train=True)
    leaves, treedef = jax.tree.flatten(variables["params"])
    keys = jax.random.split(jax.random.key(7), len(leaves))
    variables["params"] = treedef.unflatten(
        [leaf + 0.1 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)])
    return variables, *(network.apply(variables, x, c, train=False) for c in (condition, condition[::-1]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ("mlp", "maxout", *CONVOLUTIONAL))
def test_encoders_with_spectral_norm_and_a_condition(name):
    """The features depend on the condition, and spectral norm keeps vectors of its own."""
    encoder, x = make(ENCODERS, name, spectral_norm=True), jax.random.normal(KEY, (4, 8, 8, 1))
    variables, first, second = with_two_conditions(encoder, x, jnp.eye(4))
    assert any("/u" in jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(variables["batch_stats"]))
    assert not np.allclose(first, second)


@pytest.mark.slow
@pytest.mark.parametrize("name, conditioning", [
    *((name, "batch_norm") for name in ("mlp", "dcgan", "infogan", "unrolled", "resnet")),
    ("mlp", "concatenate"), ("dcgan", "concatenate"), ("r3gan", None)])
def test_decoders_with_a_condition(name, conditioning):
    options = {"conditioning": conditioning, "batch_norm": True} if conditioning else {}
    decoder = make(DECODERS, name, shape=(8, 8, 1), **options)
    _, first, second = with_two_conditions(decoder, jax.random.normal(KEY, (4, 3)), jnp.eye(4))
    assert not np.allclose(first, second)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp", "dcgan"])
def test_evaluation_is_per_example(name):
    """With running statistics an output does not depend on the rest of the batch; in training it does."""
    decoder, z = make(DECODERS, name, shape=(8, 8, 1), batch_norm=True), jax.random.normal(KEY, (4, 3))
    variables = decoder.init(KEY, z, train=True)
    alone = decoder.apply(variables, z[:1], train=False)
    np.testing.assert_allclose(decoder.apply(variables, z, train=False)[:1], alone, atol=1e-5)
    together, _ = decoder.apply(variables, z, train=True, mutable=["batch_stats"])
    assert not np.allclose(together[:1], alone, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp", "dcgan"])
def test_half_precision_computes_and_float32_keeps(name):
    z = jnp.ones((2, 3))
    decoder = make(DECODERS, name, shape=(8, 8, 1), dtype=jnp.bfloat16)
    out, variables = decoder.init_with_output(KEY, z, train=True)
    assert out.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables["params"])} == {jnp.dtype("float32")}
