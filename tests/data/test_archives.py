"""Sets of published archives, tiny ones in the published formats: order, channels, labels; loading them."""

import hashlib
import io
import tarfile

import numpy as np
import pytest
from scipy.io import savemat

from gen.data import images, load, originals
from gen.errors import UserError

RNG = np.random.default_rng(0)


def pictures(n, side, classes):
    return RNG.integers(0, 256, (n, side, side, 3), dtype=np.uint8), RNG.integers(0, classes, n, dtype=np.uint8)


def tar(path, files):
    with tarfile.open(path, "w:gz") as opened:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))


def cifar100(folder, splits):
    def records(x, label):
        return b"".join(bytes([7, fine]) + image.transpose(2, 0, 1).tobytes()
                        for image, fine in zip(x, label, strict=True))

    tar(folder / "cifar-100-binary.tar.gz", {f"cifar-100-binary/{split}.bin": records(*splits[split])
                                             for split in ("test", "train")} | {"cifar-100-binary/x.txt": b"?"})


def svhn(folder, splits):
    for split, (x, label) in splits.items():
        y = np.where(label == 0, 10, label).astype(np.uint8)
        savemat(folder / f"{split}_32x32.mat", {"X": x.transpose(1, 2, 3, 0), "y": y[:, None]})


def stl10(folder, splits):
    files = {}
    for split, (x, label) in splits.items():
        files[f"stl10_binary/{split}_X.bin"] = x.transpose(0, 3, 2, 1).tobytes()
        files[f"stl10_binary/{split}_y.bin"] = (label + 1).tobytes()
    tar(folder / "stl10_binary.tar.gz", files)


SETS = {"cifar100": (cifar100, 32, 100), "svhn": (svhn, 32, 10), "stl10": (stl10, 96, 10)}


@pytest.fixture(params=SETS)
def tiny(request, tmp_path, monkeypatch):
    """Name, folder and splits of a tiny set whose checksums are the published ones for the test."""
    write, side, classes = SETS[request.param]
    folder = tmp_path / "files"
    folder.mkdir()
    splits = {"train": pictures(12, side, classes), "test": pictures(5, side, classes)}
    write(folder, splits)
    files = {name: original._replace(checksum=hashlib.md5((folder / name).read_bytes()).hexdigest())
             for name, original in originals.ORIGINALS[request.param].items()}
    monkeypatch.setitem(originals.ORIGINALS, request.param, files)
    return request.param, folder, splits


def test_archives_hold_the_pictures_and_labels_in_order(tiny):
    name, folder, splits = tiny
    found = originals.read(name, folder)
    for split, arrays in splits.items():
        for array, other in zip(found[split], arrays, strict=True):
            assert array.dtype == np.uint8
            np.testing.assert_array_equal(array, other)


def test_a_damaged_or_missing_file_is_one_line(tiny):
    name, folder, _ = tiny
    path = folder / next(iter(originals.ORIGINALS[name]))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=f"{path.name} is corrupt: its md5"):
        originals.read(name, folder)
    path.unlink()
    with pytest.raises(UserError, match=f"{path.name} is missing"):
        originals.read(name, folder)


@pytest.mark.slow
def test_a_prepared_set_is_loaded_with_its_classes(tiny, tmp_path, monkeypatch):
    name, folder, splits = tiny
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path / "sets"))
    images.prepare(name, images.data_dir(), folder)
    data = load({"name": name, "loading": "resident"})
    np.testing.assert_array_equal(data.train["x"], splits["train"][0])
    np.testing.assert_array_equal(data.test["label"], splits["test"][1])
    assert data.spec.shape == images.SHAPES[name] and data.spec.classes == SETS[name][2]
    assert len(data.spec.class_names) in (0, data.spec.classes) and (name == "svhn") == (not data.spec.class_names)
