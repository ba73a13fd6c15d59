"""Images in one file: StyleGAN's zips, npz, tar shards: what comes out is what went in; what is wrong is one line."""

import io
import json
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from gen.data import load
from gen.errors import UserError

N, SIZE = 40, 8
IMAGES = np.random.default_rng(0).integers(0, 256, (N, SIZE, SIZE, 3), np.uint8)
LABELS = np.arange(N) % 3


def png(image) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def config(path, **options):
    return {"name": "packed", "path": str(path), "size": SIZE, "test_fraction": 0.3} | options


def write_zip(path, labels="numbers", broken=()):
    """As dataset_tool.py writes it: 00000/img00000000.png, ..., dataset.json."""
    with zipfile.ZipFile(path, "w") as archive:
        table = []
        for i, image in enumerate(IMAGES):
            folder = f"class {LABELS[i]}" if labels == "folders" else f"{i // 10:05}"
            name = f"{folder}/img{i:08}.png"
            archive.writestr(name, b"no image" if i in broken else png(image))
            table.append([name, int(LABELS[i])])
        if labels != "folders":
            archive.writestr("dataset.json", json.dumps({"labels": table if labels == "numbers" else None}))
    return path


def write_tar(path, rows, label="cls"):
    with tarfile.open(path, "w") as archive:
        for i in rows:
            text = json.dumps({"label": f"kind {LABELS[i]}"}) if label == "json" else str(LABELS[i])
            for name, content in ((f"part/{i:05}.{label}", text.encode()), (f"part/{i:05}.png", png(IMAGES[i]))):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


def check(dataset, labels=True):
    """Every image is in one split, once, with its label."""
    x = np.concatenate([part["x"] for part in (dataset.train, dataset.test)])
    order = [next(i for i, image in enumerate(IMAGES) if (image == row).all()) for row in x]
    assert sorted(order) == list(range(N)) and 0 < len(dataset.test["x"]) < N / 2
    if labels:
        found = np.concatenate([part["label"] for part in (dataset.train, dataset.test)])
        np.testing.assert_array_equal(found, LABELS[order])
        assert dataset.spec.classes == 3
    else:
        assert "label" not in dataset.train and dataset.spec.classes == 0


def test_a_zip_of_stylegans(tmp_path):
    check(load(config(write_zip(tmp_path / "a.zip"))))
    check(load(config(write_zip(tmp_path / "b.zip", "none"))), labels=False)
    named = load(config(write_zip(tmp_path / "c.zip", "folders")))
    check(named)
    assert named.spec.class_names == ("class 0", "class 1", "class 2")


@pytest.mark.parametrize("names", [("arr_0", "arr_1"), ("x", "label"), ("images", "y")])
def test_an_npz(tmp_path, names):
    np.savez(tmp_path / "a.npz", **dict(zip(names, (IMAGES, LABELS), strict=True)))
    check(load(config(tmp_path / "a.npz")))
    np.savez(tmp_path / "b.npz", **{names[0]: IMAGES})
    check(load(config(tmp_path / "b.npz")), labels=False)


def test_shards_of_webdataset(tmp_path):
    for label, names in (("cls", ()), ("json", ("kind 0", "kind 1", "kind 2"))):
        folder = tmp_path / label
        folder.mkdir()
        write_tar(folder / "000.tar", range(25), label)
        write_tar(folder / "001.tar", range(25, N), label)
        dataset = load(config(folder))
        check(dataset)
        assert dataset.spec.class_names == names
    check(load(config(write_tar(tmp_path / "whole.tar", range(N)))))


def test_the_split_depends_on_names_alone_and_images_are_cut_as_a_folders(tmp_path):
    path = write_zip(tmp_path / "a.zip", "none")
    few = load(config(path, train_examples=5, test_examples=3))
    whole = load(config(path))
    np.testing.assert_array_equal(few.train["x"], whole.train["x"][:5])
    np.testing.assert_array_equal(few.test["x"], whole.test["x"][:3])
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "folder")
    nested = tmp_path / "folder"
    (nested / "dataset.json").unlink()
    for size, channels in ((5, 1), (16, 3)):
        packed = load(config(path, size=size, channels=channels))
        folder = load({"name": "folder", "path": str(nested), "size": size, "channels": channels, "test_fraction": 0.3})
        np.testing.assert_array_equal(packed.train["x"], folder.train["x"])


def test_an_image_that_cannot_be_read_is_left_out(tmp_path):
    dataset = load(config(write_zip(tmp_path / "a.zip", broken=(3, 7))))
    assert len(dataset.train["x"]) + len(dataset.test["x"]) == N - 2


def test_what_is_wrong_is_one_line(tmp_path):
    cases = {"there is no such file": tmp_path / "none.zip"}
    (tmp_path / "a.rar").write_bytes(b"x")
    (tmp_path / "b.zip").write_bytes(b"no zip")
    (tmp_path / "c.tar").write_bytes(b"no tar at all")
    np.savez(tmp_path / "d.npz", arr_0=IMAGES.astype(np.float32))
    np.savez(tmp_path / "e.npz", arr_0=np.array([{}], object), allow_pickle=True)
    np.savez(tmp_path / "f.npz", arr_0=IMAGES, arr_1=LABELS - 1)
    with zipfile.ZipFile(tmp_path / "g.zip", "w") as archive:
        archive.writestr("readme.txt", "no image")
    with zipfile.ZipFile(tmp_path / "h.zip", "w") as archive:
        archive.writestr("a.png", png(IMAGES[0]))
        archive.writestr("dogs/b.png", png(IMAGES[1]))
    cases |= {"must end in .zip, .npz, .tar": tmp_path / "a.rar", "b.zip: cannot be read": tmp_path / "b.zip",
              "c.tar: cannot be read": tmp_path / "c.tar", "must be uint8": tmp_path / "d.npz",
              "e.npz: cannot be read": tmp_path / "e.npz", "must be a number from 0 on": tmp_path / "f.npz",
              "no image in it": tmp_path / "g.zip", "has no label, and others have": tmp_path / "h.zip"}
    for message, path in cases.items():
        with pytest.raises(UserError, match=message) as error:
            load(config(path))
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="size=0"):
        load(config(write_zip(tmp_path / "z.zip"), size=0))


def test_a_zip_is_opened_once_whatever_it_holds(tmp_path, monkeypatch):
    """Opening one reads its whole directory: once for each image, the time would grow as the square of their number."""
    path, opened, real = write_zip(tmp_path / "a.zip"), [], zipfile.ZipFile
    monkeypatch.setattr(zipfile, "ZipFile", lambda *args: opened.append(args) or real(*args))
    check(load(config(path)))
    assert len(opened) == 1
