"""The files in which the image sets were published: where they are, their checksums, and what they hold."""

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gen.data import archives
from gen.data.archives import Images
from gen.errors import UserError


class Original(NamedTuple):
    """A published file: the address of its folder, to which the file's name is appended, and a checksum of its bytes.

    The checksum is an md5, a sha256, or the name that git gives the file; its length tells which.
    """

    url: str
    checksum: str

    @property
    def kind(self) -> str:
        """Which checksum it is."""
        return {32: "md5", 40: "git sha1", 64: "sha256"}[len(self.checksum)]


def checksum(file: io.BufferedIOBase, digits: int) -> str:
    """The md5 (32 hexadecimal digits), sha256 (64), or git's sha1 of a file (40) of an open one."""
    digest = hashlib.new({32: "md5", 40: "sha1", 64: "sha256"}[digits])
    if digits == 40:
        digest.update(b"blob %d\0" % file.seek(0, 2))
        file.seek(0)
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
FASHION_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
CIFAR_URL = "https://www.cs.toronto.edu/~kriz/"
CIFAR_ARCHIVE = "cifar-10-binary.tar.gz"
SVHN_URL = "http://ufldl.stanford.edu/housenumbers/"
STL_URL = "http://ai.stanford.edu/~acoates/stl10/"
BINARIZED_URL = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/"
OMNIGLOT_URL = "https://raw.githubusercontent.com/yburda/iwae/master/datasets/OMNIGLOT/"

