"""log p(x) of a linear-Gaussian model: importance weighting and annealing against the exact value."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.evaluation.likelihood import (
    annealed,
    batches,
    hamiltonian_step,
    importance_weighted,
    temperatures,
    tuned,
)
from gen.probability.sampling import log_mean_exp
from tests.linear import LATENTS, Linear

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def model():
    return Linear(error=0.3)


def log_weights(model):
    return lambda key, k: model.family.methods["log_weights"](model.state, {"x": model.x}, key, k)


def test_importance_weighted_likelihood_is_the_exact_one(model):
    value = importance_weighted(log_weights(model), KEY, 20_000, 500)
    np.testing.assert_allclose(value, model.log_likelihood(), atol=0.05)


def test_at_the_exact_posterior_one_sample_is_enough():
    exact = Linear(error=0.0)
    np.testing.assert_allclose(importance_weighted(log_weights(exact), KEY, 1, 1), exact.log_likelihood(), atol=1e-3)


def test_chunks_are_summed_as_one_set_of_samples(model):
    """7 samples in chunks of 3: the third chunk counts with its first sample alone."""
    samples = jnp.concatenate([log_weights(model)(jax.random.fold_in(KEY, i), 3) for i in range(3)])[:7]
    np.testing.assert_allclose(importance_weighted(log_weights(model), KEY, 7, 3), log_mean_exp(samples), rtol=1e-5)


def densities(model):
    def both(z):
        return model.family.methods["log_joint"](model.state, {"x": model.x}, z)
    return (lambda z: both(z)[0]), (lambda z: both(z)[1])


def test_annealing_from_both_ends_encloses_the_exact_value(model):
    def bounds(keys):
        pilot, prior = jax.random.normal(keys[0], (2, 32, len(model.x), LATENTS))
        path = tuned(*densities(model), pilot, keys[1], temperatures(150), leapfrogs=5)
        below = log_mean_exp(annealed(*densities(model), prior, keys[2], path))
        posterior = (model.x - model.m) @ model.a.T + model.s * jax.random.normal(keys[3], prior.shape)
        above = -log_mean_exp(annealed(*densities(model), posterior, keys[4], path.reversed()))
        return below, above

    below, above = jax.jit(bounds)(jax.random.split(KEY, 5))
    np.testing.assert_allclose(below, model.log_likelihood(), atol=0.15)
    np.testing.assert_allclose(above, model.log_likelihood(), atol=0.15)
    assert below.mean() < above.mean() + 0.02


def test_one_temperature_is_importance_sampling_from_the_prior(model):
    z = jax.random.normal(KEY, (4, len(model.x), LATENTS))
    path = tuned(*densities(model), z, KEY, jnp.array([0.0, 1.0]), leapfrogs=1)
    np.testing.assert_allclose(annealed(*densities(model), z, KEY, path), densities(model)[1](z), rtol=1e-5)


def test_trajectories_leave_the_density_invariant():
    scale = jnp.array([0.5, 2.0])
    def step(z, key):
        return hamiltonian_step(lambda z: -0.5 * jnp.square(z / scale).sum(-1), z, key, jnp.full(1, 0.3), 10)
    z = scale * jax.random.normal(KEY, (20_000, 1, 2))
    z, accepted = jax.lax.scan(step, z, jax.random.split(KEY, 5))
    np.testing.assert_allclose(z.std((0, 1)), scale, rtol=0.03)
    assert 0.7 < accepted.mean() < 0.999


def test_batches_are_of_one_size_and_count_every_example_once():
    parts = list(batches({"x": jnp.arange(7)}, 3))
    assert [n for _, n in parts] == [3, 3, 1]
    assert [part["x"].tolist() for part, _ in parts] == [[0, 1, 2], [3, 4, 5], [6, 6, 6]]
