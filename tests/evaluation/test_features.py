import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from gen import evaluation
from gen.data import Dataset, Spec, load
from gen.errors import UserError
from gen.evaluation import EVALUATORS, Subject, classifier, classifiers, features
from gen.evaluation.comparison import named, word

STEPS = 120
DIGITS = ConfigDict({"data": {"name": "digits", "range": "symmetric", "binarize": "none"}})
MNIST, SPEC = {"name": "mnist"}, Spec((28, 28, 1), 10, "unit")


@pytest.fixture(scope="module")
def digits():
    return load(DIGITS.data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Classifiers: that of digits, trained for some seconds."""
    folder = tmp_path_factory.mktemp("classifiers")
    assert classifiers.train_and_save({"name": "digits"}, folder / "digits", steps=STEPS) == 0
    return str(folder)


def real(dataset, config=DIGITS.data, split="train", n=0):
    return np.concatenate(list(features.real_examples(dataset, config, split, n)))


@pytest.mark.slow
def test_trained_classifier(folder, digits, capsys):
    model = classifiers.load(DIGITS.data, digits.spec, folder)
    facts = json.loads((Path(folder) / "digits/facts.json").read_text())
    assert facts["test_accuracy"] == classifier.accuracy(model, digits.test["x"], digits.test["label"]) > 0.8
    assert facts["steps"] == STEPS and facts["test_images"] == 296
    written = (Path(folder) / "digits/weights.npz").stat().st_mtime_ns
    classifiers.train_and_save({"name": "digits"}, f"{folder}/digits", steps=1)
    assert "holds a classifier already" in capsys.readouterr().out
    assert (Path(folder) / "digits/weights.npz").stat().st_mtime_ns == written
    vectors, logits = classifier.outputs(model, np.float32(digits.train["x"]) / 255)
    assert vectors.shape == (1_501, 128) and logits.shape == (1_501, 10)
    assert np.sqrt(np.square(vectors).mean()) == pytest.approx(1, rel=1e-3)


@pytest.mark.slow
def test_outputs_do_not_depend_on_the_chunk(folder, digits, monkeypatch):
    model, x = classifiers.load(DIGITS.data, digits.spec, folder), np.float32(digits.test["x"][:30]) / 255
    whole = classifier.outputs(model, x)
    monkeypatch.setattr(classifier, "CHUNK", 7)
    for one, other in zip(whole, classifier.outputs(model, x), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_shifts_move_the_image_within_its_border():
    x = jnp.zeros((200, 7, 7, 1), jnp.uint8).at[:, 3, 3].set(9)
    moved = np.asarray(classifier.shifted(x, jax.random.key(0)))
    assert (moved.sum((1, 2, 3)) == 9).all()
    places = np.argwhere(moved)[:, 1:3] - 3
    assert {tuple(place) for place in places} == {(i, j) for i in range(-2, 3) for j in range(-2, 3)}


def test_missing_and_broken_classifiers_name_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="train it with `python scripts/train_classifier.py --dataset=mnist`"):
        classifiers.load(MNIST, SPEC)
    with pytest.raises(UserError, match=f"--dataset=mnist --out={tmp_path}/mnist`"):
        classifiers.load(MNIST, SPEC, tmp_path)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist/weights.npz").write_bytes(b"PK broken")
    with pytest.raises(UserError, match="weights.npz cannot be read.*--dataset=mnist") as error:
        classifiers.load(MNIST, SPEC, tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_where_no_classifier_can_be_kept_is_said_before_it_trains(tmp_path, monkeypatch):
    monkeypatch.setattr(classifiers, "train", lambda *args, **options: pytest.fail("trained"))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="the classifier cannot be written"):
        classifiers.train_and_save({"name": "digits"}, tmp_path / "file", 3)


def test_check_before_training(folder, digits):
    fid = {"features": "lenet", "classifiers": folder}
    config = ConfigDict({"data": {"name": "digits"}, "evaluators": {"fid": fid}})
    evaluation.check(config, digits)
    ring = {"name": "ring", "examples": 10}
    evaluation.check(ConfigDict({"data": ring, "evaluators": {"modes": {"samples": 10}}}), load(ring))
    with config.unlocked():
        config.data.name = "stacked_mnist"
    stacked = Dataset(Spec((28, 28, 3), 1_000, "unit"), {}, {})
    with pytest.raises(UserError, match="no classifier of 'mnist'"):
        evaluation.check(config, stacked)
    config.evaluators.fid.features = "raw"
    evaluation.check(config, stacked)


def test_classifiers_need_images_of_their_shape(folder):
    ring = {"name": "ring", "examples": 10}
    with pytest.raises(UserError, match="has points.*features=raw"):
        features.extractor("lenet", load(ring), ring, folder)
    with pytest.raises(UserError, match="kind of features 'lenett'.*'lenet'"):
        features.extractor("lenett", load(ring), ring, folder)
    with pytest.raises(UserError, match="images with labels"):
        classifier.train(load(ring))
    polygons = load({"name": "polygons", "examples": 10, "test_examples": 10})
    with pytest.raises(UserError, match=r"of images \(8, 8, 1\), 'digits' has \(28, 28, 1\)"):
        features.extractor("lenet", polygons, {"name": "digits"}, folder)


@pytest.mark.parametrize("scale", ["unit", "symmetric"])
def test_features_do_not_depend_on_the_range(folder, scale):
    config = {"name": "digits", "range": scale, "binarize": "none"}
    dataset = load(config)
    model = classifiers.load(config, dataset.spec, folder)
    expected, _ = classifier.outputs(model, np.float32(dataset.test["x"]) / 255)
    x = np.float32(dataset.test["x"]) / 255 if scale == "unit" else np.float32(dataset.test["x"]) / 127.5 - 1
    np.testing.assert_allclose(features.extractor("lenet", dataset, config, folder)(x), expected, atol=1e-3)


@pytest.mark.slow
def test_real_examples_are_the_split_in_random_order(digits):
    x = real(digits)
    stored = np.float32(digits.train["x"]) / 127.5 - 1
    assert x.shape == stored.shape and not np.allclose(x, stored)
    np.testing.assert_allclose(np.sort(x.reshape(len(x), -1) @ np.arange(64)),
                               np.sort(stored.reshape(len(x), -1) @ np.arange(64)), atol=1e-3)
    np.testing.assert_array_equal(real(digits), x)
    assert len(real(digits, n=10)) == 10 and len(real(digits, split="test", n=10_000)) == 296


def test_comparisons_have_a_real_row_and_their_protocol(folder, digits):
    x = real(digits, split="train", n=300)
    found = {}
    for noise in (0.0, 1.0):
        noisy = np.float32(np.clip(x + noise * np.random.default_rng(0).normal(size=x.shape), -1, 1))
        for name in ("fid", "kid", "prdc"):
            subject = Subject(lambda n, noisy=noisy: noisy[:n], digits, DIGITS)
            found[name, noise] = EVALUATORS[name](subject, samples=300, classifiers=folder)
    assert set(found["fid", 0.0]) == {"fid_lenet_300_test", "fid_lenet_300_test_real"}
    assert set(found["prdc", 0.0]) >= {"precision_lenet_300_test", "coverage_lenet_300_test_real"}
    for name, worse in (("fid", 1), ("kid", 1), ("prdc", -1)):
        first = next(iter(found[name, 0.0]))
        assert found[name, 0.0][first] == pytest.approx(found[name, 0.0][f"{first}_real"], abs=1e-4)
        assert worse * found[name, 1.0][first] > worse * found[name, 0.0][first]


def test_comparison_of_points_by_their_raw_values():
    config = ConfigDict({"data": {"name": "ring", "examples": 1_000, "test_examples": 1_000}})
    dataset = load(config.data)
    found = EVALUATORS["fid"](Subject(lambda n: dataset.test["x"][:n] + 3, dataset, config), 1_000, features="raw")
    assert found["fid_raw_1k_test"] == pytest.approx(18, rel=1e-4)
    assert found["fid_raw_1k_test_real"] < 0.02


def test_reference_may_be_the_training_split(digits):
    found = EVALUATORS["fid"](Subject(lambda n: real(digits)[:n], digits, DIGITS), 1_000, "train", "raw")
    assert set(found) == {"fid_raw_1k_train", "fid_raw_296_train_real"}


def test_real_features_are_computed_once(digits, monkeypatch):
    calls = []
    monkeypatch.setitem(features.FEATURES, "raw", lambda *_: calls.append(1) or (lambda x: x.reshape(len(x), -1)))
    other = load(DIGITS.data)
    for dataset in (other, other, load(DIGITS.data)):
        features.real_features(dataset, DIGITS.data, "test", 7, "raw", "")
    assert len(calls) == 2


@pytest.mark.parametrize(("value", "text"), [(10_000, "10k"), (25_600, "25600"), (1_000, "1k"), (0, "0"), ("x", "x")])
def test_names(value, text):
    assert word(value) == text
    assert named({"fid": 1.0}, "lenet", value) == {f"fid_lenet_{text}": 1.0}
