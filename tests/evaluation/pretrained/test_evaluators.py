"""Evaluators of a model: names, real rows, what is computed once, what is refused before training."""

import json

import numpy as np
import pytest
from ml_collections import ConfigDict

from gen import evaluation
from gen.data import load
from gen.errors import UserError
from gen.evaluation import EVALUATORS, METRICS, Subject, frechet
from gen.evaluation.features import real_examples
from gen.evaluation.pretrained import evaluators, store, weights
from gen.evaluation.shared import WORK
from gen.schema import complete
from tests.evaluation.pretrained import fake
from tests.evaluation.pretrained.fake import network  # noqa: F401
from tests.helpers import vae_config

DIGITS = ConfigDict({"data": {"name": "digits", "range": "unit", "binarize": "none", "binarize_seed": 0}})
NAMES = sorted(evaluators.SCORES_OF)


def subject(config=DIGITS, noise=0.0):
    dataset = load(config.data)
    rng = np.random.default_rng(0)

    def sample(n):
        x = np.concatenate(list(real_examples(dataset, config.data, "test", n)))
        return np.float32(np.clip(x + noise * rng.normal(size=x.shape), 0, 1))

    return Subject(sample, dataset, config)


@pytest.mark.slow
def test_names_say_the_protocol(network):  # noqa: F811
    one = subject()
    assert set(EVALUATORS["inception_fid"](one, 200)) == {f"fid_inception_tf1_{n}_train{real}" for n, real in (
        (200, ""), (200, "_real"))}
    assert set(EVALUATORS["inception_score"](one, 250, "clean", 5)) == {
        f"{name}_inception_clean_splits5_250{real}" for name in ("is", "is_std") for real in ("", "_real")}
    assert "kid_se_inception_half_pixel_subset50_200_test" in EVALUATORS["inception_kid"](
        one, 200, "test", "half_pixel", 50)
    assert "recall_inception_tf1_k3_100_train" in EVALUATORS["inception_prdc"](one, 200, most=100)
    for name in NAMES:
        for metric in EVALUATORS[name](one, samples=100):
            assert metric.startswith(METRICS[name]), (name, metric)


@pytest.mark.slow
def test_names_of_another_network(network):  # noqa: F811
    one = subject()
    assert set(EVALUATORS["dinov2_fd"](one, 200)) == {f"fd_dinov2-vitl14_pillow_200_train{real}"
                                                      for real in ("", "_real")}
    assert "kd_se_dinov2-vitb14_clean_subset50_200_test" in EVALUATORS["dinov2_kd"](
        one, 200, "test", "clean", "dinov2_vitb14", 50)
    assert "recall_dinov2-vitl14_pillow_k5_100_train" in EVALUATORS["dinov2_prdc"](one, 200, most=100)


@pytest.mark.slow
def test_the_networks_of_a_config_are_apart(network):  # noqa: F811
    config = ConfigDict({**DIGITS, "evaluators": {"inception_score": {}, "dinov2_fd": {}, "dinov2_kd": {}}})
    one = subject(config)
    EVALUATORS["dinov2_fd"](one, 200)
    assert network.wanted[-1] == ("features",)
    before = network.images
    EVALUATORS["dinov2_kd"](one, 200)
    assert network.images == before
    EVALUATORS["inception_score"](one, 200)
    assert network.images > before and network.wanted[-1] == ("logits",)
    folders = {path.parent.name for path in store.data_dir().glob("*/outputs")}
    assert folders == {"inception", "dinov2"}


@pytest.mark.slow
def test_other_weights_are_in_the_name(network, monkeypatch):  # noqa: F811
    monkeypatch.setattr(weights, "load", lambda published: fake.loaded(published, "ab" * 32))
    assert "fid_inception-abababab_tf1_100_train" in EVALUATORS["inception_fid"](subject(), 100)


@pytest.mark.slow
def test_the_distance_is_that_of_the_outputs_of_rounded_samples(network):  # noqa: F811
    one = subject(noise=0.1)
    found = EVALUATORS["inception_fid"](one, 250)
    real = np.stack([fake.outputs(image)[:8] for image in one.dataset.train["x"]])
    x = one.sample(250)
    evaluated = evaluators._OUTPUTS[one.sample]
    (known,) = evaluated.values()
    assert found["fid_inception_tf1_250_train"] == pytest.approx(
        frechet.fid(known.rows["features"], real)["fid"], rel=1e-4)
    assert known.rows["features"].shape == (250, 8) and x.shape == (250, 8, 8, 1)
    assert found["fid_inception_tf1_250_train_real"] < found["fid_inception_tf1_250_train"]


