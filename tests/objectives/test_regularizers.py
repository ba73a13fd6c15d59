"""Regularizers on posteriors whose aggregate is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.distributions import Normal
from gen.families.vae.factor import permuted
from gen.objectives.regularizers import Latents, aggregate, covariance_penalty, dip_i, dip_ii, mmd, total_correlation

KEY = jax.random.key(0)


def correlated(n=1500, rho=0.8, scale=0.4):
    """Latents whose aggregate posterior is N(0, [[1, rho], [rho, 1]])."""
    covariance = jnp.array([[1, rho], [rho, 1]]) - scale**2 * jnp.eye(2)
    loc = jax.random.normal(KEY, (n, 2)) @ jnp.linalg.cholesky(covariance).T
    q = Normal(loc, jnp.full_like(loc, jnp.log(scale)))
    return Latents(q.sample(jax.random.key(1)), q, lambda: jax.random.normal(jax.random.key(2), (n, 2)))


@pytest.mark.slow
def test_total_correlation_of_a_correlated_normal():
    np.testing.assert_allclose(total_correlation(correlated()), -0.5 * np.log(1 - 0.8**2), atol=0.08)


def test_total_correlation_of_independent_latents_vanishes():
    np.testing.assert_allclose(total_correlation(correlated(rho=0.0)), 0, atol=0.05)


@pytest.mark.slow
def test_total_correlation_counts_information_beyond_that_of_the_batch():
    """Independent latents, each of which names the example: each knows log b nats, the batch log b of all of them."""
    loc = permuted(jnp.arange(32.0)[:, None] + jnp.zeros(3), KEY)
    q = Normal(loc, jnp.full((32, 3), -5.0))
    np.testing.assert_allclose(total_correlation(Latents(q.loc, q, lambda: q.loc)), 2 * np.log(32), rtol=1e-5)


@pytest.mark.slow
def test_aggregate_of_one_example_is_its_posterior():
    q = Normal(jnp.array([[0.3, -1.0]]), jnp.array([[0.1, -0.4]]))
    z = jnp.array([[1.0, 2.0]])
    found = aggregate(z, q)
    np.testing.assert_allclose(found.marginals, q.log_prob(z), rtol=1e-6)
    np.testing.assert_allclose(found.joint, q.log_prob(z).sum(-1), rtol=1e-6)


def test_covariance_penalty_by_hand():
    c = jnp.array([[2.0, 0.5], [0.5, 3.0]])
    np.testing.assert_allclose(covariance_penalty(c, 10.0), 2 * 0.25 + 10 * (1 + 4), rtol=1e-6)


def test_dip_looks_at_means_or_at_samples():
    latents = correlated(n=4000, rho=0.0, scale=0.6)
    np.testing.assert_allclose(dip_i(latents, 1.0), 2 * 0.36**2, atol=0.05)
    np.testing.assert_allclose(dip_ii(latents, 1.0), 0, atol=0.02)


@pytest.mark.slow
def test_mmd_is_zero_in_the_mean_where_the_distributions_agree_and_positive_elsewhere():
    def value(key, shift):
        z, prior = jax.random.normal(key, (2, 100, 3))
        q = Normal(z, jnp.zeros_like(z))
        return mmd(Latents(z + shift, q, lambda: prior))

    keys = jax.random.split(KEY, 200)
    same = jax.vmap(lambda k: value(k, 0.0))(keys)
    assert abs(same.mean()) < 4 * same.std() / np.sqrt(200)
    assert jax.vmap(lambda k: value(k, 1.0))(keys).min() > same.max()


def test_permuting_keeps_the_marginals_and_breaks_the_correlation():
    z = correlated().z
    moved = permuted(z, KEY)
    np.testing.assert_array_equal(jnp.sort(moved, 0), jnp.sort(z, 0))
    assert abs(np.corrcoef(moved.T)[0, 1]) < 0.1 < 0.7 < np.corrcoef(z.T)[0, 1]
