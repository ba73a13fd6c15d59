"""Makers of files that cannot be measured, each in a folder of the test's."""

import os
import zipfile

import numpy as np
from PIL import Image

from tests.evaluation.pretrained.test_weights import TENSORS
from tests.evaluation.pretrained.torch_files import save

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (12, 9, 8, 3), dtype=np.uint8)


def npz(path, compressed=False, **arrays):
    (np.savez_compressed if compressed else np.savez)(path / "x.npz", **arrays)
    return path / "x.npz"


def written(path, name, content=b""):
    (path / name).write_bytes(content)
    return path / name


def folder(path, *files):
    """A folder of images, or of the contents of files."""
    (path / "images").mkdir()
    for i, content in enumerate(files):
        if isinstance(content, bytes):
            written(path, f"images/{i}.png", content)
        else:
            Image.fromarray(content).save(path / f"images/{i}.png")
    return path / "images"


def link(path, name, target):
    (path / name).parent.mkdir(exist_ok=True)
    os.symlink(target, path / name)
    return path / name


def pipe(path, name):
    (path / name).parent.mkdir(exist_ok=True)
    os.mkfifo(path / name)
    return path / name


def array_file(path, header, content, name="arr_0.npy"):
    """An npz file with one member: the header of an array and some bytes."""
    with zipfile.ZipFile(path / "x.npz", "w") as archive, archive.open(name, "w") as member:
        if header:
            np.lib.format.write_array_header_1_0(member, header)
        member.write(content)
    return path / "x.npz"


def good(path) -> bytes:
    return (path / "good.npz").read_bytes()


def png(path) -> bytes:
    Image.fromarray(X[0]).save(path / "one.png")
    return (path / "one.png").read_bytes()


class Code:
    def __reduce__(self):
        return os.system, ("touch ran",)


def zipped(path, **members):
    with zipfile.ZipFile(path / "other.pth", "w") as archive:
        for name, content in members.items():
            archive.writestr(f"archive/{name}.pkl", content)
    return path / "other.pth"


def changed(path, form="zip", **tensors):
    kept = {name: value for name, value in (TENSORS | tensors).items() if value is not None}
    return save(path / "other.pth", kept, form)


def cut(path, form):
    content = changed(path, form).read_bytes()
    return written(path, "other.pth", content[:len(content) * 2 // 3])
