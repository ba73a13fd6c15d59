"""The user's weights: checked, converted, kept; wrong ones are one line. The network is replaced by two layers."""

import hashlib

import numpy as np
import pytest

from gen.errors import UserError
from gen.evaluation.pretrained import checkpoint, weights
from gen.evaluation.pretrained.networks import INCEPTION, NETWORKS
from gen.evaluation.pretrained.weights import File, Published
from tests.evaluation.pretrained.torch_files import save

RNG = np.random.default_rng(0)
SHAPES = {"fc.weight": (3, 4), "a.b.conv.weight": (4, 3, 2, 2)} | {
    f"a.b.bn.{name}": (4,) for name in ("weight", "bias", "running_mean", "running_var")}
TENSORS = {name: np.float32(RNG.uniform(0.5, 1, shape)) for name, shape in SHAPES.items()} | {
    "fc.bias": np.zeros(3, np.float32), "a.b.bn.num_batches_tracked": np.array(0)}


def published(*heads: str) -> Published:
    """Inception's, of two layers, in files with these heads of hashes."""
    files = tuple(File(f"{i}.pth", "https://somewhere/", head) for i, head in enumerate(heads))
    return INCEPTION.published._replace(files=files, shapes=lambda: SHAPES)


def head(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A published file, and a folder of data sets of this test's own."""
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path / "data"))
    path = save(tmp_path / "pt_inception.pth", TENSORS)
    monkeypatch.setitem(NETWORKS, "inception", INCEPTION._replace(published=published(head(path))))
    return path


@pytest.fixture
def one(file):
    """What is published of it."""
    return NETWORKS["inception"].published


def message(*arguments, **options) -> str:
    with pytest.raises(UserError) as error:
        weights.prepare(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_weights_are_kept_with_the_hash_of_the_file_that_they_came_from(file, one):
    path, sha256 = weights.prepare(one, [file])
    assert path == one.path and sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    loaded = weights.load(one)
    assert loaded.sha256 == sha256 and loaded.word == "inception"
    unit = loaded.variables["params"]["a"]["b"]["conv"]
    assert unit["kernel"].shape == (2, 2, 3, 4) and unit["kernel"].dtype == unit["bias"].dtype == np.float32
    stored = checkpoint.read(path)
    assert set(stored) == set(SHAPES) and all((stored[name] == TENSORS[name]).all() for name in SHAPES)


def test_a_converted_file_passes_on_its_hash(file, one, tmp_path):
    path, sha256 = weights.prepare(one, [file])
    copy = tmp_path / "from a friend.safetensors"
    copy.write_bytes(path.read_bytes())
    assert weights.prepare(one, [copy])[1] == sha256
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    assert "its tensors are not those that were written" in message(one, [copy])


def test_other_weights_are_refused_or_named(file, one, tmp_path):
    other = save(tmp_path / "other.pth", TENSORS | {"fc.bias": np.ones(3, np.float32)}, "legacy")
    assert "published weights" in message(one, [other]) and "--allow_other" in message(one, [other])
    assert not one.path.exists()
    _, sha256 = weights.prepare(one, [other], allow_other=True)
    assert weights.load(one).word == f"inception-{sha256[:8]}"


def test_a_network_of_two_files(file, tmp_path):
    parts = [save(tmp_path / "trunk.pth", {name: TENSORS[name] for name in TENSORS if name != "fc.weight"}),
             save(tmp_path / "heads.pth", {"fc.weight": TENSORS["fc.weight"]}, "legacy")]
    two = published(*map(head, parts))
    path, sha256 = weights.prepare(two, parts)
    assert sha256.split() == [hashlib.sha256(part.read_bytes()).hexdigest() for part in parts]
    loaded = weights.load(two)
    assert loaded.word == "inception" and loaded.sha256 == sha256
    assert set(checkpoint.read(path)) == set(SHAPES)
    assert weights.prepare(two, [path])[1] == sha256
    assert "has 2 files, and these are 1" in message(two, parts[:1])
    assert "0.pth, 1.pth, in this order" in message(two, parts[:1])
    assert "published weights, 0.pth" in message(two, parts[::-1])
    assert weights.word(two, f"{sha256.split()[0]} {'cd' * 32}") == "inception-cdcdcdcd"


@pytest.mark.parametrize("change, words", [
    ({"fc.weight": np.zeros((2, 4), np.float32)}, "not (3, 4)"),
    ({"a.b.bn.running_var": np.full(4, np.nan, np.float32)}, "NaN"),
    ({"fc.weight": None}, "no tensor 'fc.weight': it is no Inception"),
])
def test_other_networks_are_refused(file, one, tmp_path, change, words):
    tensors = {name: value for name, value in (TENSORS | change).items() if value is not None}
    assert words in message(one, [save(tmp_path / "other.pth", tensors)], allow_other=True)


def test_damaged_weights_name_the_command(file, one):
    with pytest.raises(UserError, match="prepare_weights.py --name=inception"):
        weights.load(one)
    path, _ = weights.prepare(one, [file])
    weights.load(one)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UserError, match="cannot be read as weights.*prepare_weights.py --name=inception --overwrite"):
        weights.load(one)


def test_a_download_that_fails_says_what_to_do(one, monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(weights.urllib.request, "urlopen", unreachable)
    assert "no network" in message(one) and "--from=FILE" in message(one)


def test_a_download_is_checked(file, one, monkeypatch):
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
    assert "expected" in message(one)
    monkeypatch.setattr(weights.urllib.request, "urlopen", lambda *_, **__: Answer(file.read_bytes()))
    assert weights.prepare(one)[1].startswith(head(file))
