"""log p(x) of a linear-Gaussian model: importance weighting and annealing against the exact value."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.data import Dataset
from gen.errors import UserError
from gen.evaluation import EVALUATORS, Subject, check_model
from gen.evaluation.likelihood import (
    annealed,
    batches,
    hamiltonian_step,
    importance_weighted,
    temperatures,
    tuned,
)
from gen.probability.sampling import log_mean_exp
from tests.linear import LATENTS, SPEC, Linear, config

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def model():
    return Linear(error=0.3)


def log_weights(model):
    return lambda key, k: model.family.methods["log_weights"](model.state, {"x": model.x}, key, k)


@pytest.mark.slow
def test_importance_weighted_likelihood_is_the_exact_one(model):
    value = importance_weighted(log_weights(model), KEY, 20_000, 500)
    np.testing.assert_allclose(value, model.log_likelihood(), atol=0.05)


def test_at_the_exact_posterior_one_sample_is_enough():
    exact = Linear(error=0.0)
    np.testing.assert_allclose(importance_weighted(log_weights(exact), KEY, 1, 1), exact.log_likelihood(), atol=1e-3)


@pytest.mark.slow
def test_chunks_are_summed_as_one_set_of_samples(model):
    """7 samples in chunks of 3: the third chunk counts with its first sample alone."""
    samples = jnp.concatenate([log_weights(model)(jax.random.fold_in(KEY, i), 3) for i in range(3)])[:7]
    np.testing.assert_allclose(importance_weighted(log_weights(model), KEY, 7, 3), log_mean_exp(samples), rtol=1e-5)


def densities(model):
    def both(z):
        return model.family.methods["log_joint"](model.state, {"x": model.x}, z)
    return (lambda z: both(z)[0]), (lambda z: both(z)[1])


@pytest.mark.slow
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


@pytest.mark.slow
def test_one_temperature_is_importance_sampling_from_the_prior(model):
    z = jax.random.normal(KEY, (4, len(model.x), LATENTS))
    path = tuned(*densities(model), z, KEY, jnp.array([0.0, 1.0]), leapfrogs=1)
    np.testing.assert_allclose(annealed(*densities(model), z, KEY, path), densities(model)[1](z), rtol=1e-5)


@pytest.mark.slow
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


def subject(model, n=6):
    """A run of the linear model on its own six examples, or on more of them."""
    test = {"x": np.asarray(model.x)[np.arange(n) % 6]}
    return Subject(None, Dataset(SPEC, {}, test), config(), model.state, model.family.methods)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [400, 30])
def test_the_evaluator_of_the_likelihood_averages_images_in_batches(model, rows):
    """400 rows are 4 images of 100 samples at a time, so that the last batch of 10 images is not full."""
    found = EVALUATORS["log_likelihood"](subject(model, 10), samples=2_000, rows=rows)
    expected = model.log_likelihood()[np.arange(10) % 6].mean()
    assert found == {"log_likelihood_iw2k": pytest.approx(expected, abs=0.05)}


def test_rows_bound_what_is_decoded_at_a_time(model):
    decoded = []

    def log_weights(state, batch, key, k):
        decoded.append(k * len(batch["x"]))
        return model.family.methods["log_weights"](state, batch, key, k)

    EVALUATORS["log_likelihood"](subject(model)._replace(methods={"log_weights": log_weights}), samples=500, rows=30)
    assert 0 < max(decoded) <= 30


@pytest.mark.slow
def test_the_evaluator_of_annealing_encloses_the_likelihood(model):
    found = EVALUATORS["annealed_log_likelihood"](subject(model), examples=6, chains=16, steps=150, leapfrogs=5)
    assert found["log_likelihood_ais"] == pytest.approx(model.log_likelihood().mean(), abs=0.1)
    assert found["ais_gap"] == pytest.approx(found["ais_upper_simulated"] - found["ais_lower_simulated"])
    assert -0.05 < found["ais_gap"] < 0.3


def test_evaluators_that_do_not_fit_are_refused_before_training(model):
    dataset = Dataset(SPEC, {}, {"x": np.asarray(model.x)})
    for name, methods, message in (
            ("latents", {}, "evaluators.latents needs .*'encode'; this vae has none"),
            ("codebook", model.family.methods, "evaluators.codebook needs .*'codes'; .* decode,"),
            ("mig", model.family.methods, "data.name=shapes")):
        with pytest.raises(UserError, match=message):
            check_model(config(**{f"evaluators__{name}": True}), methods, dataset)
    check_model(config(evaluators__latents=True), model.family.methods, dataset)
