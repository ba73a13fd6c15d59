"""Penalties of discriminators whose gradients are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.objectives.penalties import PENALTIES, dragan, r1, r2, wgan_gp

KEY = jax.random.key(0)
REAL, FAKE = jax.random.normal(jax.random.key(1), (2, 6, 3))


def linear(*w):
    """D(x) = w x + 0.7, of gradient w."""
    return lambda x: x.reshape(len(x), -1) @ jnp.array(w) + 0.7


def quadratic(x):
    """D(x) = ||x||^2 / 2, of gradient x."""
    return jnp.square(x).reshape(len(x), -1).sum(-1) / 2


@pytest.mark.parametrize("penalty", [r1, r2])
def test_gradient_penalties_of_a_linear_discriminator(penalty):
    np.testing.assert_allclose(penalty(linear(1.0, -2.0, 3.0), REAL, FAKE, KEY), 14.0, rtol=1e-6)


def test_r1_looks_at_real_and_r2_at_fake_examples():
    np.testing.assert_allclose(r1(quadratic, REAL, FAKE, KEY), (REAL**2).sum(-1), rtol=1e-5)
    np.testing.assert_allclose(r2(quadratic, REAL, FAKE, KEY), (FAKE**2).sum(-1), rtol=1e-5)


def test_images_are_summed_over_all_pixels():
    x = jnp.ones((2, 2, 3, 1))
    np.testing.assert_allclose(r1(quadratic, x, x, KEY), 6.0, rtol=1e-6)


@pytest.mark.parametrize("penalty", [wgan_gp, dragan])
@pytest.mark.parametrize("scale, value", [(1.0, 0.0), (3.0, 4.0), (0.5, 0.25)])
def test_distance_of_the_gradient_norm_to_one(penalty, scale, value):
    np.testing.assert_allclose(penalty(linear(0.6 * scale, 0.0, 0.8 * scale), REAL, FAKE, KEY), value, atol=1e-5)


@pytest.mark.parametrize("scale, value", [(0.5, 0.0), (3.0, 4.0)])
def test_one_sided_leaves_small_gradients_alone(scale, value):
    penalty = wgan_gp(linear(0.6 * scale, 0.0, 0.8 * scale), REAL, FAKE, KEY, one_sided=True)
    np.testing.assert_allclose(penalty, value, atol=1e-5)


def test_another_target():
    np.testing.assert_allclose(wgan_gp(linear(3.0, 0.0, 4.0), REAL, FAKE, KEY, target=2.0), 9.0, rtol=1e-5)


def test_wgan_gp_points_lie_evenly_between_the_pair():
    """Real at 0, fake at 2: with D = ||x||^2 / 2 the gradient's norm is the place on the segment, uniform on [0, 2]."""
    real, fake = jnp.zeros((4_000, 1)), jnp.full((4_000, 1), 2.0)
    distance = jnp.sqrt(wgan_gp(quadratic, real, fake, KEY, target=0.0))
    np.testing.assert_allclose(jnp.quantile(distance, jnp.array([0.25, 0.5, 0.75])), [0.5, 1.0, 1.5], atol=0.06)


@pytest.mark.slow
def test_dragan_stays_near_real_examples():
    """x' - x = u noise std v with u, v in [0, 1]; without noise it is the penalty at the real examples."""
    at_real = dragan(quadratic, REAL, FAKE, KEY, noise=0.0)
    np.testing.assert_allclose(at_real, jnp.square(jnp.linalg.norm(REAL, axis=-1) - 1), rtol=1e-4, atol=1e-6)
    real = jnp.linspace(1.0, 3.0, 1_000)[:, None]
    offset = jnp.sqrt(dragan(quadratic, real, real, KEY, target=0.0)) - real[:, 0]
    assert offset.min() >= -1e-5 and 0.4 * real.std() < offset.max() <= 0.5 * real.std()


@pytest.mark.parametrize("name", PENALTIES)
def test_a_dead_discriminator_has_finite_gradients(name):
    def value(w):
        return PENALTIES[name](linear(w, 0.0, 0.0), REAL, FAKE, KEY).mean()

    assert jnp.isfinite(jax.grad(value)(0.0))
