"""Both estimators of the gradient of E_q[f(z)] against its closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.distributions import Normal
from gen.probability.gradients import reparameterised, score_function

Q = Normal(jnp.array([0.5, -1.0]), jnp.array([0.2, -0.3]))
BASELINE = float((jnp.square(Q.loc) + jnp.exp(2 * Q.log_scale)).sum())
KEYS = jax.random.split(jax.random.key(0), 20_000)


def square(z):
    """E_q[f] = sum m^2 + s^2, so that d / dm = 2 m and d / d log s = 2 s^2."""
    return jnp.square(z).sum()


@pytest.fixture(scope="module")
def gradients():
    estimators = {
        "reparameterised": lambda key: reparameterised(key, square, Q),
        "score": lambda key: score_function(key, square, Q),
        "baseline": lambda key: score_function(key, square, Q, BASELINE),
    }
    return {name: jax.jit(jax.vmap(one))(KEYS) for name, one in estimators.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reparameterised", "score", "baseline"])
def test_all_are_unbiased(gradients, name):
    for values, exact in zip(jax.tree.leaves(gradients[name]), (2 * Q.loc, 2 * jnp.exp(2 * Q.log_scale)), strict=True):
        assert (abs(values.mean(0) - exact) < 4 * values.std(0) / np.sqrt(len(KEYS))).all()


def test_the_variance_of_the_reparameterised_one_is_known_and_the_least(gradients):
    """d f / dm = 2 (m + s eps) has variance 4 s^2."""
    variance = {name: values.loc.var(0) for name, values in gradients.items()}
    np.testing.assert_allclose(variance["reparameterised"], 4 * jnp.exp(2 * Q.log_scale), rtol=0.05)
    assert (variance["reparameterised"] < variance["baseline"]).all()
    assert (variance["baseline"] < variance["score"]).all()
