"""The diffusion process against Bayes' rule and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.objectives.diffusion import (
    LOSSES,
    NOISE_SCHEDULES,
    PREDICTIONS,
    Estimate,
    Linear,
    Terms,
    alpha,
    ddim,
    ddpm,
    diffused,
    even_levels,
    guided,
    posterior,
    prior_kl,
    sigma,
    step_kl_weight,
    velocity,
)

KEY = jax.random.key(0)
LEVELS = jnp.array([-6.0, -1.0, 0.5, 9.0])
ENDS = {"linear": (9.210, -10.118), "cosine": (13.3, -10.0), "learned": (13.3, -5.0)}


@pytest.mark.parametrize("name", NOISE_SCHEDULES)
def test_schedules_fall_between_their_ends(name):
    schedule = NOISE_SCHEDULES[name]()
    params = jax.tree.map(lambda v: v + 2 * (v.ndim > 0), schedule.init(KEY, jnp.zeros(1)))  # a bent learned one
    log_snr = schedule.apply(params, jnp.linspace(0, 1, 2_000))
    assert (jnp.diff(log_snr) < 0).all()
    np.testing.assert_allclose(log_snr[jnp.array([0, -1])], ENDS[name], atol=0.01)


def test_a_learned_schedule_is_nearly_linear_at_first():
    t, schedule = jnp.linspace(0, 1, 11), NOISE_SCHEDULES["learned"]()
    np.testing.assert_allclose(schedule.apply(schedule.init(KEY, t), t), 13.3 - 18.3 * t, atol=0.5)


def test_the_linear_schedule_is_that_of_ddpm():
    beta = np.linspace(1e-4, 0.02, 1000)
    alpha2 = jax.nn.sigmoid(Linear().apply({}, jnp.arange(1000) / 999))
    np.testing.assert_allclose(alpha2, np.cumprod(1 - beta), rtol=2e-4)


def test_variance_is_preserved():
    np.testing.assert_allclose(alpha(LEVELS) ** 2 + sigma(LEVELS) ** 2, 1, rtol=1e-6)
    np.testing.assert_allclose(2 * jnp.log(alpha(LEVELS) / sigma(LEVELS)), LEVELS, rtol=1e-5)


@pytest.mark.parametrize("name", PREDICTIONS)
def test_every_prediction_tells_example_and_noise(name):
    x, noise = jax.random.normal(KEY, (2, 3, 4))
    true = Estimate(x, noise)
    output = {"epsilon": noise, "x": x, "v": velocity(true, LEVELS)}[name]
    found = PREDICTIONS[name](output, diffused(x, noise, LEVELS), LEVELS)
    np.testing.assert_allclose(found.x, x, atol=1e-5)
    np.testing.assert_allclose(found.epsilon, noise, atol=2e-4)


def test_the_posterior_is_that_of_bayes():
    """x_s ~ N(alpha_s x, sigma_s^2) and x_t = a x_s + noise: the product of two normals in x_s."""
    t, s, x, x_t = jnp.float32(-1.0), jnp.float32(2.0), 0.7, -0.4
    a = alpha(t) / alpha(s)
    noise = sigma(t) ** 2 - a**2 * sigma(s) ** 2
    precision = 1 / sigma(s) ** 2 + a**2 / noise
    mean = (alpha(s) * x / sigma(s) ** 2 + a * x_t / noise) / precision
    found = posterior(jnp.full(1, x_t), jnp.full(1, x), t, s)
    np.testing.assert_allclose(found.loc, mean, rtol=1e-5)
    np.testing.assert_allclose(jnp.exp(-2 * found.log_scale), precision, rtol=1e-5)


def test_a_step_costs_its_weight_times_the_squared_error_of_epsilon():
    t, s, x, noise = jnp.float32(-1.0), jnp.float32(0.3), jnp.array([0.7]), jnp.array([-0.4])
    x_t = diffused(x, noise, t)
    estimate = PREDICTIONS["epsilon"](noise + 0.3, x_t, t)
    q, p = posterior(x_t, x, t, s), posterior(x_t, estimate.x, t, s)
    kl = 0.5 * jnp.square((q.loc - p.loc) / jnp.exp(q.log_scale))
    np.testing.assert_allclose(step_kl_weight(t, s) * 0.3**2, kl[0], rtol=1e-4)


def test_the_prior_kl_is_that_of_normals():
    log_snr, x = jnp.float32(-1.0), jnp.array([[0.7]])
    m, v = float(alpha(log_snr) * 0.7), float(sigma(log_snr) ** 2)
    np.testing.assert_allclose(prior_kl(x, log_snr)[0, 0], 0.5 * (v + m**2 - 1 - np.log(v)), rtol=1e-5)


def test_the_simple_loss_is_the_bound_without_its_weights():
    error, weight = jnp.array([0.5, 2.0]), step_kl_weight(jnp.array([-1.0, 2.0]), jnp.array([-0.5, 3.0]))
    terms = Terms(error, weight * error, jnp.zeros(2), levels=101, size=4)
    np.testing.assert_allclose(LOSSES["bound"](terms) / LOSSES["simple"](terms), 101 * 4 * weight, rtol=1e-6)
    np.testing.assert_allclose(LOSSES["bound"](terms._replace(prior=jnp.ones(2))), 1 + 101 * weight * error, rtol=1e-6)


@pytest.mark.parametrize("s", [-0.9, 4.0])
def test_ddim_with_all_its_noise_is_ddpm(s):
    """Whatever the network says, and however long the step."""
    t, s = jnp.float32(-1.0), jnp.float32(s)
    x_t, output, noise = jax.random.normal(KEY, (3, 50))
    estimate = PREDICTIONS["v"](output, x_t, t)
    np.testing.assert_allclose(ddim(x_t, estimate, noise, t, s, eta=1.0), ddpm(x_t, estimate, noise, t, s), atol=1e-5)


def test_ddim_without_noise_keeps_the_estimate():
    """Of the true example and noise it makes x_s of them, cleaner or noisier than x_t."""
    x, noise, other = jax.random.normal(KEY, (3, 50))
    for s in (-4.0, 3.0):
        x_s = ddim(diffused(x, noise, jnp.float32(-1)), Estimate(x, noise), other, jnp.float32(-1), jnp.float32(s))
        np.testing.assert_allclose(x_s, diffused(x, noise, jnp.float32(s)), atol=1e-5)


def test_guidance_extrapolates_from_the_model_without_condition():
    a, b = jnp.array([1.0, 2.0]), jnp.array([0.0, 4.0])
    np.testing.assert_array_equal(guided(a, b, 0.0), a)
    np.testing.assert_array_equal(guided(a, b, 2.0), [3.0, -2.0])


def test_even_levels():
    """As many as there are levels are all of them; any of them is uniform, and they lie apart evenly."""
    np.testing.assert_array_equal(np.sort(even_levels(jnp.int32(3), 10, 4, 10), 0), np.tile(np.arange(10)[:, None], 4))
    drawn = np.stack([even_levels(jnp.int32(i), 3, 2, 12) for i in range(12)])
    for i in range(3):
        for j in range(2):
            np.testing.assert_array_equal(np.sort(drawn[:, i, j]), np.arange(12))
    np.testing.assert_array_equal((drawn[:, 1] - drawn[:, 0]) % 12, 4)
    np.testing.assert_array_equal(np.bincount(even_levels(jnp.int32(5), 1, 30, 10)[0]), 3)
