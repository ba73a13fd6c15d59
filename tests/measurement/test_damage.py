"""Files with bytes changed, cut out or doubled at random: what is read of them is sound, or one line says why not.

GEN_FUZZ is how many times as many files are tried.
"""

import os

import numpy as np
import pytest
from PIL import Image

from gen.errors import UserError
from gen.evaluation.pretrained import checkpoint, statistics
from gen.measurement import sources
from tests.evaluation.pretrained.fake import network as network  # a fixture
from tests.evaluation.pretrained.torch_files import save

TRIES = 60 * int(os.environ.get("GEN_FUZZ", 1))
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (5, 12, 10, 3), dtype=np.uint8)
GREY = np.uint16(RNG.integers(0, 2**16, (12, 10)))

PICTURES = {
    "a.png": (X[0], {}), "b.png": (GREY, {}), "c.png": ("P", {"transparency": 3}), "d.jpg": (X[1], {"quality": 90}),
    "e.gif": ("P", {}), "f.bmp": (X[2], {}), "g.tif": (X[3], {"compression": "tiff_lzw"}), "h.tiff": (GREY, {}),
    "i.webp": (X[4], {}), "j.png": ("LA", {}), "k.tif": ("CMYK", {}), "l.jpg": ("CMYK", {}), "m.png": ("1", {}),
}


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Most damage is at the ends, where headers and directories are."""
    n = len(content)
    near = int(rng.choice([rng.integers(min(n, 120)), rng.integers(n), n - 1 - rng.integers(min(n, 120))]))
    length = int(rng.integers(1, 9))
    noise = bytes(rng.integers(0, 256, length, dtype=np.uint8))
    return [
        content[:near] + noise + content[near + length:], content[:near] + content[near + length:],
        content[:near] + noise + content[near:], content[:near],
        content[:near] + bytes([content[near] ^ 1 << int(rng.integers(8))]) + content[near + 1:],
        content[:near] + (2**31 - 1).to_bytes(4, "little") + content[near + 4:],
    ][int(rng.integers(6))]


def read_or_refused(read, path) -> bool:
    """Whether it was read; else one line named the file."""
    try:
        read(path)
    except UserError as error:
        assert "\n" not in str(error) and str(path) in str(error) and len(str(error)) < 1_000, error
        return False
    return True


def tried(read, path) -> int:
    """How many of some damaged files were read all the same."""
    rng, content, good = np.random.default_rng(1), path.read_bytes(), 0
    for _ in range(4 * TRIES):
        path.write_bytes(damaged(content, rng))
        good += read_or_refused(read, path)
    return good


def images(path) -> None:
    for image in sources.opened(path, sources.SourceOptions()).images(0):
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] in (1, 3)


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(tmp_path, name):
    pixels, options = PICTURES[name]
    picture = Image.fromarray(X[0]).convert(pixels) if isinstance(pixels, str) else Image.fromarray(pixels)
    for file in ("y.png", "z.png"):
        Image.fromarray(X[0]).save(tmp_path / file)
    picture.save(tmp_path / name, **options)
    images(tmp_path)
    rng, content = np.random.default_rng(1), (tmp_path / name).read_bytes()
    for _ in range(TRIES):
        (tmp_path / name).write_bytes(damaged(content, rng))
        read_or_refused(images, tmp_path)


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_arrays_of_images(tmp_path, write):
    path = tmp_path / "x.npz"
    write(path, arr_0=X, label=np.arange(5))
    images(path)
    assert tried(images, path) < 2 * TRIES


def test_statistics(tmp_path, network):  # noqa: F811
    path = tmp_path / "x.npz"
    np.savez(path, mu=np.zeros(8), sigma=np.eye(8), provenance='{"n": 5, "resize": "tf1"}')

    def read(file):
        found = statistics.read(file, {"resize": "tf1"}, {"features": 8}).gaussian("features")
        assert np.isfinite(found.covariance).all() and np.linalg.eigvalsh(found.covariance)[0] >= -1e-4

    read(path)
    tried(read, path)


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_weights(tmp_path, form):
    tensors, path = {"a.weight": np.float32(RNG.normal(size=(3, 2))), "n": np.array(7)}, tmp_path / "w.pth"
    if form == "safetensors":
        path.write_bytes(checkpoint.safetensors(tensors, {"sha256": "ab"}))
    else:
        save(path, tensors, form)
    checkpoint.read(path)
    tried(checkpoint.read, path)
