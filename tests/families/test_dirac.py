"""The Dirac-GAN (Mescheder et al. 2018): D(x) = psi x, one fake example theta, data at 0.

Trajectories of the simultaneous gradient flow, through the losses and penalties that train, against their closed forms.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

from gen.objectives.adversarial import ADVERSARIAL
from gen.objectives.penalties import PENALTIES

DT, STEPS = 0.01, 1_000
TIMES = DT * np.arange(STEPS + 1)
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


def flow(point, loss, penalty=None, weight=0.0, noise=0.0):
    """d(theta, psi)/dt: minus each player's gradient, the instance noise by Gauss-Hermite quadrature."""
    weights = jnp.float32(WEIGHTS / WEIGHTS.sum())
    real = noise * jnp.float32(NODES)

    def values(theta, psi):
        fake = theta + real
        losses = ADVERSARIAL[loss]()
        discriminator = (weights * losses.discriminator(psi * real, psi * fake)).sum()
        if penalty:
            terms = PENALTIES[penalty](lambda x: psi * x[:, 0], real[:, None], fake[:, None], jax.random.key(0))
            discriminator += weight * (weights * terms).sum()
        return discriminator, (weights * losses.generator(psi * real, psi * fake)).sum()

    theta, psi = point
    return -jnp.array([jax.grad(lambda t: values(t, psi)[1])(theta), jax.grad(lambda p: values(theta, p)[0])(psi)])


def trajectory(start, **game):
    """(theta, psi) at TIMES by the classical Runge-Kutta method."""
    velocity = partial(flow, **game)

    def step(x, _):
        a = velocity(x)
        b = velocity(x + DT / 2 * a)
        c = velocity(x + DT / 2 * b)
        d = velocity(x + DT * c)
        return x + DT / 6 * (a + 2 * b + 2 * c + d), x

    return np.asarray(jax.jit(lambda x: jax.lax.scan(step, x, length=STEPS + 1)[1])(jnp.float32(start)))


def linear(matrix, start):
    """The solution of d x / dt = matrix x at TIMES."""
    return np.stack([expm(t * np.array(matrix)) @ start for t in TIMES])


def test_wasserstein_circles():
    theta, psi = 1.0, 0.5
    c, s = np.cos(TIMES), np.sin(TIMES)
    expected = np.stack([theta * c + psi * s, psi * c - theta * s], axis=-1)
    np.testing.assert_allclose(trajectory((theta, psi), loss="wasserstein"), expected, atol=1e-4)


@pytest.mark.parametrize("start", [(1.0, 0.5), (2.0, -1.0)])
def test_minimax_keeps_its_distance(start):
    """theta^2 + psi^2 is constant, however far from the equilibrium, and the angle turns."""
    path = trajectory(start, loss="minimax")
    np.testing.assert_allclose(np.linalg.norm(path, axis=-1), np.linalg.norm(start), rtol=1e-4)
    assert np.ptp(np.unwrap(np.arctan2(path[:, 1], path[:, 0]))) > 1.5


@pytest.mark.parametrize("gamma", [0.3, 1.0])
def test_wasserstein_with_r1_spirals_in(gamma):
    """psi' = -theta - gamma psi, theta' = psi, with gamma = 2 weight."""
    path = trajectory((1.0, 0.5), loss="wasserstein", penalty="r1", weight=gamma / 2)
    np.testing.assert_allclose(path, linear([[0, 1], [-1, -gamma]], (1.0, 0.5)), atol=1e-4)


@pytest.mark.parametrize("loss", ["minimax", "non_saturating"])
@pytest.mark.parametrize("penalty", ["r1", "r2"])
def test_cross_entropy_with_gradient_penalties_spirals_in(loss, penalty):
    """Near the equilibrium the slope of the losses is 1/2."""
    start = np.array([0.02, 0.01])
    path = trajectory(start, loss=loss, penalty=penalty, weight=0.25)
    np.testing.assert_allclose(path, linear([[0, 0.5], [-0.5, -0.5]], start), atol=2e-4)
    assert np.linalg.norm(path[-1]) < 0.2 * np.linalg.norm(start)


def test_instance_noise_spirals_in():
    """psi' = -theta / 2 - noise^2 psi / 2 near the equilibrium (Mescheder et al. 2018, section 3.2)."""
    start = np.array([0.02, 0.01])
    path = trajectory(start, loss="minimax", noise=1.0)
    np.testing.assert_allclose(path, linear([[0, 0.5], [-0.5, -0.5]], start), atol=2e-4)
    without = trajectory(start, loss="minimax")
    assert np.linalg.norm(path[-1]) < 0.2 * np.linalg.norm(start) < 0.21 * np.linalg.norm(without[-1])


def test_gradient_penalty_around_one_does_not_converge():
    """WGAN-GP pulls |psi| to 1, so that the players never come to rest (Mescheder et al. 2018, section 3.3)."""
    path = trajectory((0.2, 0.5), loss="wasserstein", penalty="wgan_gp", weight=1.0)
    assert np.linalg.norm(path[-300:], axis=-1).min() > 0.1
