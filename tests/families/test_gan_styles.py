"""Games of generators with styles: path lengths, truncation, mixing; self-supervision by rotations; linear outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.data import Spec
from gen.errors import UserError
from gen.families.gan import path_length, rotations
from gen.families.gan.family import make
from gen.families.gan.players import build
from gen.schema import complete
from tests.helpers import gan_config

KEY, IMAGES = jax.random.key(0), Spec((8, 8, 1), 0, "symmetric")
STYLES = {
    "generator.name": "stylegan2", "generator.width": 2, "generator.largest": 4, "generator.style_width": 6,
    "generator.mapping_depth": 2, "discriminator.name": "stylegan2", "discriminator.width": 2,
    "discriminator.largest": 4, "bounded": False, "latents": 5, "critic_steps": 1, "train.batch_size": 8,
}


def config(**overrides):
    return complete(gan_config(), STYLES | {key.replace("__", "."): value for key, value in overrides.items()})


def started(chosen, spec=IMAGES):
    family = make(chosen, spec)
    examples = {"x": jax.random.normal(KEY, (8, *spec.shape))} | ({"label": jnp.arange(8) % 3} if spec.classes else {})
    return family, jax.jit(family.init)(KEY, examples), examples


def called(family, name, state, *args):
    """A method of the family in one program."""
    return jax.jit(lambda state: family.methods[name](state, *args))(state)


@pytest.mark.slow
def test_path_lengths_are_those_of_the_jacobian():
    """||J_w^T y|| by the whole Jacobian of the images by the styles of all layers."""
    players = build(config(), IMAGES)
    z = players.draw_latents(KEY, 2)
    variables = dict(jax.jit(lambda: players.generator.init(KEY, z, train=True))())
    params = variables.pop("params")
    found = jax.jit(lambda: path_length.lengths(players, params, variables, z, None, KEY))()
    noise = jax.random.normal(KEY, (2, 8, 8, 1)) / 8
    decoder = players.generator.decoder
    jacobian = jax.jit(jax.jacrev(lambda shift: players.generate(params, variables, z, None, shift=shift)[0]))(
        jnp.zeros((2, decoder.style_count, decoder.style_width)))
    for i in range(2):
        gradient = np.einsum("hwc,hwcld->ld", noise[i], jacobian[i, :, :, :, i])
        np.testing.assert_allclose(found[i], np.sqrt((gradient**2).sum(1).mean()), rtol=1e-4)


@pytest.mark.slow
def test_the_penalty_is_due_every_few_steps_and_moves_the_generator():
    steps = {}
    for weight in (0.0, 2.0):
        every = {"path_length__every": 2} if weight else {}
        family, state, batch = started(config(path_length__weight=weight, penalties__r1=False, **every))
        update, found = jax.jit(family.update), []
        for i in range(3):
            state, metrics = update(state, batch, jax.random.key(i))
            found.append(metrics)
        steps[weight] = state, found
    penalised, metrics = steps[2.0]
    assert metrics[0]["path_length_penalty"] > 0 and metrics[1]["path_length_penalty"] == 0
    assert 0 < metrics[0]["path_length"] == metrics[1]["path_length"] < metrics[2]["path_length"]
    assert "path_length" not in steps[0.0][1][0]
    moved = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), penalised.params["generator"],
                         steps[0.0][0].params["generator"])
    assert max(jax.tree.leaves(moved)) > 1e-5


@pytest.mark.slow
def test_samples_can_be_truncated_and_mixed():
    family, state, batch = started(config(generator__noise="none", ema_half_life=100.0))
    state, _ = jax.jit(family.update)(state, batch, KEY)
    whole = called(family, "truncated", state, KEY, 4, 1.0)
    np.testing.assert_allclose(whole, jax.jit(lambda state: family.sample(state, KEY, 4))(state), rtol=0, atol=1e-5)
    assert called(family, "truncated", state, KEY, 4, 0.0).std(0).max() < 1e-5
    z = called(family, "latents", state, KEY, 4)
    mixed = called(family, "mix", state, z, z[::-1], 2)
    assert mixed.shape == whole.shape and jnp.abs(mixed - whole).max() > 1e-4


def test_other_generators_are_truncated_by_their_latents():
    family, state, _ = started(complete(gan_config(), {}), Spec((2,), 0, "real"))
    z = called(family, "latents", state, KEY, 2000, 0.5)
    assert 0.49 < jnp.abs(z).max() <= 0.5
    np.testing.assert_array_equal(called(family, "truncated", state, KEY, 2000, 0.5),
                                  called(family, "decode", state, z))
    assert "mix" not in family.methods


@pytest.mark.slow
def test_labels_are_mapped_for_both_players():
    spec = Spec((8, 8, 1), 3, "symmetric")
    chosen = config(conditioning__name="mapped", conditioning__size=4, conditioning__depth=2)
    family, state, batch = started(chosen, spec)
    assert state.params["discriminator"]["label_mapping"]["layer_1"]["kernel"].shape == (4, 4)
    assert state.params["discriminator"]["features"].keys() == {"kernel", "bias"}
    z = called(family, "latents", state, KEY, 3)
    images = [called(family, "decode", state, z, jnp.full(3, label)) for label in (0, 1)]
    assert jnp.abs(images[0] - images[1]).max() > 1e-3
    logits = [called(family, "discriminate", state, batch["x"], jnp.full(8, label)) for label in (0, 1)]
    assert jnp.abs(logits[0] - logits[1]).max() > 1e-4


@pytest.mark.slow
def test_a_linear_generator_goes_beyond_the_range():
    for bounded, largest in ((True, 1.0), (False, np.inf)):
        players = build(config(bounded=bounded), IMAGES)
        z = players.draw_latents(KEY, 64)
        x, _ = jax.jit(lambda players=players, z=z: players.generator.init_with_output(KEY, z, train=True))()
        assert (jnp.abs(x).max() > 1.0) == (largest > 1.0)


def test_rotations_are_numpys():
    x = np.arange(8 * 4 * 4 * 2, dtype=np.float32).reshape(8, 4, 4, 2)
    images, turns = rotations.turned(jnp.asarray(x))
    np.testing.assert_array_equal(turns, [0, 0, 1, 1, 2, 2, 3, 3])
    for i, k in enumerate(turns):
        np.testing.assert_array_equal(images[i], np.rot90(x[i], k))
    np.testing.assert_array_equal(rotations.turned(jnp.asarray(x[:3]))[1], [0, 1, 2])
    np.testing.assert_allclose(rotations.cross_entropy(jnp.zeros((8, 4)), turns), np.log(4), rtol=1e-6)


@pytest.mark.slow
def test_the_discriminator_learns_rotations():
    """Images brighter at the top: the loss falls below that of a guess, log 4."""
    ramp = jnp.linspace(-1, 1, 8)[:, None, None] * jnp.ones((8, 8, 8, 1))
    chosen = config(rotation__real=1.0, rotation__fake=0.2, penalties__r1=False,
                    discriminator_optimizer__learning_rate=2e-2)
    family, state, _ = started(chosen)
    update, losses = jax.jit(family.update), []
    for i in range(40):
        state, metrics = update(state, {"x": ramp}, jax.random.key(i))
        losses.append(metrics["rotation_loss"])
    assert losses[-1] < 0.7 < np.log(4) * 0.6 < losses[0]
    assert {"rotation.real", "rotation.fake"} <= state.hypers.keys()


def test_what_has_no_styles_or_is_no_image_is_refused():
    with pytest.raises(UserError, match="paths between styles, and config.generator.name='mlp' has none"):
        build(complete(gan_config(), {"path_length.weight": 2.0}), Spec((2,), 0, "real"))
    with pytest.raises(UserError, match="rotation is of square images"):
        build(complete(gan_config(), {"rotation.real": 1.0}), Spec((2,), 0, "real"))
    with pytest.raises(UserError, match="shrink=9 leaves nothing of batches of 8"):
        build(config(path_length__weight=2.0, path_length__shrink=9), IMAGES)
    with pytest.raises(UserError, match="train.batch_size / config.train.microbatches = 2 must be at least 4"):
        build(config(rotation__real=1.0, train__microbatches=4), IMAGES)
    with pytest.raises(UserError, match="first are from config.latent_distribution='uniform'"):
        build(config(generator__mixing=0.9, latent_distribution="uniform"), IMAGES)
    with pytest.raises(UserError, match="second latents without config.codes"):
        build(config(generator__mixing=0.9, codes__continuous=1), IMAGES)
    build(config(generator__mixing=0.9, rotation__real=1.0, train__microbatches=2), IMAGES)


@pytest.mark.parametrize("bias", [True, False])
def test_the_last_layer_of_mapped_labels_has_a_bias_where_it_is_asked_for(bias):
    chosen = config(conditioning__name="mapped", conditioning__size=4, conditioning__depth=1, discriminator_bias=bias)
    family = make(chosen, IMAGES._replace(classes=3))
    examples = {"x": jnp.zeros((8, 8, 8, 1)), "label": jnp.arange(8) % 3}
    features = jax.eval_shape(family.init, KEY, examples).params["discriminator"]["features"]
    assert ("bias" in features) == bias
