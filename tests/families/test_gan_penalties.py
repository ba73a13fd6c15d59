"""Penalties in the game: at which point, and by what, the discriminator is differentiated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.data import Spec
from gen.families import gan
from gen.families.gan.game import Game, Hand
from gen.families.gan.players import build
from gen.objectives.penalties import r1
from gen.rng import stream
from gen.schema import complete
from tests.helpers import gan_config

SPEC, KEY, N = Spec((4, 4, 2), 0, "unit"), jax.random.key(3), 6
AUGMENT = {"augment.color": True, "augment.translation.ratio": 0.25, "augment.cutout.ratio": 0.25}


def game_of(spec=SPEC, **overrides):
    """A game whose discriminator is linear in what it is shown, its state, a hand, and the discriminator's weights."""
    given = {"discriminator.name": "mlp", "discriminator.hidden": (), "penalties.r1": False, "generator.name": "mlp",
             "generator.hidden": (), "data.name": "digits"}
    config = complete(gan_config(), given | {key.replace("__", "."): value for key, value in overrides.items()})
    family = gan.make(config, spec)
    real, fake = jax.random.uniform(KEY, (2, N * config.packing, *spec.shape))
    state = family.init(jax.random.key(0), {"x": real})
    hand = Hand(real, fake, None, jnp.zeros((len(real), 0)))
    return Game(config, build(config, spec)), state, hand, state.params["discriminator"]["logits"]["kernel"][:, 0]


def squared_norms(game, state, x, key, weights):
    """||J^T w||^2 of each example, J the derivative of all that is shown by this one example."""
    jacobian = jax.jacobian(lambda x: game.show(state, x, key).reshape(len(x), -1) @ weights)(x)
    return jnp.square(jacobian).reshape(len(x), len(x), -1).sum((0, 2))


@pytest.mark.slow
@pytest.mark.parametrize("name, side", [("r1", "real"), ("r2", "fake")])
def test_r1_and_r2_differentiate_by_the_image_before_augmentation(name, side):
    """What is shown is A x + c, so that the penalty is ||A^T w||^2 with the A of the loss's own draw, not ||w||^2."""
    game, state, hand, weights = game_of(**AUGMENT, **{f"penalties.{name}": True})
    metrics = game.discriminator_value(state.params["discriminator"], state, hand, KEY)[1][0]
    expected = squared_norms(game, state, getattr(hand, side), stream(stream(KEY, "show"), side), weights).mean()
    np.testing.assert_allclose(metrics[name], expected, rtol=1e-4)
    assert abs(expected / jnp.square(weights).sum() - 1) > 5e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wgan_gp", "dragan"])
def test_other_penalties_are_at_what_is_shown(name):
    """There a linear discriminator has the gradient w everywhere, whatever the augmentation."""
    game, state, hand, weights = game_of(**AUGMENT, **{f"penalties.{name}": True})
    metrics = game.discriminator_value(state.params["discriminator"], state, hand, KEY)[1][0]
    np.testing.assert_allclose(metrics[name], jnp.square(jnp.linalg.norm(weights) - 1), rtol=1e-3)


def test_a_penalty_of_packs_is_that_of_all_their_examples():
    """Without augmentation ||w||^2 of the weights of the whole pack, with r1 as with wgan_gp."""
    game, state, hand, weights = game_of(**{"packing": 2, "penalties.r1": True, "penalties.wgan_gp": True})
    metrics = game.discriminator_value(state.params["discriminator"], state, hand, KEY)[1][0]
    assert len(weights) == 2 * np.prod(SPEC.shape)
    np.testing.assert_allclose(metrics["r1"], jnp.square(weights).sum(), rtol=1e-5)
    np.testing.assert_allclose(metrics["wgan_gp"], jnp.square(jnp.linalg.norm(weights) - 1), rtol=1e-3)


@pytest.mark.slow
def test_packed_and_augmented_penalties_are_those_of_the_examples_apart():
    game, state, hand, weights = game_of(**AUGMENT, **{"packing": 2, "penalties.r1": True})
    metrics = game.discriminator_value(state.params["discriminator"], state, hand, KEY)[1][0]
    key = stream(stream(KEY, "show"), "real")
    jacobian = jax.jacobian(lambda x: game.show(state, x, key).reshape(N, -1) @ weights)(hand.real)
    np.testing.assert_allclose(metrics["r1"], jnp.square(jacobian).sum() / N, rtol=1e-4)


def test_instance_noise_moves_the_point_alone():
    """The noise is added, so that the gradient by the example is that at the noisy one."""
    game, state, hand, _ = game_of(**{"penalties.r1": True, "instance_noise": 0.5, "discriminator.hidden": (5,),
                                      "discriminator.activation": "tanh"})
    shown = game.show(state, hand.real, stream(stream(KEY, "show"), "real"))
    params, variables = state.params["discriminator"], state.variables["discriminator"]

    def at(x):
        return r1(lambda x: game.players.judge(params, variables, x, None)[0].logits, x, x, KEY).mean()

    value = game.discriminator_value(params, state, hand, KEY)[1][0]["r1"]
    np.testing.assert_allclose(value, at(shown), rtol=1e-5)
    assert abs(value / at(hand.real) - 1) > 0.01
