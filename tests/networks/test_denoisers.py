"""Denoisers: shapes, what they are told of the level and the label, patches, precision."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.networks import DENOISERS
from gen.networks.denoisers import level_features, with_fourier_features
from gen.networks.unet import from_patches, to_patches

KEY = jax.random.key(0)
OPTIONS = {"mlp": {"hidden": (8,), "features": 8},
           "unet": {"width": 4, "multiples": (1, 2), "features": 8, "attention": True}}


@pytest.mark.parametrize("name, shape, options", [
    ("mlp", (2,), {}), ("unet", (28, 28, 1), {"multiples": (1, 2, 2)}), ("unet", (28, 28, 1), {"patch": 2}),
    ("unet", (32, 64, 3), {"patch": 4, "depth": 2, "fourier": (3, 5)})])
def test_the_output_has_the_shape_of_the_examples(name, shape, options):
    network = DENOISERS[name](**OPTIONS[name] | options)
    init = partial(network.init_with_output, train=True)
    made = jax.eval_shape(lambda key: init(key, jnp.ones((5, *shape)), jnp.ones(5), jnp.ones((5, 3)))[0], KEY)
    assert made.shape == (5, *shape)


@pytest.mark.slow
@pytest.mark.parametrize("name", DENOISERS)
def test_denoisers_start_at_zero_and_see_level_and_label(name):
    """Three equal examples, the second at another level, the third of another label."""
    network = DENOISERS[name](**OPTIONS[name], dtype=jnp.bfloat16)
    inputs = jnp.ones((3, 8, 8, 1)), jnp.array([0.0, 3.0, 0.0]), jnp.eye(4)[jnp.array([0, 0, 1])]
    first, params = jax.jit(partial(network.init_with_output, train=True))(KEY, *inputs)
    assert (first == 0).all() and first.dtype == jnp.bfloat16
    assert {v.dtype for v in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    moved = jax.tree.map(lambda v: v + 0.3 * jax.random.normal(KEY, v.shape), params)
    plain, level, label = jax.jit(partial(network.apply, train=True))(moved, *inputs)
    assert not np.allclose(plain, level) and not np.allclose(plain, label)


def test_patches_are_squares_of_pixels():
    x = jax.random.normal(KEY, (2, 4, 6, 3))
    np.testing.assert_array_equal(to_patches(x, 2)[1, 1, 2], x[1, 2:4, 4:6].reshape(-1))
    np.testing.assert_array_equal(from_patches(to_patches(x, 2), 2), x)


def test_level_features_tell_all_levels_apart():
    features = level_features(jnp.linspace(-10, 13, 100), 16)
    distance = jnp.square(features[:, None] - features).sum(-1) + 100 * jnp.eye(100)
    assert features.shape == (100, 16) and distance.min() > 0.05


def test_fourier_features():
    found = with_fourier_features(jnp.array([[0.125]]), (0, 2))
    np.testing.assert_allclose(found, [[0.125, np.sin(np.pi / 8), np.cos(np.pi / 8), 1, 0]], atol=1e-6)
