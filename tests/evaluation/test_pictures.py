"""Pictures of a decoder whose tiles are known, and which models have which pictures."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.data import Dataset, Spec, load
from gen.evaluation import Subject, layers, pictures
from gen.figures.grids import load_png
from gen.figures.latents import manifold_latents
from gen.training.recorder import evaluation_subject
from tests.helpers import untrained, vae_config

SHAPE = (64, 64, 1)
RNG = np.random.default_rng(0)
TEST = {"x": RNG.integers(0, 256, (40, *SHAPE), dtype=np.uint8), "label": np.arange(40, dtype=np.int32) % 3}
MEANS = np.float32(RNG.normal(size=(40, 3)) * [0.1, 2.0, 1.0])


class State(NamedTuple):
    """All that the pictures read of a TrainState."""

    key: Any


def decode(state, z):
    """Tiles of one brightness, sigmoid(z_1)."""
    return jnp.broadcast_to(jax.nn.sigmoid(z[:, 1])[:, None, None, None], (len(z), *SHAPE))


def subject(latents=3, shape=SHAPE, without=()):
    def code(state, x):
        return jnp.asarray(MEANS[:, :latents])

    methods = {"code": code, "decode": decode, "reconstruct": lambda state, x: 1 - x}
    methods = {name: method for name, method in methods.items() if name not in without}
    config = vae_config(data__binarize="none")
    return Subject(None, Dataset(Spec(shape, 3, "unit"), {}, TEST), config, State(jax.random.key(0)), methods)


@pytest.fixture(scope="module")
def drawn():
    return pictures.draw(subject()).pictures


def test_latents_are_ordered_by_their_activity():
    """Wherever they are: a mean far from 0 that is the same for all examples says nothing of them."""
    np.testing.assert_array_equal(pictures.by_activity(jnp.asarray(MEANS) + jnp.array([50.0, 0.0, 0.0])), [1, 2, 0])


@pytest.mark.slow
def test_the_first_row_of_the_traversals_moves_the_most_informative_latent(drawn):
    row = drawn["traversals"][34, 34::66, 0] / 255
    np.testing.assert_allclose(row, jax.nn.sigmoid(pictures.VALUES), atol=0.01)
    below = drawn["traversals"][34 + 66, 34::66, 0] / 255
    np.testing.assert_allclose(below, jax.nn.sigmoid(MEANS[0, 1]), atol=0.01)


def test_interpolations_lead_from_one_posterior_mean_to_another(drawn):
    for row in range(pictures.PATHS):
        ends = drawn["interpolation"][34 + 66 * row, [34, 34 + 66 * (pictures.STEPS - 1)], 0] / 255
        np.testing.assert_allclose(ends, jax.nn.sigmoid(MEANS[[row, row + pictures.PATHS], 1]), atol=0.01)


def test_reconstructions_stand_beside_their_inputs(drawn):
    tile = drawn["reconstructions"][6:70, 6:70]
    np.testing.assert_array_equal(tile, TEST["x"][0])
    np.testing.assert_array_equal(drawn["reconstructions"][6:70, 71:135], 255 - TEST["x"][0])


@pytest.mark.slow
def test_two_latents_have_a_manifold_that_the_report_can_read(tmp_path):
    shown = pictures.write(subject(latents=2), tmp_path)
    tiles = load_png(tmp_path / "manifold.png")[32::64, 32::64, 0] / 255
    np.testing.assert_allclose(tiles.ravel(), jax.nn.sigmoid(manifold_latents(pictures.SIDE)[:, 1]), atol=0.01)
    files = {path.stem for path in (tmp_path / "pictures").iterdir()}
    assert files | {"manifold"} == shown.keys()
    assert files == {"interpolation", "posterior", "reconstructions", "traversals"}


def test_models_have_the_pictures_that_their_methods_allow(drawn):
    assert drawn.keys() == {"interpolation", "posterior", "reconstructions", "traversals"}
    assert pictures.draw(subject(without=("code",))).pictures.keys() == {"reconstructions"}
    assert pictures.draw(subject(without=("code", "reconstruct"))).pictures == {}
    assert pictures.draw(subject(shape=(2,))).pictures == {}


class Stack:
    """Three layers of one latent; p draws 10 times the layer's number, plus noise of scale t that follows the key."""

    def by_layer(self, state, z):
        return jnp.split(z, 3, axis=-1)

    def complete(self, state, key, z, layers, temperature=1.0):
        warmth = jnp.asarray(temperature) * jnp.ones(3)
        drawn = jnp.array([10.0, 20.0, 30.0]) + warmth * jax.random.uniform(key, z.shape)
        return jnp.where(jnp.arange(3) >= 3 - layers, z, drawn)

    def methods(self):
        return {"by_layer": self.by_layer, "complete": self.complete, "code": lambda state, x: jnp.tile(x[:, 0, 0], 3),
                "latents": lambda state, key, n: jnp.tile(jnp.array([1.0, 2.0, 3.0]), (n, 1)),
                "decode": lambda state, z: jnp.broadcast_to(z[:, :, None, None] / 255, (len(z), 3, 8, 1))}


@pytest.mark.slow
def test_a_conditional_vae_has_pictures(tmp_path):
    run = untrained(vae_config(conditional=True, latents=2), tmp_path)
    dataset = load(run.config.data)
    found = pictures.draw(evaluation_subject(run.program, run.state, dataset, run.config))
    assert {"reconstructions", "traversals", "manifold"} <= found.pictures.keys()


@pytest.mark.slow
def test_pictures_of_layers_hold_the_upper_ones_and_move_one():
    """An image has the three latents as the brightness of its rows."""
    config, test = vae_config(data__binarize="none"), {"x": np.full((8, 3, 8, 1), 200, np.uint8)}
    stacked = Subject(None, Dataset(Spec((3, 8, 1), 0, "unit"), {}, test), config, State(jax.random.key(0)),
                      Stack().methods())
    rows = {}

    def grid(images, rows_):
        rows[len(rows)] = np.asarray(images).reshape(rows_, 8, 3, 8)[..., 0]
        return images[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "image_grid", lambda images, rows: grid(images, rows))
        layers.draw(stacked, {"x": jnp.float32(test["x"]) / 255})
    top, each, warm = rows.values()
    np.testing.assert_array_equal(top[:, 0], [[200] * 3, [10, 20, 1], [10, 1, 1], [1, 1, 1]])
    assert (each[0, :, :2] == [10, 20]).all() and (each[1, :, [0, 2]].T == [10, 3]).all()
    assert (each[2, :, 1:] == [2, 3]).all() and warm.shape == (4, 8, 3)


def test_layers_that_are_shown_begin_and_end_with_the_first_and_last():
    assert layers.shown(3).tolist() == [1, 2, 3] and layers.shown(45).tolist() == [1, 10, 19, 27, 36, 45]
