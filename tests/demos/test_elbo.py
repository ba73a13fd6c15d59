"""The evidence, the posterior and the bound of the demo are those of the library's linear Gaussian model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from gen.distributions import NormalMixture
from gen.probability.divergences import kl_gaussian
from gen.probability.linear_gaussian import LinearGaussian

CASES = [(1.0, 0.8, -1.5, 0.8), (-2.5, 0.3, 0.4, 2.2), (0.0, 2.0, 4.0, 0.27)]
TERMS = """({evidence: m.logEvidence(a[0], a[1]), elbo: m.elbo(...a), gap: m.gap(...a),
  posterior: m.posterior(a[0], a[1])})"""


def in_page(call, noise, apart, x, mean, std):
    return call("elbo", TERMS, {"noise": noise, "apart": apart}, x, {"mean": mean, "std": std})


@pytest.mark.parametrize(("x", "noise", "mean", "std"), CASES)
def test_with_one_mode_it_is_the_linear_gaussian_model(call, x, noise, mean, std):
    model, found = LinearGaussian(np.eye(1), np.zeros(1), noise), in_page(call, noise, 0, x, mean, std)
    loc, covariance = model.posterior(np.array([[x]]))
    (gap,) = kl_gaussian(np.array([[mean]]), np.array([[[std**2]]]), loc, covariance[None])
    evidence = model.log_likelihood(np.array([[x]])).item()
    (posterior,) = found["posterior"]
    assert (posterior["mean"], posterior["std"]) == pytest.approx((loc.item(), covariance.item() ** 0.5), rel=1e-9)
    assert (found["evidence"], found["gap"], found["elbo"]) == pytest.approx((evidence, gap, evidence - gap), abs=1e-7)


@pytest.mark.parametrize(("x", "noise", "mean", "std"), CASES)
def test_with_two_modes_the_evidence_is_the_integral_and_both_terms_add_up_to_it(call, x, noise, mean, std):
    def prior(z):
        return (stats.norm.pdf(z, -2) + stats.norm.pdf(z, 2)) / 2

    found = in_page(call, noise, 4, x, mean, std)
    integral, _ = integrate.quad(lambda z: prior(z) * stats.norm.pdf(x, z, noise), -12, 12, epsabs=1e-13, points=[x])
    evidence = np.log(integral)
    assert found["evidence"] == pytest.approx(evidence, abs=1e-7)
    assert found["elbo"] + found["gap"] == pytest.approx(evidence, abs=1e-7)
    assert found["gap"] > 0


@pytest.mark.slow
def test_the_climb_follows_the_gradient_of_the_bound_and_ends_at_the_posterior(call):
    model, x = {"noise": 0.6, "apart": 3}, 0.7
    prior = NormalMixture(jnp.zeros(2), jnp.array([[-1.5], [1.5]]), jnp.zeros((2, 1)))
    u, weights = np.polynomial.hermite_e.hermegauss(80)

    def bound(mean, log_std):
        z = mean + jnp.exp(log_std) * u
        log_p = prior.log_prob(z[:, None]) + jax.scipy.stats.norm.logpdf(x, z, 0.6)
        return (weights / weights.sum()) @ (log_p - jax.scipy.stats.norm.logpdf(z, mean, jnp.exp(log_std)))

    exact = jax.grad(bound, (0, 1))(-1.0, jnp.log(0.8))
    found = call("elbo", "m.gradient(a[0], a[1], {mean: -1, std: 0.8})", model, x)
    np.testing.assert_allclose([found["mean"], found["logStd"]], exact, rtol=2e-4)
    climb = "let q = {mean: -3, std: 2}; for (let i = 0; i < 800; i++) q = m.ascended(a[0], a[1], q); return q"
    q = call("elbo", climb, {"noise": 0.8, "apart": 0}, 1.0)
    loc, covariance = LinearGaussian(np.eye(1), np.zeros(1), 0.8).posterior(np.array([[1.0]]))
    assert (q["mean"], q["std"]) == pytest.approx((loc.item(), covariance.item() ** 0.5), abs=1e-5)
