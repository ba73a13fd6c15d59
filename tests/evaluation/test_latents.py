"""Active units, and the parts of the KL, where the aggregate posterior is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.data import Spec, load
from gen.distributions import Normal, kl_normal, standard_normal
from gen.evaluation import EVALUATORS, Subject
from gen.evaluation.latents import active_units, activity, decomposition
from gen.families import vae
from tests.helpers import vae_config

KEY = jax.random.key(0)


def test_activity_is_the_variance_of_the_means():
    means = jnp.array([[0.0, 1.0, 5.0], [2.0, 1.1, 5.0]])
    np.testing.assert_allclose(activity(means), [1.0, 0.0025, 0.0], atol=1e-6)
    assert active_units(means) == 1


def parts(rho=0.7, scale=0.5, n=4000, m=1000, mean=0.0):
    covariance = jnp.array([[1, rho], [rho, 1]]) - scale**2 * jnp.eye(2)
    loc = mean + jax.random.normal(KEY, (n, 2)) @ jnp.linalg.cholesky(covariance).T
    posterior = Normal(loc, jnp.full_like(loc, jnp.log(scale)))
    first = jax.tree.map(lambda v: v[:m], posterior)
    z = first.sample(jax.random.key(1))
    prior = standard_normal((2,))
    found = decomposition(z, first.log_prob(z).sum(-1), prior.log_prob(z).sum(-1), posterior)
    return found, kl_normal(posterior, prior).sum(-1).mean()


@pytest.mark.slow
def test_parts_of_a_correlated_normal_are_the_exact_ones():
    """Aggregate N(mean, [[1, rho], [rho, 1]]): its entropies and divergences in closed form."""
    found, _ = parts(mean=0.5)
    entropy = 0.5 * np.log(1 - 0.7**2)
    np.testing.assert_allclose(found.total_correlation, -entropy, atol=0.05)
    np.testing.assert_allclose(found.mutual_information, entropy - 2 * np.log(0.5), atol=0.08)
    np.testing.assert_allclose(found.dimension_wise_kl, 2 * 0.5 * 0.5**2, atol=0.06)


def test_parts_add_up_to_the_divergence():
    found, kl = parts()
    np.testing.assert_allclose(sum(found), kl, atol=0.1)


@pytest.mark.slow
def test_chunks_do_not_change_the_parts():
    posterior = Normal(*jax.random.normal(KEY, (2, 30, 2)))
    z, log_q = posterior.loc[:7], jnp.zeros(7)
    found, whole = (decomposition(z, log_q, log_q, posterior, chunk=chunk) for chunk in (3, 50))
    np.testing.assert_allclose(found, whole, rtol=1e-5)


@pytest.mark.slow
def test_a_hierarchy_has_the_active_units_of_all_layers_and_of_each():
    config = vae_config(hierarchy__name="chain", hierarchy__hidden=(8,), latents=3)
    family, dataset = vae.make(config, Spec((8, 8, 1), 10, "unit")), load(config.data)
    state = jax.jit(family.init)(KEY, {"x": jnp.float32(dataset.train["x"][:16] > 100)})
    found = EVALUATORS["latents"](Subject(None, dataset, config, state, family.methods), examples=100)
    assert found == {"active_units": 10.0, "active_units_layer_1": 3.0, "active_units_layer_2": 7.0}
