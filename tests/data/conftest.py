"""Tiny stand-ins for the published image files, in the published formats."""

import gzip
import hashlib
import io
import struct
import tarfile

import numpy as np
import pytest
from PIL import Image

from gen.data import originals

TRAIN, TEST = 40, 8
CIFAR_TRAIN, CIFAR_TEST = 5 * 6, 6


def idx(array):
    """The idx file of an array of bytes."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return gzip.compress(header + array.tobytes())


def sheet(tiles, columns):
    """Tiles [n 32 32 3] as one image, row by row."""
    rows = len(tiles) // columns
    return tiles.reshape(rows, columns, 32, 32, 3).swapaxes(1, 2).reshape(rows * 32, columns * 32, 3)


@pytest.fixture
def tiny_mnist(tmp_path, monkeypatch):
    """(folder, splits): a tiny MNIST whose checksums are the published ones for the test."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "originals"
    folder.mkdir()
    splits, files = {}, {}
    for split, prefix, n in (("train", "train", TRAIN), ("test", "t10k", TEST)):
        x, label = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), rng.integers(0, 10, n, dtype=np.uint8)
        splits[split] = x[..., None], label
        for file, array in ((f"{prefix}-images-idx3-ubyte.gz", x), (f"{prefix}-labels-idx1-ubyte.gz", label)):
            content = idx(array)
            (folder / file).write_bytes(content)
            files[file] = originals.Original("http://127.0.0.1:9/", hashlib.md5(content).hexdigest())
    monkeypatch.setitem(originals.ORIGINALS, "mnist", files)
    return folder, splits


@pytest.fixture
def tiny_cifar(tmp_path, monkeypatch):
    """(folder of sheets, folder of the archive, splits): a tiny CIFAR-10 in both layouts."""
    rng = np.random.default_rng(0)
    sheets, archive = tmp_path / "sheets", tmp_path / "archive"
    sheets.mkdir(), archive.mkdir()
    images, labels, sums = [], [], {}
    with tarfile.open(archive / originals.CIFAR_ARCHIVE, "w:gz") as tar:
        for batch in originals.CIFAR_BATCHES:
            tiles, label = rng.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8), rng.integers(0, 10, 6, dtype=np.uint8)
            content = b"".join(bytes([i]) + x.transpose(2, 0, 1).tobytes() for i, x in zip(label, tiles, strict=True))
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{batch}.bin")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
            Image.fromarray(sheet(tiles, 3)).save(sheets / f"{batch}.webp", lossless=True)
            sums[batch] = hashlib.sha256(content).hexdigest()
            images.append(tiles), labels.append(label)
    np.savez(sheets / "labels.npz", y_train=np.concatenate(labels[:-1]), y_test=labels[-1])
    md5 = hashlib.md5((archive / originals.CIFAR_ARCHIVE).read_bytes()).hexdigest()
    monkeypatch.setattr(originals, "CIFAR_BATCHES", sums)
    monkeypatch.setitem(
        originals.ORIGINALS, "cifar10", {originals.CIFAR_ARCHIVE: originals.Original("http://127.0.0.1:9/", md5)}
    )
    train = np.concatenate(images[:-1]), np.concatenate(labels[:-1])
    return sheets, archive, {"train": train, "test": (images[-1], labels[-1])}
