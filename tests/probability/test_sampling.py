"""Rejection and importance sampling of a density known up to a constant, against scipy's quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from gen.distributions import Normal
from gen.estimates import estimate
from gen.probability.sampling import effective_sample_size, importance, log_mean_exp, normalised, rejection

KEY, N = jax.random.key(0), 20_000
Q = Normal(jnp.full(N, 0.3), jnp.full(N, 0.5))


def log_p(x):
    """Unnormalised: a Gaussian bump with ripples, at most 2.8 q."""
    return -0.5 * jnp.square(x) + jnp.log(1 + 0.5 * jnp.sin(3 * x))


def density(x):
    return float(np.exp(-0.5 * x**2) * (1 + 0.5 * np.sin(3 * x)))


Z = integrate.quad(density, -9, 9)[0]
LOG_BOUND = float(np.max(log_p(np.linspace(-12, 12, 9_001)) - stats.norm.logpdf(np.linspace(-12, 12, 9_001), 0.3,
                                                                              np.exp(0.5)))) + 1e-3


@pytest.fixture(scope="module")
def rejected():
    return rejection(KEY, log_p, Q, LOG_BOUND)


def test_accepted_proposals_have_the_density_and_their_share_is_the_constant(rejected):
    x, accepted = map(np.asarray, rejected)
    cdf = np.vectorize(lambda x: integrate.quad(density, -9, x)[0] / Z)
    assert stats.kstest(x[accepted][:500], cdf).pvalue > 0.01
    share = estimate(accepted.astype(float).tolist())
    assert abs(share.mean - Z / np.exp(LOG_BOUND)) < 4 * share.error


def test_weights_give_the_constant_and_expectations(rejected):
    x, log_w = importance(KEY, log_p, Q)
    w = estimate(np.exp(np.float64(log_w)).tolist())
    assert abs(w.mean - Z) < 4 * w.error and np.log(w.mean) == pytest.approx(float(log_mean_exp(log_w)), abs=1e-5)
    mean = integrate.quad(lambda x: x * density(x), -9, 9)[0] / Z
    v = np.asarray(normalised(log_w))
    found, error = (v * x).sum(), np.sqrt((v**2 * (x - mean) ** 2).sum())
    assert v.sum() == pytest.approx(1, abs=1e-5) and abs(found - mean) < 4 * error


def test_effective_sample_size_at_its_extremes_and_of_two_normals():
    assert effective_sample_size(jnp.zeros(7)) == pytest.approx(7)
    assert effective_sample_size(jnp.array([0.0, -100.0, -100.0])) == pytest.approx(1)
    _, log_w = importance(KEY, lambda x: jax.scipy.stats.norm.logpdf(x, 0.5), Normal(jnp.zeros(N), jnp.zeros(N)))
    assert effective_sample_size(log_w) / N == pytest.approx(np.exp(-0.25), rel=0.05)  # 1 / E_q[w^2]


def test_log_mean_exp_is_per_column_and_does_not_overflow():
    np.testing.assert_allclose(log_mean_exp(jnp.array([[1000.0, 0.0], [1000.0, jnp.log(3.0)]])), [1000, np.log(2)])
