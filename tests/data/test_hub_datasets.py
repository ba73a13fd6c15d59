"""Sets of the library `datasets`, from the disk; it is an extra, without which one line says what to install."""

import sys

import numpy as np
import pytest
from PIL import Image

from gen.data import load
from gen.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)


def test_without_the_library_it_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[datasets\]'"):
        load({"name": "hugging_face", "path": "ylecun/mnist"})


@pytest.fixture
def saved(tmp_path):
    """A folder of `save_to_disk` with two splits, of ten and two images."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["cat", "dog"]),
                                  "note": datasets.Value("string")})

    def part(rows):
        return datasets.Dataset.from_dict({"picture": [Image.fromarray(IMAGES[i]) for i in rows],
                                           "kind": [i % 2 for i in rows], "note": ["" for _ in rows]}, features)

    datasets.DatasetDict({"train": part(range(10)), "test": part(range(10, 12))}).save_to_disk(tmp_path / "set")
    return {"name": "hugging_face", "path": str(tmp_path / "set"), "size": 8}


def test_images_and_classes_are_those_that_were_saved(saved):
    dataset = load(saved | {"train_examples": 7})
    np.testing.assert_array_equal(dataset.train["x"], IMAGES[:7])
    np.testing.assert_array_equal(dataset.test["x"], IMAGES[10:])
    np.testing.assert_array_equal(dataset.train["label"], np.arange(7) % 2)
    assert dataset.spec.class_names == ("cat", "dog")


@pytest.mark.parametrize("options, message", [
    ({"test_split": "tets"}, "no such split.*test"), ({"image": "note"}, "no such column of images"),
    ({"label": "note"}, "no such column of classes"), ({"channels": 2}, "channels=2"),
])
def test_what_is_wrong_is_one_line(saved, options, message):
    with pytest.raises(UserError, match=message) as error:
        load(saved | options)
    assert "\n" not in str(error.value)


def test_a_split_without_labels_is_one_line(saved):
    datasets = pytest.importorskip("datasets")
    found = datasets.load_from_disk(saved["path"])
    found["test"] = datasets.Dataset.from_dict({**found["test"].to_dict(), "kind": [-1, -1]}, found["test"].features)
    found.save_to_disk(f"{saved['path']}2")
    with pytest.raises(UserError, match="some labels in its column kind are -1"):
        load(saved | {"path": f"{saved['path']}2"})
