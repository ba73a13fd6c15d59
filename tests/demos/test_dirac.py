"""The Dirac-GAN of the demo plays as `experiments/gan/dirac.py` does; its eigenvalues are those of a step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen import config as configs
from gen.data import load
from gen.objectives.adversarial import ADVERSARIAL
from gen.objectives.penalties import r1
from gen.schema import complete
from gen.training import program

LOSSES = ("minimax", "non_saturating", "wasserstein")
START = (0.7, -0.5)


def played(variant: str, overrides: dict, steps: int) -> list:
    """[theta, psi] after each step of the library's game, whose second coordinates are 0 and stay so."""
    experiment = configs.load("experiments/gan/dirac.py" + variant)
    config = complete(experiment, {"train.batch_size": 4, "mesh.data": 1, **overrides})
    dataset = load(config.data)
    made, batch = program.make(config, dataset.spec), {name: v[:4] for name, v in dataset.train.items()}
    state = made.init(0, dataset.train)
    place = dict(zip(("generator", "discriminator"), START, strict=True))

    def at(value: float):
        return lambda leaf: jnp.zeros_like(leaf).at[(0,) * leaf.ndim].set(value)

    params = {player: jax.tree.map(at(value), state.params[player]) for player, value in place.items()}
    state, found = state.replace(params=params), []
    for _ in range(steps):
        state, _ = made.step(state, batch)
        found.append([float(jax.tree.leaves(state.params[player])[0].ravel()[0]) for player in place])
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "overrides", "game"), [
    ("", {}, {"loss": "minimax", "r1": 0, "alternating": False}),
    (":r1", {}, {"loss": "minimax", "r1": 0.5, "alternating": False}),
    (":alternating", {"loss.name": "non_saturating"}, {"loss": "non_saturating", "r1": 0, "alternating": True}),
    (":wasserstein", {}, {"loss": "wasserstein", "r1": 0, "alternating": False}),
])
def test_it_plays_step_by_step_as_the_experiment(call, variant, overrides, game):
    found = call("dirac", "m.trajectory(a[0], a[1], 20)", START, game | {"rate": 0.05})
    np.testing.assert_allclose(np.reshape(found, (-1, 2))[1:], played(variant, overrides, 20), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_the_field_is_minus_the_gradient_of_both_losses(call, loss, weight):
    adversarial, real = ADVERSARIAL[loss](), jnp.zeros((1, 1))

    def discriminator(psi, theta):
        def logits(x):
            return psi * x[:, 0]

        fake = theta.reshape(1, 1)
        penalty = r1(logits, real, fake, jax.random.key(0)).mean()
        return adversarial.discriminator(logits(real), logits(fake)).mean() + weight * penalty

    def generator(theta, psi):
        return adversarial.generator(jnp.zeros(1), (psi * theta)[None]).mean()

    for theta, psi in [(0.7, 0.5), (-1.3, 1.9), (0.0, -2.0)]:
        theta, psi = jnp.asarray(theta), jnp.asarray(psi)
        exact = [-jax.grad(generator)(theta, psi), -jax.grad(discriminator)(psi, theta)]
        found = call("dirac", "m.field(a[0], a[1], a[2])", float(theta), float(psi), {"loss": loss, "r1": weight})
        np.testing.assert_allclose(found, exact, atol=1e-6)


def test_at_the_point_of_the_tour_the_field_has_its_sign(call):
    found = call("dirac", "m.field(0.7, 0.5, {loss: 'minimax', r1: 0})")
    np.testing.assert_allclose(found, [0.2933, -0.4106], atol=1e-3)


@pytest.mark.parametrize("game", [
    {"loss": loss, "r1": weight, "rate": rate, "alternating": alternating}
    for loss in LOSSES for weight, rate in ((0.0, 0.2), (0.3, 0.5), (2.0, 0.1)) for alternating in (False, True)
])
def test_eigenvalues_are_those_of_the_steps_jacobian_and_of_the_game(call, game):
    h = 1e-6
    columns = call("dirac", "[[a[1], 0], [0, a[1]]].map((start) => m.step(start, a[0]))", game, h)
    exact = np.sort_complex(np.linalg.eigvals(np.array(columns).T / h))
    found = np.sort_complex([complex(*value) for value in call("dirac", "m.eigenvalues(m.jacobian(a[0]))", game)])
    np.testing.assert_allclose(found, exact, atol=1e-5)
    assert call("dirac", "m.measuredRadius(a[0])", game) == pytest.approx(abs(exact).max(), abs=1e-3)
