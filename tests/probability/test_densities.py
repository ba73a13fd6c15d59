"""Densities under maps against closed forms, scipy and the flows of the library."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gen.data import mixtures
from gen.distributions.flows import RealNVP
from gen.probability.densities import change_of_variables, inverse_cdf, pushforward

KEY = jax.random.key(0)


def test_the_inverse_distribution_function_is_scipys():
    x, u = np.linspace(-8, 8, 20_001), np.linspace(0.001, 0.999, 500)
    np.testing.assert_allclose(inverse_cdf(u, x, stats.norm.cdf(x)), stats.norm.ppf(u), atol=1e-5)


def test_samples_by_the_inverse_have_the_distribution_of_the_mixture():
    data = {"name": "line", "modes": 3, "spacing": 2.0, "std": 0.4}
    x, cdf = np.linspace(-6, 6, 5_001), mixtures.cdf(data)
    samples = inverse_cdf(np.random.default_rng(0).uniform(size=20_000), x, cdf(x))
    assert stats.kstest(samples, cdf).pvalue > 0.01
    slope = np.gradient(cdf(x), x)[1:-1]
    np.testing.assert_allclose(slope, np.exp(mixtures.log_density(data)(x[1:-1, None])), atol=2e-5)


def normal_log_prob(z):
    return jax.scipy.stats.norm.logpdf(z).sum()


def test_the_exponential_of_a_normal_is_log_normal():
    x = jnp.linspace(0.1, 5, 50)[:, None]
    found = change_of_variables(normal_log_prob, jnp.log, x)
    np.testing.assert_allclose(found, stats.lognorm.logpdf(np.asarray(x[:, 0]), 1), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_the_full_jacobian_gives_the_density_of_a_flow():
    """RealNVP knows its determinant from the triangular Jacobian: the density of u for which flow(x) = u ~ N(0, I)."""
    flow, x = RealNVP(3, layers=2, hidden=(4,)), jax.random.normal(KEY, (6, 3))
    params = jax.tree.map(lambda v: v + 0.2 * np.random.default_rng(v.size).normal(size=v.shape),
                          jax.jit(flow.init)(KEY, x))

    @jax.jit
    def both(x):
        u, log_det = flow.apply(params, x)
        found = change_of_variables(normal_log_prob, lambda x: flow.apply(params, x[None])[0][0], x)
        return found, jax.vmap(normal_log_prob)(u) + log_det

    np.testing.assert_allclose(*both(x), rtol=1e-4)


def test_mass_is_spread_evenly_in_each_cell():
    """Cells from 0 to 2, from 2 back to 1, and a point at 1, into halves."""
    mass = pushforward(np.array([0.0, 2.0, 1.0, 1.0]), np.array([0.4, 0.4, 0.2]), np.arange(0, 2.5, 0.5))
    np.testing.assert_allclose(mass.cumsum(), [0.1, 0.2, 0.2 + 0.2 + 0.1 + 0.2, 1.0], atol=1e-12)
