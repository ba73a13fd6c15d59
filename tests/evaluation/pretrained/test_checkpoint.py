"""Files of tensors: what is written is read, and whatever else a file may be is one line."""

import collections
import io
import json
import pickle
import tarfile
import zipfile

import numpy as np
import pytest

from gen.errors import UserError
from gen.evaluation.pretrained import checkpoint
from tests.evaluation.pretrained.torch_files import Storage, Tensor, pickled, save

RNG = np.random.default_rng(0)
TENSORS = {"a.weight": np.float32(RNG.normal(size=(3, 2, 2))), "a.bias": RNG.normal(size=4),
           "n": np.array(7), "empty": np.zeros((0, 2), np.float32)}


def refused(path) -> str:
    with pytest.raises(UserError) as error:
        checkpoint.read(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)
    return str(error.value)


def equal(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_both_forms_of_checkpoints_are_read(tmp_path, form):
    equal(checkpoint.read(save(tmp_path / "w.pth", TENSORS, form)), TENSORS)


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_views_of_one_storage(tmp_path, form):
    base = np.arange(12, dtype=np.float32)
    storage = Storage("0", base)
    views = {"transposed": Tensor(storage, (4, 3), (1, 4)), "part": Tensor(storage, (2,), (3,), 5)}
    expected = {"transposed": base.reshape(3, 4).T, "part": base[[5, 8]]}
    equal(checkpoint.read(save(tmp_path / "w.pth", views, form)), expected)


def test_safetensors_are_written_and_read(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(checkpoint.safetensors(TENSORS, {"sha256": "ab"}))
    equal(checkpoint.read(path), TENSORS)
    with path.open("rb") as file:
        assert checkpoint.read_safetensors(file)[1] == {"sha256": "ab"}


class Evil:
    def __reduce__(self):
        return print, ("called",)


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_code_in_a_pickle_is_refused_and_not_called(tmp_path, form, capsys):
    path = tmp_path / "evil.pth"
    save(path, {"a": TENSORS["a.weight"]}, form)
    content, innocent = path.read_bytes(), pickled(collections.OrderedDict(), form)
    if form == "legacy":
        head = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {}))
        path.write_bytes(head + pickle.dumps(Evil(), 2) + content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps({"a": Evil()}, 2))
    assert "asks for builtins.print" in refused(path) or "asks for __builtin__.print" in refused(path)
    assert "called" not in capsys.readouterr().out and innocent


def test_tensors_beyond_their_storage_are_refused(tmp_path):
    storage = Storage("0", np.arange(6, dtype=np.float32))
    for shape, strides, offset in (((7,), (1,), 0), ((2, 3), (3, 1), 1), ((2,), (-1,), 3), ((10**9, 10**9), (0, 0), 0),
                                   ((2, 3), (3,), 0)):
        message = refused(save(tmp_path / "w.pth", {"a": Tensor(storage, shape, strides, offset)}))
        assert "beyond" in message or "strides" in message


def test_files_that_are_something_else(tmp_path):
    path = tmp_path / "w.pth"
    assert "is missing" in refused(path)
    for content, words in ((b"", "empty"), (b"hello world, this is text", "neither a checkpoint"),
                           (pickle.dumps({"a": 1}, 4), "none of PyTorch"), (b"\x0a\x29\x0a\x11Const", "frozen graph")):
        path.write_bytes(content)
        assert words in refused(path)
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"), io.BytesIO())
    assert "tar archive" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("arr_0.npy", b"")
    assert "without the one data.pkl" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", b"")
        archive.writestr("model/constants.pkl", b"")
    assert "TorchScript" in refused(path)
    assert "cannot be read" in refused(tmp_path)


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_files_that_are_cut_off(tmp_path, form):
    path = save(tmp_path / "w.pth", TENSORS, form)
    content = path.read_bytes()
    for part in (0.2, 0.5, 0.8, 0.99):
        path.write_bytes(content[:int(part * len(content))])
        refused(path)


def test_tables_with_other_things_in_them(tmp_path):
    path = tmp_path / "w.pth"
    for value in ({"a": 3}, [1, 2], {}, {3: Tensor(Storage("0", TENSORS["a.weight"]))}, 7):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickled(value, "zip"))
            archive.writestr("archive/data/0", TENSORS["a.weight"].tobytes())
        assert "no tensor" in refused(path) or "no table of tensors" in refused(path)


def test_a_short_pickle_takes_little_memory(tmp_path):
    """It puts a number at the index 2**32 - 1 of the memo, for which the unpickler in C would take 64 GB."""
    path = tmp_path / "w.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02K\x01r\xff\xff\xff\xff.")
    assert "no table of tensors" in refused(path)


def test_damaged_safetensors(tmp_path):
    path, whole = tmp_path / "w.safetensors", checkpoint.safetensors(TENSORS, {})
    header = json.loads(whole[8:8 + int.from_bytes(whole[:8], "little")])
    header["a.bias"]["data_offsets"][1] += 8
    text = json.dumps(header).encode()
    moved = len(text).to_bytes(8, "little") + text + whole[8 + int.from_bytes(whole[:8], "little"):]
    for content in (whole[:-1], whole[:20], whole + b"0", moved, (2**40).to_bytes(8, "little") + whole[8:]):
        path.write_bytes(content)
        refused(path)
