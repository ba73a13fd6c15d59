"""The linear-Gaussian model: Bayes' rule, ancestral samples, and the greatest likelihood."""

import numpy as np
import pytest
from scipy import stats

from gen.estimates import estimate
from gen.probability.linear_gaussian import LinearGaussian, principal_components


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    return LinearGaussian(rng.normal(size=(4, 2)), rng.normal(size=4), 0.6)


def test_bayes_rule_holds_at_any_latent(model):
    """log p(x) = log p(x|z) + log p(z) - log p(z|x)."""
    rng = np.random.default_rng(1)
    z, x = model.sample(rng, 5)
    mean, covariance = model.posterior(x)
    for i in range(5):
        joint = stats.norm(model.weights @ z[i] + model.mean, 0.6).logpdf(x[i]).sum() + stats.norm.logpdf(z[i]).sum()
        posterior = stats.multivariate_normal(mean[i], covariance).logpdf(z[i])
        assert joint - posterior == pytest.approx(model.log_likelihood(x)[i])


def test_the_likelihood_is_the_latent_integrated_out(model):
    """The mean of p(x|z) over z ~ p(z), within its Monte-Carlo error."""
    rng = np.random.default_rng(2)
    x = model.sample(rng, 1)[1]
    z = rng.normal(size=(100_000, 2))
    found = estimate(np.exp(stats.norm(z @ model.weights.T + model.mean, 0.6).logpdf(x).sum(1)).tolist())
    assert abs(found.mean - np.exp(model.log_likelihood(x)[0])) < 4 * found.error


def test_ancestral_samples_have_the_models_moments(model):
    z, x = model.sample(np.random.default_rng(3), 100_000)
    np.testing.assert_allclose(np.cov(x.T), model.weights @ model.weights.T + 0.36 * np.eye(4), atol=0.06)
    np.testing.assert_allclose(z.T @ (x - model.mean) / len(x), model.weights.T, atol=0.03)


def test_principal_components_are_the_greatest_likelihood(model):
    """Their covariance is that of the data in the first directions, and every other model has less likelihood."""
    x = model.sample(np.random.default_rng(4), 500)[1]
    best = principal_components(x, 2, 0.6)
    assert best.log_likelihood(x).mean() > model.log_likelihood(x).mean()
    for i in range(20):
        noise = np.random.default_rng(i).normal(size=best.weights.shape) * 0.05
        assert best.log_likelihood(x).mean() > best._replace(weights=best.weights + noise).log_likelihood(x).mean()


def test_a_direction_below_the_noise_has_no_latent(model):
    x = model.sample(np.random.default_rng(5), 500)[1]
    assert np.abs(principal_components(x, 4, 10.0).weights).max() == 0
