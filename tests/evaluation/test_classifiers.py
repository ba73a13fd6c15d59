"""Classifiers of any labelled images: trained by the command, kept under their name, found by a run's evaluators."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from gen import commands, evaluation
from gen.data import load
from gen.errors import UserError
from gen.evaluation import EVALUATORS, Subject, classifier, classifiers, features, frechet
from tests.helpers import vae_config

STEPS = 60


def bars(path, classes=("lying", "standing"), n=60, seed=0):
    """A folder of grey 12x12 images with a bright bar, horizontal or vertical, in two subfolders."""
    rng = np.random.default_rng(seed)
    for label, name in enumerate(classes):
        (path / name).mkdir(parents=True)
        for i in range(n):
            x = rng.integers(0, 60, (12, 12), dtype=np.uint8)
            x[rng.integers(2, 10)] += 190
            Image.fromarray(x.T if label else x).save(path / name / f"{i:02d}.png")
    return path


def data_of(path, **options) -> ConfigDict:
    return config_of(path, **options).data


def config_of(path, **options) -> ConfigDict:
    known = {"data__name": "folder", "data__path": str(path), "data__size": "12", "data__channels": "1",
             "data__binarize": "none"}
    return vae_config(**known | options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(folder of images, folder of classifiers): that of the images is trained by the command that its absence names.
    """
    images, folder = bars(tmp_path_factory.mktemp("data") / "two bars"), tmp_path_factory.mktemp("classifiers")
    data = data_of(images)
    name = classifiers.name_of(data, load(data).spec)
    overrides = {"data.path": str(images), "data.size": "12", "data.channels": "1"}
    assert commands.train_classifier("folder", overrides, str(folder / name), STEPS, 0, False) == 0
    return images, folder


@pytest.mark.slow
def test_a_folders_classifier_learns_its_classes(trained):
    images, folder = trained
    (kept,) = folder.iterdir()
    facts = json.loads((kept / "facts.json").read_text())
    assert kept.name.startswith("folder-two_bars-") and facts["test_accuracy"] == 1.0
    assert facts["options"]["path"] == str(images) and facts["test_images"] == len(load(data_of(images)).test["x"])
    found = classifiers.load(data_of(images), load(data_of(images)).spec, folder)
    assert found.class_names == ("lying", "standing") and found.shape == (12, 12, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fid", "kid", "prdc"])
def test_the_evaluators_of_a_run_take_it(trained, name):
    images, folder = trained
    config = config_of(images, **{f"evaluators__{name}__samples": "30",
                                  f"evaluators__{name}__classifiers": str(folder)})
    dataset = load(config.data)
    evaluation.check(config, dataset)
    x = np.float32(dataset.train["x"][:30]) / 255
    found = EVALUATORS[name](Subject(lambda n: x[:n], dataset, config), **{
        key: value for key, value in config.evaluators[name].items() if key != "every"})
    model = classifiers.load(config.data, dataset.spec, folder)
    a, b = (classifier.outputs(model, np.float32(part) / 255)[0] for part in (dataset.train["x"][:30],
                                                                              dataset.test["x"]))
    if name == "fid":
        assert found["fid_lenet_30_test"] == pytest.approx(frechet.fid(a, b)["fid"], rel=1e-3)
    assert all("_lenet_30_test" in key for key in found)


@pytest.mark.slow
def test_a_folder_that_moved_keeps_its_classifier_and_another_does_not_take_it(trained, tmp_path):
    images, folder = trained
    moved = shutil.copytree(images, tmp_path / "elsewhere" / images.name)
    data = data_of(moved, data__test_fraction="0.2", data__train_examples="20")
    assert classifiers.load(data, load(data).spec, folder).classes == 2
    for other in (data_of(images, data__size="16"), data_of(bars(tmp_path / "two bars", ("down", "up"), 9))):
        with pytest.raises(UserError, match="no classifier of 'folder-two_bars-.*--dataset=folder .--config.data"):
            classifiers.load(other, load(other).spec, folder)


@pytest.mark.slow
def test_a_classifier_of_other_images_or_classes_is_refused(trained, tmp_path):
    images, folder = trained
    (kept,) = folder.iterdir()
    for other, words in ((data_of(images, data__channels="3"), r"of images \(12, 12, 1\), 'folder' has \(12, 12, 3\)"),
                         (data_of(bars(tmp_path / "b", ("down", "up"), 9)), r"2 classes \(lying, standing\), 'folder' "
                          r"has 2 classes \(down, up\)")):
        dataset = load(other)
        shutil.copytree(kept, tmp_path / "copied" / classifiers.name_of(other, dataset.spec), dirs_exist_ok=True)
        with pytest.raises(UserError, match=words) as error:
            features.reader(dataset, other, str(tmp_path / "copied"))
        assert "--overwrite` trains another" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name, options, words", [
    ("ring", {}, "images with labels"), ("stacked_mnist", {}, "read by the classifier of 'mnist'"),
    ("mnis", {}, "unknown data set 'mnis'.*Did you mean 'mnist'"), ("folder", {}, "config.data.path: has no value"),
    ("digits", {"data.sise": "8"}, "config.data.sise"), ("digits", {"train.steps": "8"}, "config.train"),
])
def test_what_cannot_be_trained_is_one_line(name, options, words, tmp_path):
    with pytest.raises(UserError, match=words) as error:
        commands.train_classifier(name, options, str(tmp_path / "out"), 1, 0, False)
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


