"""Training images that are moved: by how much, how often, and the same of resident and streamed data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.data import decoder, load, moves
from gen.errors import UserError
from gen.storage import record
from gen.training import program
from tests.helpers import gan_config, vae_config

KEY = jax.random.key(0)
MOVED = {"data__flip": True, "data__crop_padding": 1}


def test_half_of_the_images_are_mirrored_left_to_right():
    x = jnp.broadcast_to(jnp.arange(12, dtype=jnp.uint8).reshape(1, 2, 3, 2), (4_000, 2, 3, 2))
    found = np.asarray(moves.flipped(x, KEY))
    mirrored = (found == np.asarray(x)[:, :, ::-1]).all((1, 2, 3))
    assert (mirrored | (found == np.asarray(x)).all((1, 2, 3))).all()
    assert abs(mirrored.mean() - 0.5) < 5 * np.sqrt(0.25 / 4_000)


def test_crops_are_all_windows_of_the_framed_image_and_equally_often():
    """3x4 images with a frame of 1: nine places, each of which shows the image shifted by -1, 0 or 1 over black."""
    image, n = np.arange(1, 25, dtype=np.uint8).reshape(3, 4, 2), 9_000
    found = np.asarray(moves.cropped(jnp.broadcast_to(image, (n, 3, 4, 2)), KEY, 1))
    framed = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    windows = [framed[i:i + 3, j:j + 4] for i in range(3) for j in range(3)]
    counts = [int((found == window).all((1, 2, 3)).sum()) for window in windows]
    assert sum(counts) == n and np.abs(np.array(counts) - n / 9).max() < 5 * np.sqrt(n / 9)


def test_training_alone_moves_images_and_the_draws_of_pixels_stay():
    data = {"name": "digits", "binarize": "dynamic"}
    raw = {"x": jnp.asarray(load(data).train["x"][:32])}
    plain = decoder(data)(raw, KEY)["x"]
    np.testing.assert_array_equal(decoder(data | {"flip": True, "crop_padding": 2})(raw, KEY)["x"], plain)
    np.testing.assert_array_equal(decoder(data, training=True)(raw, KEY)["x"], plain)
    grey = {"name": "digits", "range": "symmetric", "crop_padding": 2}
    black = decoder(grey, training=True)({"x": jnp.full((50, 8, 8, 1), 255, jnp.uint8)}, KEY)["x"]
    assert set(np.unique(black)) == {-1.0, 1.0}


@pytest.mark.parametrize("key", MOVED)
def test_points_cannot_be_moved(key):
    config = gan_config(**{key: MOVED[key]})
    with pytest.raises(UserError, match=f"{key.replace('__', '.')}=.* moves images; 'ring' has points"):
        program.make(config, load(gan_config().data).spec)


@pytest.mark.slow
def test_a_step_moves_images_and_an_evaluation_does_not():
    config, plain = vae_config(**MOVED), vae_config()
    dataset = load(config.data)
    made, usual = (program.make(one, dataset.spec) for one in (config, plain))
    data = program.on_device({key: values[:64] for key, values in dataset.train.items()})
    state = made.init(0, data)
    moved, still = (one.step(state, {key: values[:16] for key, values in data.items()}) for one in (made, usual))
    assert moved[1]["loss"] != still[1]["loss"]
    np.testing.assert_array_equal(made.evaluate(state, data)["elbo"], usual.evaluate(state, data)["elbo"])


def test_a_run_goes_on_with_its_own_moves_alone(tmp_path):
    """What moves images is part of what a run is."""
    record.start(tmp_path, vae_config(**MOVED), load(vae_config().data).spec, None)
    (tmp_path / "checkpoints" / "2").mkdir(parents=True)
    assert record.differences(tmp_path, vae_config(**MOVED)) == []
    assert record.differences(tmp_path, vae_config(data__flip=True)) == ["data.crop_padding: 1 -> 0"]
