"""Each loss at given logits against its formula, its gradients, and the fixed points of the games."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, log1p

from gen.objectives.adversarial import ADVERSARIAL

REAL = np.array([2.0, -0.5, 0.3])
FAKE = np.array([-1.0, 0.7, 0.2])


def softplus(x):
    return log1p(np.exp(x))


def average(a, b):
    """Cross-entropy of `a` above the mean of `b` and of `b` below the mean of `a`."""
    return -np.log(expit(a - b.mean())) - np.log(1 - expit(b - a.mean()))


EXPECTED = {  # name -> (discriminator, generator), written with D = sigmoid(logit) where the paper does
    "minimax": (-np.log(expit(REAL)) - np.log(1 - expit(FAKE)), np.log(1 - expit(FAKE))),
    "non_saturating": (-np.log(expit(REAL)) - np.log(1 - expit(FAKE)), -np.log(expit(FAKE))),
    "hinge": (np.maximum(0, 1 - REAL) + np.maximum(0, 1 + FAKE), -FAKE),
    "least_squares": (((REAL - 1) ** 2 + FAKE**2) / 2, (FAKE - 1) ** 2 / 2),
    "wasserstein": (FAKE - REAL, -FAKE),
    "relativistic_paired": (softplus(FAKE - REAL), softplus(REAL - FAKE)),
    "relativistic_average": (average(REAL, FAKE), average(FAKE, REAL)),
    "boundary_equilibrium": (-REAL + 0.3 * FAKE, -FAKE),
}
OPTIONS = {"boundary_equilibrium": {"balance": 0.3}}


def logits(*values):
    return tuple(jnp.asarray(v, jnp.float32) for v in values)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_closed_form(name):
    loss = ADVERSARIAL[name](**OPTIONS.get(name, {}))
    for side, expected in zip((loss.discriminator, loss.generator), EXPECTED[name], strict=True):
        np.testing.assert_allclose(side(*logits(REAL, FAKE)), expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ADVERSARIAL)
def test_gradients_push_logits_apart_and_together(name):
    """D gains by raising real and lowering fake logits, the generator by raising fake ones."""
    loss, pair = ADVERSARIAL[name](**OPTIONS.get(name, {})), logits([0.1, -0.2, 0.3], [0.3, 0.2, 0.1])
    real, fake = jax.grad(lambda r, f: loss.discriminator(r, f).mean(), (0, 1))(*pair)
    assert (real < 0).all() and (fake > 0).all()
    assert (jax.grad(lambda r, f: loss.generator(r, f).mean(), 1)(*pair) < 0).all()


def test_the_balance_moves_with_the_energies_and_stays_in_its_bounds():
    """k + rate (gamma E(x) - E(G(z))), E = -logit; Berthelot et al. 2017, section 3.4."""
    def after(balance, real, fake):
        return float(ADVERSARIAL["boundary_equilibrium"](0.5, 0.1, balance).adapted(*logits(real, fake))["balance"])

    np.testing.assert_allclose(after(0.4, -3.0, -1.0), 0.4 + 0.1 * (0.5 * 3.0 - 1.0), rtol=1e-6)
    np.testing.assert_allclose(after(0.4, -2.0, -1.0), 0.4, rtol=1e-6)
    assert after(0.05, -1.0, -3.0) == 0.0 and after(0.95, -9.0, -1.0) == 1.0


def test_a_sure_discriminator_leaves_no_saturating_gradient_and_a_full_non_saturating_one():
    real, fake = logits([20.0], [-20.0])

    def gradient(name):
        return jax.grad(lambda f: ADVERSARIAL[name]().generator(real, f).mean())(fake)[0]

    np.testing.assert_allclose(gradient("minimax"), -expit(-20.0), rtol=1e-5)
    np.testing.assert_allclose(gradient("non_saturating"), -1.0, rtol=1e-5)


@pytest.mark.parametrize("name", ["minimax", "non_saturating"])
@pytest.mark.parametrize("smoothing", [0.1, 0.3])
def test_label_smoothing_lowers_the_best_real_output_and_leaves_the_fake_side(name, smoothing):
    """min over D of -(1 - s) log D - s log(1 - D) is at D = 1 - s."""
    loss = ADVERSARIAL[name](label_smoothing=smoothing)
    best = jnp.log(jnp.array([(1 - smoothing) / smoothing]))
    real, fake = jax.grad(lambda r, f: loss.discriminator(r, f).sum(), (0, 1))(best, jnp.array([0.4]))
    np.testing.assert_allclose(real, 0, atol=1e-6)
    np.testing.assert_allclose(fake, expit(0.4), rtol=1e-5)


def test_least_squares_targets():
    """a = -1, b = 1, c = 0 is Pearson's chi-squared coding (Mao et al. 2017, eq. 8)."""
    loss = ADVERSARIAL["least_squares"](-1.0, 1.0, 0.0)
    real, fake = logits(REAL, FAKE)
    np.testing.assert_allclose(loss.discriminator(real, fake), ((REAL - 1) ** 2 + (FAKE + 1) ** 2) / 2, rtol=1e-5)
    np.testing.assert_allclose(loss.generator(real, fake), FAKE**2 / 2, rtol=1e-5)
    assert loss.threshold(real, fake) == 0


@pytest.mark.parametrize("name", ["wasserstein", "relativistic_paired", "relativistic_average"])
def test_a_constant_on_all_logits_changes_nothing(name):
    loss, (real, fake) = ADVERSARIAL[name](), logits(REAL, FAKE)
    np.testing.assert_allclose(loss.discriminator(real + 3, fake + 3), loss.discriminator(real, fake), rtol=1e-4)
    shifted = loss.threshold(real + 3, fake + 3)
    np.testing.assert_array_equal(real + 3 > shifted, real > loss.threshold(real, fake))


@pytest.mark.parametrize("name, value", [("minimax", 2 * np.log(2)), ("relativistic_paired", np.log(2)),
                                         ("relativistic_average", 2 * np.log(2)), ("hinge", 2.0), ("wasserstein", 0)])
def test_value_where_the_discriminator_cannot_tell(name, value):
    np.testing.assert_allclose(ADVERSARIAL[name]().discriminator(*logits([0.0], [0.0])), value, rtol=1e-6)