@pytest.mark.parametrize("classes", [(), ("one",)])
def test_a_folder_without_two_classes_has_nothing_to_learn(classes, tmp_path):
    path = bars(tmp_path / "images", classes or ("flat",))
    if not classes:
        path = path / "flat"
    with pytest.raises(UserError, match="two classes at least.*subfolders"):
        commands.train_classifier("folder", {"data.path": str(path), "data.size": "8"}, str(tmp_path / "out"), 1, 0,
                                  False)
    with pytest.raises(UserError, match="no labels to learn.*features=raw"):
        features.reader(load(data_of(path)), data_of(path), str(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name, options", [("polygons", {"data.radius": "5"}), ("shapes", {})])
def test_images_that_are_drawn_have_classifiers_by_their_options(name, options, tmp_path):
    few = {"data.examples": "200", "data.test_examples": "60"}
    assert commands.train_classifier(name, options | few | {"data.size": "16"}, str(tmp_path / "out"), 5, 0, False) == 0
    data = {"name": name, "size": 16} | ({"radius": 5.0} if options else {})
    names = {classifiers.name_of(part, load(part | {"examples": 30, "test_examples": 9}).spec)
             for part in (data, data | {"seed": 1}, data | {"size": 20})}
    assert len(names) == 2 and all(text.startswith(f"{name}-") for text in names)


@pytest.mark.slow
def test_a_larger_network_has_a_name_of_its_own(trained, tmp_path):
    """It learns the bars, stands beside the small one, and its features are asked for by name."""
    images, _ = trained
    data = data_of(images)
    dataset = load(data)
    name = classifiers.name_of(data, dataset.spec, "convnet")
    assert name == f"{classifiers.name_of(data, dataset.spec)}-convnet"
    with pytest.raises(UserError, match="--network=convnet"):
        features.convnet(dataset, data, str(tmp_path))
    assert classifiers.train_and_save(data, tmp_path / name, 40, network="convnet") == 0
    facts = json.loads((tmp_path / name / "facts.json").read_text())
    assert facts["network"] == "convnet" and facts["test_accuracy"] > 0.9
    config = ConfigDict({"data": data, "evaluators": {"fid": {"features": "convnet", "classifiers": str(tmp_path)}}})
    evaluation.check(config, dataset)  # which needs no other one
    config.evaluators.fid.features = "lenet"
    with pytest.raises(UserError, match="There is no classifier"):
        evaluation.check(config, dataset)
    found = features.convnet(dataset, data, str(tmp_path))(np.float32(dataset.test["x"]) / 255)
    assert found.shape == (len(dataset.test["x"]), 128)
    np.testing.assert_allclose(np.sqrt(np.square(found).mean()), 1, atol=0.3)


def test_half_of_the_images_are_mirrored():
    x = jax.random.randint(jax.random.key(0), (200, 4, 4, 1), 0, 256, jnp.uint8)
    y = classifier.mirrored(x, jax.random.key(1))
    turned = (y == x[:, :, ::-1]).all((1, 2, 3))
    assert ((y == x).all((1, 2, 3)) | turned).all() and 70 < turned.sum() < 130
