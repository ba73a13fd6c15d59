"""A trained run as its users see it: loading, sampling, encoding; what is wrong is one line."""

import json

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

import gen
from gen import data
from gen.errors import UserError
from gen.figures.latents import slerp
from gen.schema import complete
from gen.training import loop
from tests.accelerator.models import MODELS
from tests.helpers import gan_config, untrained, vae_config, vqvae_config


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("vae")
    loop.train(vae_config(), workdir)
    return gen.load(workdir)


@pytest.mark.slow
def test_samples_are_in_data_units_and_repeat_with_the_seed(vae):
    samples = vae.sample(9, seed=1)
    assert samples.shape == (9, 8, 8, 1) and samples.min() >= 0 and samples.max() <= 1
    np.testing.assert_array_equal(samples, vae.sample(9, seed=1))
    assert not np.array_equal(samples, vae.sample(9, seed=2))


@pytest.mark.slow
def test_encode_decode_reconstruct(vae):
    x = vae.decoded(data.load(vae.config.data).test)["x"][:5]
    posterior = vae.encode(x)
    assert posterior.loc.shape == (5, 2)
    np.testing.assert_allclose(vae.reconstruct(x), vae.decode(posterior.loc), atol=1e-6)


def test_pixels_are_decoded_and_other_numbers_refused(vae):
    pixels = data.load(vae.config.data).test["x"][:4]
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(vae.encode(pixels).loc, vae.encode(np.float32(pixels) / 255).loc, atol=1e-6)
    np.testing.assert_allclose(vae.reconstruct(pixels), vae.reconstruct(np.float32(pixels) / 255), atol=1e-6)


@pytest.mark.slow
def test_a_conditional_run_takes_a_label_for_each_example_or_for_all(tmp_path):
    loop.train(vae_config(conditional=True, train__steps=2), tmp_path)
    run = gen.load(tmp_path)
    x = run.decoded(data.load(run.config.data).test)["x"][:3]
    each = run.reconstruct(x, np.array([1, 1, 4]))
    np.testing.assert_allclose(each[:2], run.reconstruct(x[:2], 1), atol=1e-6)
    z = run.encode(x, np.array([1, 1, 4])).loc
    np.testing.assert_allclose(each, run.decode(z, np.array([1, 1, 4])), atol=1e-6)
    assert np.abs(each[2] - run.reconstruct(x[2:], 1)[0]).max() > 1e-4
    with pytest.raises(UserError, match="no label 10"):
        run.decode(z, np.array([0, 1, 10]))


@pytest.mark.parametrize("call, said", [
    (lambda run: run.sample(0), "number of samples = 0"),
    (lambda run: run.encode(np.zeros((8, 8, 1), np.float32)), r"Examples of shape \(8, 8, 1\).* \(n, 8, 8, 1\)"),
    (lambda run: run.reconstruct(np.zeros((3, 28, 28, 1), np.float32)), r"shape \(3, 28, 28, 1\)"),
    (lambda run: run.decode(np.zeros((3, 5), np.float32)), r"Latents of shape \(3, 5\): this model has \(n, 2\)"),
    (lambda run: run.decode(np.zeros(2, np.float32)), r"Latents of shape \(2,\)"),
    (lambda run: run.interpolate(0, 3), "number of paths = 0"),
    (lambda run: run.interpolate(2, 1), "examples of a path = 1: at least 2"),
])
def test_wrong_shapes_and_counts_are_one_line(vae, call, said):
    with pytest.raises(UserError, match=said) as error:
        call(vae)
    assert "\n" not in str(error.value)


def test_methods_take_counts(vae):
    z = vae.method("latents", jax.random.key(3), 4)
    np.testing.assert_array_equal(z, vae.program.family.methods["latents"](vae.state, jax.random.key(3), 4))
    batch = vae.decoded({name: part[:5] for name, part in data.load(vae.config.data).test.items()})
    assert vae.method("log_weights", batch, jax.random.key(0), k=7).shape == (7, 5)


