"""Schedules, samplers and the exact score of the demo against `gen.objectives.diffusion` and the density itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.data.mixtures import ring_means
from gen.distributions import NormalMixture
from gen.objectives import diffusion

STD = 0.1
POINTS = np.random.default_rng(0).normal(size=(50, 2))


@pytest.mark.parametrize("name", ["cosine", "linear"])
def test_schedules_are_the_librarys(call, name):
    t = np.linspace(0, 1, 23)
    exact = diffusion.NOISE_SCHEDULES[name]().apply({}, jnp.asarray(t, jnp.float32))
    np.testing.assert_allclose(call("diffusion", "a[1].map((t) => m.SCHEDULES[a[0]](t))", name, t.tolist()), exact,
                               rtol=1e-4, atol=1e-4)
    found = np.array(call("diffusion", "a[0].map((v) => [m.alpha(v), m.sigma(v)])", exact.tolist()))
    np.testing.assert_allclose(found.T, [diffusion.alpha(exact), diffusion.sigma(exact)], atol=1e-6)


@pytest.mark.parametrize("log_snr", [5.0, 0.3, -6.0])
def test_the_score_is_the_gradient_of_the_noised_datas_log_density(call, log_snr):
    with jax.enable_x64(True):
        a, s = float(diffusion.alpha(jnp.asarray(log_snr))), float(diffusion.sigma(jnp.asarray(log_snr)))
        scale = np.full((8, 2), np.log(np.hypot(a * STD, s)))
        noised = NormalMixture(jnp.zeros(8), jnp.asarray(a * ring_means(8, 1.0)), jnp.asarray(scale))
        exact = np.asarray(jax.vmap(jax.grad(noised.log_prob))(jnp.asarray(POINTS)))
    flat = POINTS.ravel().tolist()
    score = np.reshape(call("diffusion", "m.score(a[0], a[1])", flat, log_snr), (-1, 2))
    np.testing.assert_allclose(score, exact, atol=1e-5 * np.abs(exact).max())
    found = call("diffusion", "m.denoise(a[0], a[1])", flat, log_snr)
    np.testing.assert_allclose(np.reshape(found["x"], (-1, 2)), (POINTS + s**2 * exact) / a, atol=1e-5)


@pytest.mark.parametrize("name", ["ddpm", "ddim"])
def test_a_step_of_each_sampler_is_the_librarys(call, name):
    rng = np.random.default_rng(1)
    x, noise, now, then = rng.normal(size=(50, 2)), rng.normal(size=(50, 2)), -1.2, 0.7
    with jax.enable_x64(True):
        estimate = diffusion.from_x(jnp.asarray(x), jnp.asarray(POINTS), jnp.asarray(now))
        levels = jnp.asarray(now), jnp.asarray(then)
        exact = diffusion.SAMPLERS[name](jnp.asarray(POINTS), estimate, jnp.asarray(noise), *levels)
    given = [v.ravel().tolist() for v in (POINTS, x, np.asarray(estimate.epsilon), noise)]
    body = "m.SAMPLERS[a[0]](a[1], {x: a[2], epsilon: a[3]}, a[4], a[5], a[6])"
    np.testing.assert_allclose(call("diffusion", body, name, *given, now, then), np.ravel(exact), atol=1e-5)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_with_20_steps_all_modes_are_reached_and_with_500_the_spread_is_the_datas(call, sampler):
    body = """const random = new m.Random(1), settings = {sampler: a[0], schedule: "cosine", steps: a[1]};
    const points = m.travel(random.normals(2 * 2000), settings, random).at(-1);
    return {points, ...m.coverage(points, 0.1)}"""
    few = call("diffusion random gan", body, sampler, 20)
    assert few["modes"] == 8 and few["highQuality"] > 0.9
    found = call("diffusion random gan", body, sampler, 500)
    away = np.linalg.norm(np.reshape(found["points"], (-1, 1, 2)) - ring_means(8, 1.0), axis=-1).min(1)
    assert found["modes"] == 8 and np.mean(away**2) == pytest.approx(2 * STD**2, rel=0.1)
