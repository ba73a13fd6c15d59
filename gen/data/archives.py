"""Published files of image sets that hold both splits or both arrays: what they hold, in the official order."""

import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gen.errors import UserError

Images = tuple[np.ndarray, np.ndarray | None]
"""x, uint8 [n h w c], and label, uint8 [n], or None where there are none."""


def cifar100(archive: Path) -> dict[str, Images]:
    """CIFAR-100's binary archive: records of the coarse label, the fine one, which is kept, and 32x32 planes."""
    found = {}
    for split, content in zip(("train", "test"), _members(archive, ("train.bin", "test.bin")), strict=True):
        records = np.frombuffer(content, np.uint8).reshape(-1, 2 + 3 * 32 * 32)
        found[split] = records[:, 2:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 1]
    return found


def svhn(train: Path, test: Path) -> dict[str, Images]:
    """SVHN's cropped digits in MATLAB's form: X [32 32 3 n] and y [n 1], where 10 stands for the digit 0."""
    from scipy.io import loadmat

    found = {}
    for split, path in (("train", train), ("test", test)):
        arrays = loadmat(path, variable_names=("X", "y"))
        found[split] = arrays["X"].transpose(3, 0, 1, 2), (arrays["y"].ravel() % 10).astype(np.uint8)
    return found


def stl10(archive: Path) -> dict[str, Images]:
    """STL-10's binary archive: planes by column, labels from 1 on; the images without labels are left out."""
    content = _members(archive, ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin"))
    train_x, train_y, test_x, test_y = (np.frombuffer(part, np.uint8) for part in content)

    def images(x: np.ndarray, y: np.ndarray) -> Images:
        return x.reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1), y - 1

    return {"train": images(train_x, train_y), "test": images(test_x, test_y)}


def binarized_mnist(train: Path, valid: Path, test: Path) -> dict[str, Images]:
    """Larochelle & Murray 2011: the 10,000 rows of the validation file are the last ones of the training images."""
    train, valid, test = map(_amat, (train, valid, test))
    return {"train": (np.concatenate([train, valid]), None), "test": (test, None)}


def _amat(path: Path) -> np.ndarray:
    """Rows of 784 zeros and ones as text, as pixels 0 and 255."""
    values = np.frombuffer(path.read_bytes().translate(None, b" \t\r\n"), np.uint8) - ord("0")
    if values.max(initial=0) > 1 or len(values) % 784:
        raise UserError(f"{path} is corrupt: it does not hold rows of 784 zeros and ones.")
    return 255 * values.reshape(-1, 28, 28, 1)


def omniglot(path: Path) -> dict[str, Images]:
    """Lake et al. 2015 at 28x28 as Burda et al. 2016 have it, in 8 bits; the labels are the 50 alphabets."""
    from scipy.io import loadmat

    found, arrays = {}, loadmat(path)
    for split, prefix in (("train", ""), ("test", "test")):
        x, label = arrays[f"{prefix}data"], arrays[f"{prefix}target"].argmax(0)
        images = np.uint8(np.round(255 * x.T)).reshape(-1, 28, 28, 1).swapaxes(1, 2)
        found[split] = images, label.astype(np.uint8)
    return found


def _members(archive: Path, names: Sequence[str]) -> list[bytes]:
    """The content of the files of these names, in whatever folder of the archive they are."""
    found = {}
    with tarfile.open(archive) as opened:
        for member in opened:
            if (name := Path(member.name).name) in names:
                found[name] = opened.extractfile(member).read()
    return [found[name] for name in names]
