"""Samples of an averaged generator: with which statistics of batch norm, and of which checkpoints."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gen
from gen.data import Spec
from gen.errors import UserError
from gen.families import gan
from gen.families.gan.players import build
from gen.families.gan.sampling import AVERAGED, STATISTICS, pooled
from gen.storage.checkpoints import Checkpoints
from gen.training import loop
from tests.helpers import assert_close, gan_config

POINTS = Spec((2,), 8, "real")
BATCH = 512


def made(statistics: str, **more):
    """The family and a state whose averaged weights are three times those that train; batch norm after one layer."""
    settings = {"critic_steps": 1, "generator__hidden": (6,), "latents": 3, "train__batch_size": BATCH} | more
    family = gan.make(gan_config(generator_statistics=statistics, **settings), POINTS)
    batch = {"x": jax.random.normal(jax.random.key(1), (BATCH, 2)), "label": jnp.zeros(BATCH, int)}
    state, _ = jax.jit(family.update)(family.init(jax.random.key(0), batch), batch, jax.random.key(2))
    kernel = state.params["generator"]["decoder"]["MLP_0"]["Dense_0"]
    wide = jax.tree.map(lambda leaf: 3.0 * leaf, kernel)
    state.ema["generator"]["decoder"]["MLP_0"]["Dense_0"] = wide
    return family, state, wide


def statistics_of(tree):
    return tree["batch_stats"]["decoder"]["MLP_0"]["BatchNorm_0"]


@pytest.mark.slow
def test_statistics_are_averaged_as_the_weights_are():
    """One step of 16 images at a half-life of 16 images: the mean of before and after."""
    family = gan.make(gan_config(ema_half_life=16.0, critic_steps=1), POINTS)
    batch = {"x": jax.random.normal(jax.random.key(1), (16, 2)), "label": jnp.zeros(16, int)}
    before = family.init(jax.random.key(0), batch)
    after, _ = jax.jit(family.update)(before, batch, jax.random.key(2))
    middle = jax.tree.map(lambda a, b: (a + b) / 2, before.variables["generator"], after.variables["generator"])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), after.ema[AVERAGED], middle)
    assert statistics_of(after.ema[AVERAGED])["mean"].any()


@pytest.mark.slow
def test_standing_statistics_are_those_of_the_weights_that_draw():
    """Of W z + b with z ~ N(0, I): mean b, variance the squared norm of W's columns; the layer's own are a ninth."""
    family, state, layer = made("standing")
    found = statistics_of(family.late[AVERAGED](state))
    variance = jnp.square(layer["kernel"]).sum(0)
    np.testing.assert_allclose(found["var"], variance, rtol=0.06)
    np.testing.assert_allclose(found["mean"], layer.get("bias", 0.0), atol=0.06 * np.sqrt(variance.max()))


@pytest.mark.slow
def test_each_choice_draws_with_its_own_statistics():
    z = jax.random.normal(jax.random.key(4), (BATCH, 3))
    players = build(gan_config(generator__hidden=(6,), latents=3), POINTS)
    draws = {}
    for name in STATISTICS:
        family, state, _ = made(name)
        draws[name] = family.methods["decode"](state, z)
    held = {"averaged": state.ema[AVERAGED], "running": state.variables["generator"],
            "standing": family.late[AVERAGED](state)}
    for name, variables in held.items():
        expected = players.generate(state.ema["generator"], variables, z, None, train=False)[0]
        np.testing.assert_allclose(draws[name], expected, rtol=1e-5, atol=1e-6, err_msg=name)
    own, _ = players.generate(state.ema["generator"], state.variables["generator"], z, None, train=True)
    np.testing.assert_array_equal(draws["batch"], own)
    assert len({array.tobytes() for array in map(np.asarray, draws.values())}) == 4


@pytest.mark.slow
def test_a_few_samples_of_batch_statistics_are_joined_by_others():
    """One latent alone would be normalised to the same picture whatever it is."""
    family, state, _ = made("batch")
    few = [family.methods["decode"](state, jnp.full((1, 3), value)) for value in (-1.0, 1.0)]
    assert few[0].shape == (1, 2) and np.abs(few[0] - few[1]).max() > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("name", STATISTICS)
def test_every_choice_draws_labels_and_is_evaluated(name):
    family, state, _ = made(name, conditioning__name="projection", generator__conditioning="batch_norm")
    batch = {"x": jnp.ones((4, 2)), "label": jnp.arange(4)}
    assert all(np.isfinite(values).all() for values in family.evaluate(state, batch, jax.random.key(0)).values())
    assert family.sample(state, jax.random.key(0), 5, jnp.arange(5)).shape == (5, 2)


def test_pooled_statistics_are_those_of_all_examples():
    scale = jnp.arange(1.0, 6)[:, None, None]
    x = scale * jax.random.normal(jax.random.key(0), (5, 7, 3)) + scale
    found = pooled({"batch_stats": {"layer": {"mean": x.mean(1), "var": x.var(1)}}})["batch_stats"]["layer"]
    np.testing.assert_allclose(found["mean"], x.mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(found["var"], x.var((0, 1)), rtol=1e-5)


def test_an_unknown_choice_is_one_line():
    with pytest.raises(UserError, match="config.generator_statistics"):
        gan.make(gan_config(generator_statistics="moving"), POINTS)


def test_a_generator_without_batch_norm_or_average_keeps_no_statistics():
    for options in ({"generator__batch_norm": False}, {"ema_half_life": 0.0}):
        family = gan.make(gan_config(**options), POINTS)
        state = jax.eval_shape(family.init, jax.random.key(0), {"x": jnp.zeros((2, 2)), "label": jnp.zeros(2, int)})
        assert AVERAGED not in state.ema


@pytest.mark.slow
def test_checkpoints_of_before_the_statistics_were_averaged(tmp_path):
    """They load with standing statistics of their averaged weights, go on, and may choose others."""
    assert loop.train(gan_config(), tmp_path / "now") == "finished"
    run = gen.load(tmp_path / "now")
    then = tmp_path / "then"
    then.mkdir()
    description = json.loads((tmp_path / "now" / "config.json").read_text())
    del description["config"]["generator_statistics"]
    (then / "config.json").write_text(json.dumps(description))
    with Checkpoints(then / "checkpoints", keep=1) as writer:
        writer.save(run.step, run.state.replace(ema={"generator": run.state.ema["generator"]}))
    again = gen.load(then)
    assert_close(again.state.ema[AVERAGED], run.program.family.late[AVERAGED](run.state))
    assert_close(again.state.replace(ema={}), run.state.replace(ema={}))
    shutil.rmtree(tmp_path / "now")
    longer = gan_config(train__steps=16, generator_statistics="standing")
    assert loop.train(longer, then) == "finished"
    assert gen.load(then).step == 16