@pytest.mark.slow
def test_paths_of_a_conditional_model_have_a_label_each(tmp_path):
    loop.train(vae_config(conditional=True, train__steps=2), tmp_path)
    run = gen.load(tmp_path)
    paths, labels = run.interpolate(12, 2, seed=1), np.repeat(np.r_[0:10, 0:2], 2)
    a, b = np.split(run.method("latents", jax.random.key(1), 24), 2)
    np.testing.assert_allclose(paths, run.decode(np.stack([a, b], 1).reshape(24, 2), labels), atol=1e-5)
    a, b = np.split(run.method("latents", jax.random.key(0), 4), 2)
    ends = run.interpolate(2, 2, label=4)
    np.testing.assert_allclose(ends, run.decode(np.stack([a, b], 1).reshape(4, 2), 4), atol=1e-5)
    with pytest.raises(UserError, match=r"Labels of shape \(2,\): give one, or one for each of the 3 examples"):
        run.decode(np.zeros((3, 2), np.float32), np.array([1, 2]))


@pytest.mark.slow
def test_a_vae_gan_has_paths_and_a_vqvae_says_that_it_has_none(tmp_path):
    run = untrained(complete(ConfigDict(MODELS["vaegan"]), {}), tmp_path)
    z = run.method("latents", jax.random.key(5), 2)
    np.testing.assert_allclose(run.interpolate(1, 3, seed=5)[[0, 2]], run.decode(z), atol=1e-5)
    with pytest.raises(UserError, match="A vqvae has no latents between which"):
        untrained(vqvae_config(), tmp_path).interpolate(1, 3)


@pytest.mark.slow
def test_a_gan_has_no_encoder_and_says_so(tmp_path):
    loop.train(gan_config(train__steps=2), tmp_path)
    run = gen.load(tmp_path)
    assert run.sample(3).shape == (3, 2)
    with pytest.raises(UserError, match="A gan has no method 'encode'. There are: .*discriminate"):
        run.encode(np.zeros((1, 2), np.float32))


@pytest.mark.slow
def test_interpolation_decodes_paths_between_latents_drawn_with_the_seed(vae):
    """Each path begins and ends at a sample, and lies on a great circle in between."""
    paths = vae.interpolate(2, 3, seed=1).reshape(2, 3, 8, 8, 1)
    z = vae.program.family.methods["latents"](vae.state, jax.random.key(1), 4)
    np.testing.assert_allclose(paths[:, 0], vae.decode(z[:2]), atol=1e-5)
    np.testing.assert_allclose(paths[:, 2], vae.decode(z[2:]), atol=1e-5)
    np.testing.assert_allclose(paths[:, 1], vae.decode(slerp(z[:2], z[2:], 0.5)), atol=1e-5)
    with pytest.raises(UserError, match="trained without labels"):
        vae.interpolate(1, 2, label=10)


def test_a_folder_without_a_run_is_one_line(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        gen.load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        gen.load(tmp_path)


def test_a_missing_checkpoint_is_one_line(vae, tmp_path):
    with pytest.raises(UserError, match="step 7"):
        gen.load(vae.workdir, 7)
    (tmp_path / "config.json").write_text((vae.workdir / "config.json").read_text())
    with pytest.raises(UserError, match="No checkpoint"):
        gen.load(tmp_path)


def test_config_json_says_with_what_it_was_made(vae):
    described = json.loads((vae.workdir / "config.json").read_text())
    assert described["spec"] | {"label_frequencies": []} == {
        "shape": [8, 8, 1], "classes": 10, "range": "unit", "label_frequencies": [], "class_names": []}
    encoder = {"name": "mlp", "hidden": [8], "activation": "relu", "batch_norm": False, "kernel_init": "lecun_normal"}
    assert described["config"]["encoder"].items() >= encoder.items()


@pytest.mark.slow
def test_a_run_from_before_a_key_came_is_read_with_its_default(tmp_path):
    loop.train(vae_config(train__steps=2), tmp_path)
    path = tmp_path / "config.json"
    described = json.loads(path.read_text())
    del described["config"]["mesh"], described["config"]["train"]["on_nan"], described["config"]["kl_weight"]
    path.write_text(json.dumps(described))
    run = gen.load(tmp_path)
    assert (run.config.mesh.data, run.config.train.on_nan, run.config.kl_weight) == (0, "stop", 1)
    assert run.sample(3).shape == (3, 8, 8, 1)
