"""Penalties of discriminators whose gradients are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.objectives.penalties import (
    PENALTIES,
    Averages,
    consistency,
    dragan,
    flipped_and_shifted,
    lecam,
    r1,
    r2,
    wgan_gp,
)

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


@pytest.mark.parametrize("name", [name for name in PENALTIES if name not in ("consistency", "lecam")])
def test_a_dead_discriminator_has_finite_gradients(name):
    def value(w):
        return PENALTIES[name](linear(w, 0.0, 0.0), REAL, FAKE, KEY).mean()

    assert jnp.isfinite(jax.grad(value)(0.0))


def test_consistency_is_that_of_a_flip_and_a_shift():
    """D reads the first row's first pixel of ramps: what was moved there says by how much, and costs its square."""
    ramp = jnp.broadcast_to(jnp.arange(8.0)[None, None, :, None], (4_000, 8, 8, 1))

    def first(x):
        return x[:, 0, 0, 0]

    found = consistency(first, ramp, 0 * ramp, KEY, ratio=0.25)
    places = np.sqrt(np.asarray(found)).round(3)
    shares = {place: (places == place).mean() for place in np.unique(places)}
    # without the flip 0, 1, 1, 2, 2 by reflection, with it 7, 6, 6, 5, 5
    expected = {0.0: 0.1, 1.0: 0.2, 2.0: 0.2, 7.0: 0.1, 6.0: 0.2, 5.0: 0.2}
    assert shares.keys() == expected.keys()
    for place, share in expected.items():
        assert abs(shares[place] - share) < 5 * np.sqrt(share * (1 - share) / 4_000)
    np.testing.assert_allclose(consistency(first, 0 * ramp, ramp, KEY, fakes=0.0), 0)
    fake = consistency(first, 0 * ramp, ramp, KEY, ratio=0.25, fakes=0.5)
    assert set(np.unique(np.asarray(fake).round(2))) == {0.0, 0.5, 2.0, 12.5, 18.0, 24.5}
    np.testing.assert_array_equal(consistency(lambda x: x.mean((1, 2, 3)), 0 * ramp + 2, 0 * ramp, KEY), 0)


class Followed:
    """The released code's averages: `decay` 0 before `start_itr`, the means of the step included."""

    def __init__(self, decay, start):
        self.decay, self.start, self.real, self.fake = decay, start, 1000.0, 1000.0

    def penalty(self, real, fake, step):
        decay = 0.0 if step < self.start else self.decay
        self.real = self.real * decay + real.mean() * (1 - decay)
        self.fake = self.fake * decay + fake.mean() * (1 - decay)
        value = (np.maximum(real - self.fake, 0) ** 2).mean() + (np.maximum(self.real - fake, 0) ** 2).mean()
        return value if step > self.start else 0.0


def test_lecam_is_that_of_the_released_code():
    theirs, averages = Followed(0.9, 2), Averages(jnp.zeros(()), jnp.zeros(()))
    for step in range(8):
        real, fake = (jnp.float32(np.random.default_rng([step, i]).normal(1 - i, 1, 32)) for i in (0, 1))
        found = lecam(lambda x: x[:, 0], real[:, None], fake[:, None], KEY, averages, jnp.int32(step), 0.9, 2).mean()
        assert found == pytest.approx(theirs.penalty(np.asarray(real), np.asarray(fake), step), rel=1e-5)
        averages = averages.moved(real.mean(), fake.mean(), jnp.int32(step), 0.9, 2)
        assert float(averages.real) == pytest.approx(theirs.real, rel=1e-5)
    gradient = jax.grad(lambda c: lecam(lambda x: x[:, 0] + c, real[:, None], fake[:, None], KEY, averages,
                                        jnp.int32(9), 0.9, 2).mean())(0.0)
    now = averages.moved(real.mean(), fake.mean(), jnp.int32(9), 0.9, 2)
    held = 2 * np.maximum(real - now.fake, 0).mean() - 2 * np.maximum(now.real - fake, 0).mean()
    assert gradient == pytest.approx(float(held), rel=1e-4)


def test_a_shift_by_the_whole_side_is_reflected():
    """Rows 0, 1, 2, 3 moved by s = -4, ..., 4 show places s, ..., s + 3 of ... 2 1 0 1 2 3 2 1 ..."""
    rows = jnp.broadcast_to(jnp.arange(4.0)[None, :, None, None], (2_000, 4, 1, 1))
    moved = {tuple(x) for x in np.asarray(flipped_and_shifted(rows, KEY, 1.0))[..., 0, 0].astype(int).tolist()}
    around = [0, 1, 2, 3, 2, 1]
    assert moved == {tuple(around[(s + i) % 6] for i in range(4)) for s in range(-4, 5)}