ORIGINALS = {
    "mnist": {
        "train-images-idx3-ubyte.gz": Original(MNIST_URL, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        "train-labels-idx1-ubyte.gz": Original(MNIST_URL, "d53e105ee54ea40749a09fcbcd1e9432"),
        "t10k-images-idx3-ubyte.gz": Original(MNIST_URL, "9fb629c4189551a2d022fa330f9573f3"),
        "t10k-labels-idx1-ubyte.gz": Original(MNIST_URL, "ec29112dd5afa0611ce80d1b7f02629c"),
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte.gz": Original(FASHION_URL, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        "train-labels-idx1-ubyte.gz": Original(FASHION_URL, "25c81989df183df01b3e8a0aad5dffbe"),
        "t10k-images-idx3-ubyte.gz": Original(FASHION_URL, "bef4ecab320f06d8554ea6380940ec79"),
        "t10k-labels-idx1-ubyte.gz": Original(FASHION_URL, "bb300cfdad3c16e7a12a480ee83cd310"),
    },
    "cifar10": {CIFAR_ARCHIVE: Original(CIFAR_URL, "c32a1d4ab5d03f1284b67883e8d87530")},
    "cifar100": {"cifar-100-binary.tar.gz": Original(CIFAR_URL, "03b5dce01913d631647c71ecec9e9cb8")},
    "svhn": {
        "train_32x32.mat": Original(SVHN_URL, "e26dedcc434d2e4c54c9b2d4a06d8373"),
        "test_32x32.mat": Original(SVHN_URL, "eb5a983be6a315427106f1b164d9cef3"),
    },
    "stl10": {"stl10_binary.tar.gz": Original(STL_URL, "91f7769df0f17e558f3565bffb0c7dfb")},
    "binarized_mnist": {
        "binarized_mnist_train.amat": Original(
            BINARIZED_URL, "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d"),
        "binarized_mnist_valid.amat": Original(
            BINARIZED_URL, "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2"),
        "binarized_mnist_test.amat": Original(
            BINARIZED_URL, "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c"),
    },
    "omniglot": {"chardata.mat": Original(OMNIGLOT_URL, "016a3536ffe5e1d38e42563a18d7a78bfaf643ec")},
}
"""Set to its files, for idx in the order: training images and labels, test images and labels; else training first."""

CIFAR_BATCHES = {
    "data_batch_1": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
"""Batch of CIFAR-10 to the sha256 of its published binary file; the last one is the test set."""

READERS = {"cifar100": archives.cifar100, "svhn": archives.svhn, "stl10": archives.stl10,
           "binarized_mnist": archives.binarized_mnist, "omniglot": archives.omniglot}
"""Set to the function of its files' paths that reads them."""

FOLDERS = {"mnist": "mnist", "fashion_mnist": "fashion-mnist", "cifar10": "cifar-10", "cifar100": "cifar-100",
           "svhn": "svhn", "stl10": "stl-10", "binarized_mnist": "binarized-mnist", "omniglot": "omniglot"}
"""Set to the name of its folder in a directory that holds several sets."""

TIMEOUT = 60
"""Seconds without an answer after which a download fails."""


def read(name: str, directory: Path) -> dict[str, Images]:
    """Returns {"train", "test"} of a set, in the official order, from local files whose checksums are right.

    The files lie in `directory` or in its folder `FOLDERS[name]`: the published ones (`ORIGINALS`), or for CIFAR-10
    lossless sheets of 100 x 100 tiles, data_batch_1.webp ... test_batch.webp, with labels.npz (y_train, y_test).

    Raises:
      UserError: naming the file that is missing or corrupt.
    """
    folder = Path(directory) / FOLDERS[name]
    folder = folder if folder.is_dir() else Path(directory)
    if name == "cifar10":
        return _read_cifar(folder)
    paths = [_verified(folder / file, original) for file, original in ORIGINALS[name].items()]
    return READERS.get(name, _read_mnist)(*paths)


def fetch(name: str, directory: Path) -> None:
    """Downloads the published files of a set into `directory`, except those already there.

    A file gets its name when it is complete and its checksum is right, not before.
    Raises UserError when a file cannot be had, with the reason.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for file, original in ORIGINALS[name].items():
        if not (directory / file).exists():
            _download(original, directory / file)


def _download(original: Original, path: Path) -> None:
    partial, url = path.with_name(path.name + ".partial"), original.url + path.name
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, partial.open("wb") as out:
            shutil.copyfileobj(answer, out, 1 << 20)
        with partial.open("rb") as file:
            found = checksum(file, len(original.checksum))
        if found != original.checksum:
            raise ValueError(f"{partial.stat().st_size} bytes with {original.kind} {found}, expected {original.kind} "
                             f"{original.checksum}")
        os.replace(partial, path)
    except (OSError, HTTPException, ValueError) as error:
        reason = str(getattr(error, "reason", error)) or type(error).__name__
        raise UserError(f"Cannot download {url}: {reason}. Try again, or give local files with --from_dir.") from error
    finally:
        partial.unlink(missing_ok=True)


def _verified(path: Path, original: Original) -> Path:
    """Returns `path` if the file is there and its checksum is right."""
    if not path.is_file():
        raise UserError(f"{path} is missing.")
    with path.open("rb") as file:
        found = checksum(file, len(original.checksum))
    if found != original.checksum:
        raise UserError(f"{path} is corrupt: its {original.kind} is not {original.checksum}. "
                        "Replace it by the published file.")
    return path


def _read_mnist(*paths: Path) -> dict[str, Images]:
    arrays = [_read_idx(path) for path in paths]
    return {"train": (arrays[0][..., None], arrays[1]), "test": (arrays[2][..., None], arrays[3])}


def _read_idx(path: Path) -> np.ndarray:
    """Reads an idx file of bytes: two zeros, type 8, number of dimensions, their big-endian sizes, the values."""
    content = gzip.decompress(path.read_bytes())
    rank = content[3]
    shape = np.frombuffer(content, ">u4", rank, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _read_cifar(folder: Path) -> dict[str, Images]:
    if (folder / CIFAR_ARCHIVE).exists() or not (folder / "labels.npz").exists():
        records = _archived_records(_verified(folder / CIFAR_ARCHIVE, ORIGINALS["cifar10"][CIFAR_ARCHIVE]))
    else:
        records = _sheet_records(folder)
    *train, test = (_images(part) for part in records)
    return {"train": tuple(np.concatenate(arrays) for arrays in zip(*train, strict=True)), "test": test}


def _archived_records(path: Path) -> list[np.ndarray]:
    """Returns the records of each batch, uint8 [n 3073]: the label, then 32x32 red, green and blue values."""
    with tarfile.open(path) as archive:
        files = {Path(member.name).name: member for member in archive.getmembers()}
        content = [archive.extractfile(files[f"{batch}.bin"]).read() for batch in CIFAR_BATCHES]
    return [np.frombuffer(batch, np.uint8).reshape(-1, 3073) for batch in content]


def _sheet_records(folder: Path) -> list[np.ndarray]:
    """Returns the records of the binary files rebuilt from tiles and labels; their published sha256 covers both."""
    sizes = {}
    labels = _sheet_labels(folder / "labels.npz")
    records = []
    for batch, sha256 in CIFAR_BATCHES.items():
        path = folder / f"{batch}.webp"
        tiles = _tiles(path)
        split = "y_test" if batch == "test_batch" else "y_train"
        start = sizes.get(split, 0)
        sizes[split] = start + len(tiles)
        label = labels[split][start : start + len(tiles)].astype(np.uint8)
        if len(label) != len(tiles):
            raise UserError(f"{folder / 'labels.npz'} is corrupt: {split} ends before the images of {path}.")
        record = np.concatenate([label[:, None], tiles.transpose(0, 3, 1, 2).reshape(len(tiles), -1)], axis=1)
        if hashlib.sha256(record.tobytes()).hexdigest() != sha256:
            raise UserError(f"{path} or labels.npz beside it is corrupt: together they are not {batch} of CIFAR-10.")
        records.append(record)
    return records


def _sheet_labels(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as arrays:
            return {split: arrays[split] for split in ("y_train", "y_test")}
    except Exception as error:
        raise UserError(f"{path} is corrupt: {error}.") from error


def _tiles(path: Path) -> np.ndarray:
    """Returns the tiles [n 32 32 3] of a sheet, row by row."""
    from PIL import Image

    if not path.is_file():
        raise UserError(f"{path} is missing.")
    try:
        sheet = np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))
        rows, columns = sheet.shape[0] // 32, sheet.shape[1] // 32
        return sheet.reshape(rows, 32, columns, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3)
    except Exception as error:
        raise UserError(f"{path} is corrupt: {error}.") from error


def _images(records: np.ndarray) -> Images:
    """Splits records into images [n 32 32 3] and labels [n]."""
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0]
