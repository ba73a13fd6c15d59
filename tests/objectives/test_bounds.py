"""Bounds in closed form."""

import jax.numpy as jnp
import numpy as np

from gen.objectives.bounds import Terms, elbo, iwae


def terms(k=3):
    rng = np.random.default_rng(0)
    log_likelihood, log_prior, log_posterior = jnp.float32(rng.normal(size=(3, k, 4)))
    return Terms(log_likelihood, log_prior, log_posterior, kl=jnp.float32([0.5, 1.0, 2.0, 0.0]))


def test_elbo_and_its_beta():
    t = terms()
    np.testing.assert_allclose(elbo(t), t.log_likelihood.mean(0) - t.kl, rtol=1e-6)
    np.testing.assert_allclose(elbo(t, beta=0.0), t.log_likelihood.mean(0), rtol=1e-6)


def test_iwae_is_the_log_of_the_mean_weight():
    t = terms()
    np.testing.assert_allclose(iwae(t), np.log(np.exp(np.float64(t.log_w)).mean(0)), rtol=1e-5)
    one = terms(k=1)
    np.testing.assert_allclose(iwae(one), one.log_w[0], rtol=1e-6)
    assert (iwae(t) >= t.log_w.mean(0)).all()
