"""The user's weights: checked, converted, kept; wrong ones are one line. The network is replaced by two layers."""

import hashlib

import numpy as np
import pytest

from gen.errors import UserError
from gen.evaluation.inception import checkpoint, weights
from tests.evaluation.inception.torch_files import save

RNG = np.random.default_rng(0)
SHAPES = {"fc.weight": (3, 4), "a.b.conv.weight": (4, 3, 2, 2)} | {
    f"a.b.bn.{name}": (4,) for name in ("weight", "bias", "running_mean", "running_var")}
TENSORS = {name: np.float32(RNG.uniform(0.5, 1, shape)) for name, shape in SHAPES.items()} | {
    "fc.bias": np.zeros(3, np.float32), "a.b.bn.num_batches_tracked": np.array(0)}


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A published file, and a folder of data sets of this test's own."""
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(weights, "tensor_shapes", lambda: SHAPES)
    path = save(tmp_path / "pt_inception.pth", TENSORS)
    monkeypatch.setattr(weights, "HEAD", hashlib.sha256(path.read_bytes()).hexdigest()[:8])
    return path


def message(*arguments, **options) -> str:
    with pytest.raises(UserError) as error:
        weights.prepare(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_weights_are_kept_with_the_hash_of_the_file_that_they_came_from(file):
    path, sha256 = weights.prepare(file)
    assert path == weights.place() and sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    loaded = weights.load()
    assert loaded.sha256 == sha256 and loaded.word == "inception"
    unit = loaded.variables["params"]["a"]["b"]["conv"]
    assert unit["kernel"].shape == (2, 2, 3, 4) and unit["kernel"].dtype == unit["bias"].dtype == np.float32
    stored = checkpoint.read(path)
    assert set(stored) == set(TENSORS) and all((stored[name] == TENSORS[name]).all() for name in TENSORS)


def test_a_converted_file_passes_on_its_hash(file, tmp_path):
    path, sha256 = weights.prepare(file)
    copy = tmp_path / "from a friend.safetensors"
    copy.write_bytes(path.read_bytes())
    assert weights.prepare(copy)[1] == sha256
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    assert "its tensors are not those that were written" in message(copy)


def test_other_weights_are_refused_or_named(file, tmp_path):
    other = save(tmp_path / "other.pth", TENSORS | {"fc.bias": np.ones(3, np.float32)}, "legacy")
    assert "published weights" in message(other) and "--allow_other" in message(other)
    assert not weights.place().exists()
    _, sha256 = weights.prepare(other, allow_other=True)
    assert weights.load().word == f"inception-{sha256[:8]}"


@pytest.mark.parametrize("change, words", [
    ({"fc.weight": np.zeros((2, 4), np.float32)}, "not (3, 4)"),
    ({"a.b.bn.running_var": np.full(4, np.nan, np.float32)}, "NaN"),
    ({"fc.weight": None}, "no tensor 'fc.weight'"),
])
def test_other_networks_are_refused(file, tmp_path, change, words):
    tensors = {name: value for name, value in (TENSORS | change).items() if value is not None}
    assert words in message(save(tmp_path / "other.pth", tensors), allow_other=True)


def test_damaged_weights_name_the_command(file):
    with pytest.raises(UserError, match="prepare_weights.py --name=inception"):
        weights.load()
    path, _ = weights.prepare(file)
    weights.load()
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UserError, match="cannot be read as weights.*prepare_weights.py --name=inception --overwrite"):
        weights.load()


def test_a_download_that_fails_says_what_to_do(file, monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(weights.urllib.request, "urlopen", unreachable)
    assert "no network" in message(None) and "--from=FILE" in message(None)


def test_a_download_is_checked(file, monkeypatch):
    class Answer:
        def __init__(self, content):
            self.content = content

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def read(self, _):
            return self.content

    monkeypatch.setattr(weights.urllib.request, "urlopen", lambda *_, **__: Answer(b"a page of an error"))
    assert "expected" in message(None)
    monkeypatch.setattr(weights.urllib.request, "urlopen", lambda *_, **__: Answer(file.read_bytes()))
    assert weights.prepare(None)[1].startswith(weights.HEAD)
