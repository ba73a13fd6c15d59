import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from gen.data import decoder, dynamically_binarized, load, to_uint8
from gen.errors import UserError

ALL = np.arange(256, dtype=np.uint8)


def decode(config, x, seed=0):
    return jax.jit(decoder({"name": "digits", **config}))({"x": jnp.asarray(x)}, jax.random.key(seed))["x"]


@pytest.mark.parametrize(("scale", "low"), [("unit", 0.0), ("symmetric", -1.0)])
def test_pixels_to_data_units_and_back(scale, low):
    x = decode({"range": scale}, ALL)
    assert x.dtype == jnp.float32 and x[0] == low and x[255] == 1
    np.testing.assert_allclose(x, low + (1 - low) * ALL / 255, atol=1e-6)
    np.testing.assert_array_equal(to_uint8(x, scale), ALL)


def test_to_uint8_clips_and_rejects_points():
    np.testing.assert_array_equal(to_uint8(jnp.array([-9.0, 0.5, 9.0]), "unit"), [0, 128, 255])
    with pytest.raises(UserError, match="'real'"):
        to_uint8(jnp.zeros(2), "real")


def test_dynamic_binarisation_has_its_documented_probabilities():
    draws = 20_000
    drawn = dynamically_binarized(jnp.tile(jnp.asarray(ALL), (draws, 1)), jax.random.key(0))
    mean = np.asarray(drawn, np.float64).mean(axis=0)
    x = ALL.astype(float)
    p = np.where(x < 128, x / 256, (x + 1) / 256)
    assert np.abs(p - x / 255).max() == pytest.approx(127 / 65280)
    assert mean[0] == 0 and mean[255] == 1
    assert np.abs(mean - p).max() < 5 * np.sqrt(0.25 / draws)
    z = (mean - p)[1:-1] / np.sqrt(p * (1 - p) / draws)[1:-1]
    assert 0.8 < z.std() < 1.2


@pytest.mark.parametrize(("scale", "values"), [("unit", {0.0, 1.0}), ("symmetric", {-1.0, 1.0})])
@pytest.mark.parametrize("binarize", ["dynamic", "static"])
def test_binarised_values(scale, values, binarize):
    config = ConfigDict({"name": "digits", "range": scale, "binarize": binarize})
    raw = load(config).train["x"][:64]
    assert set(np.unique(decode({"range": scale, "binarize": binarize}, raw)).tolist()) == values


def test_dynamic_draws_anew_and_independently():
    x = np.full((4, 50, 50, 1), 128, np.uint8)
    first, again, other = (np.asarray(decode({"binarize": "dynamic"}, x, seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.05
    for lag in (1, 2, 3, 4, 50):
        assert abs(np.corrcoef(first.ravel()[lag:], first.ravel()[:-lag])[0, 1]) < 0.05


def test_decoder_under_vmap():
    """Replicas that share the raw batch but not the key draw their own binarisation."""
    decode = jax.jit(decoder({"name": "digits", "binarize": "dynamic"}))
    keys, x = jax.random.split(jax.random.key(0), 3), jnp.full((5, 3, 3, 1), 128, jnp.uint8)
    together = jax.vmap(decode, in_axes=(None, 0))({"x": x}, keys)["x"]
    for i, key in enumerate(keys):
        np.testing.assert_array_equal(together[i], decode({"x": x}, key)["x"])


def test_static_binarisation_is_fixed_and_bernoulli():
    plain, static = load({"name": "digits"}), load({"name": "digits", "binarize": "static"})
    p, x = plain.train["x"] / 255, static.train["x"]
    assert set(np.unique(x)) == {0, 255}
    assert (x[p == 0] == 0).all() and (x[p == 1] == 255).all()
    for value in np.unique(p)[1:-1]:
        drawn = x[p == value] == 255
        assert abs(drawn.mean() - value) < 5 * np.sqrt(value * (1 - value) / drawn.size)
    np.testing.assert_array_equal(x, load({"name": "digits", "binarize": "static"}).train["x"])
    few = load({"name": "digits", "binarize": "static", "train_examples": 9})
    np.testing.assert_array_equal(few.train["x"], x[:9])
    np.testing.assert_array_equal(few.test["x"], static.test["x"])
    other = load({"name": "digits", "binarize": "static", "binarize_seed": 1})
    assert not np.array_equal(other.train["x"], x)


def test_static_binarisation_is_pinned():
    """Likelihoods compare only on the same binarised pixels: a change of these counts is a change of data set."""
    data = load({"name": "digits", "binarize": "static"})
    assert [int((part["x"] == 255).sum()) for part in (data.train, data.test)] == [29373, 5762]


def test_points_pass_through_and_labels_stay():
    raw = {"x": jnp.array([[3.0, -2.0]]), "label": jnp.array([5])}
    batch = decoder({"name": "ring", "range": "symmetric"})(raw, jax.random.key(0))
    np.testing.assert_array_equal(batch["x"], raw["x"])
    image = {"x": jnp.zeros((1, 2, 2, 1), jnp.uint8), "label": jnp.array([5])}
    assert decoder({"name": "digits"})(image, jax.random.key(0))["label"][0] == 5


def test_spec_of_images():
    spec = load({"name": "digits", "range": "symmetric"}).spec
    assert spec[:3] == ((8, 8, 1), 10, "symmetric")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "mnits"}, "data set 'mnits'.*Did you mean 'mnist'"),
        ({"name": "digits", "range": "symetric"}, "config.data.range 'symetric'.*'symmetric'"),
        ({"name": "digits", "binarize": "statik"}, "config.data.binarize 'statik'.*'static'"),
        ({"name": "ring", "binarize": "dynamic"}, "needs images; 'ring' has points"),
        ({"name": "ring", "mode": 3}, "'ring' has no option 'mode'.*'modes'"),
        ({"name": "digits", "train_examples": 2000}, "train_examples=2000: there are 1501"),
        ({"name": "digits", "train_examples": -1}, "train_examples=-1"),
        ({"name": "mnist", "test_examples": -1}, "test_examples=-1"),
    ],
)
def test_mistakes_in_the_config(config, message):
    with pytest.raises(UserError, match=message) as error:
        load(config)
    assert "\n" not in str(error.value)
    if "option" not in message and "2000" not in message:
        with pytest.raises(UserError, match=message):
            decoder(config)