@pytest.mark.slow
def test_samples_are_computed_once_and_real_images_once_and_for_all(network):  # noqa: F811
    config = ConfigDict({**DIGITS, "evaluators": {"inception_fid": {}, "inception_kid": {}, "inception_score": {}}})
    one = subject(config)
    EVALUATORS["inception_fid"](one, 200)
    before = network.images
    EVALUATORS["inception_kid"](one, 200)
    assert network.images == before and network.wanted[-1] == ("features", "logits")
    evaluators.real_images.cache_clear()
    EVALUATORS["inception_fid"](one, 200)
    assert network.images == before


@pytest.mark.slow
def test_parts_that_processes_share_give_the_same_score(network):  # noqa: F811
    """700 samples are two parts of 500, of which 300 do not count; options go from process to process as JSON."""
    x, dataset, shared = np.random.default_rng(0).uniform(size=(1_000, 8, 8, 1)), load(DIGITS.data), []
    helper = Subject(None, dataset, DIGITS, batch=lambda n, i: x[i * 500:(i + 1) * 500])

    def share(name, count, options):
        part = WORK[name](helper, **json.loads(json.dumps(options)))
        shared.append((name, count))
        return [part(i) for i in range(count)]

    found, alone = (EVALUATORS["inception_fid"](Subject(lambda n: x[:n], dataset, DIGITS, share=of), 700)
                    for of in (share, None))
    assert shared == [("outputs", 2)] and found == pytest.approx(alone, rel=1e-5)


@pytest.mark.slow
def test_a_killed_evaluation_of_real_images_goes_on(network):  # noqa: F811
    network.fail_after = 600
    with pytest.raises(KeyboardInterrupt):
        EVALUATORS["inception_fid"](subject(), 100)
    network.images, network.fail_after = 0, None
    found = EVALUATORS["inception_fid"](subject(), 100)
    dataset = load(DIGITS.data)
    assert network.images == len(dataset.train["x"]) - 9 * 64 + 100 + 100
    (folder,) = [place.parent for place in store.data_dir().glob("inception/outputs/*/identity.json")
                 if '"train"' in place.read_text()]
    rows = np.fromfile(folder / "features.float32", np.float32).reshape(-1, 8)
    images = np.concatenate(list(real_examples(dataset, DIGITS.data, "train", 0)))
    expected = np.stack([fake.outputs(np.uint8(np.round(image * 255)))[:8] for image in images])
    np.testing.assert_array_equal(rows, expected)
    assert found["fid_inception_tf1_100_train"] >= 0


@pytest.mark.slow
def test_other_images_have_other_stores(network):  # noqa: F811
    dataset = load(DIGITS.data)
    dataset.train["x"][0, 0, 0] = 9
    evaluators.real_images(dataset, '{"name": "digits", "binarize": "none", "binarize_seed": 0}', "train", 0,
                           "inception", "tf1", ("features",))
    evaluators.real_images(load(DIGITS.data), '{"name": "digits", "binarize": "none", "binarize_seed": 0}', "train", 0,
                           "inception", "tf1", ("features",))
    assert len(list(store.data_dir().glob("inception/outputs/*"))) == 2


def check(config, name, **options):
    config = ConfigDict({**config, "family": "gan", "evaluators": {name: options}})
    evaluation.check_model(config, {}, load(config.data))


@pytest.mark.parametrize("options, message", [
    ({"resize": "bilinear"}, "inception_fid.resize 'bilinear'.*half_pixel"),
    ({"resize": "tf1", "split": "valid"}, "inception_fid.split 'valid'"),
    ({"resize": "tf1", "samples": 1}, "samples = 1: at least 2"),
])
def test_what_is_refused_before_training(network, options, message):  # noqa: F811
    with pytest.raises(UserError, match=message):
        check(DIGITS, "inception_fid", **options)


@pytest.mark.parametrize("options, message", [
    ({"resize": "tf1"}, "dinov2_fd.resize 'tf1'.*pillow"),
    ({"resize": "pillow", "network": "dinov2"}, "dinov2_fd.network 'dinov2'.*dinov2_vit"),
    ({"resize": "pillow", "network": "inception"}, "network inception: score 'fd'"),
])
def test_what_is_refused_of_another_network(network, options, message):  # noqa: F811
    with pytest.raises(UserError, match=message):
        check(DIGITS, "dinov2_fd", **options)


def test_points_are_no_images(network):  # noqa: F811
    with pytest.raises(UserError, match="needs images of 1 or 3 channels"):
        check(ConfigDict({"data": {"name": "ring", "examples": 10}}), "inception_kid", resize="tf1")


def test_absent_weights_name_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path))
    with pytest.raises(UserError, match=r"prepare_weights.py --name=inception.*--from=FILE") as error:
        check(DIGITS, "inception_score", resize="tf1")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_have_ranges(name):
    config = vae_config()
    assert complete(config, {f"evaluators.{name}.samples": "7"}).evaluators[name].samples == 7
    with pytest.raises(UserError, match=f"evaluators.{name}.samples"):
        complete(config, {f"evaluators.{name}.samples": "0"})
