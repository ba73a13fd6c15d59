"""Tensors of a file, without the framework that wrote it: PyTorch's checkpoints, both forms, and safetensors.

A checkpoint of PyTorch is a pickle, which may name any function of any module and have it called. Here it may name
three things: the ordered dictionary, the function that makes a tensor of a storage, and the storages' types; all else
is refused before anything happens.
"""

import collections
import io
import json
import math
import os
import pickle
import stat
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gen.errors import UserError, reason

Tensors = dict[str, np.ndarray]

MOST_BYTES = 2**31
"""Of a file, and of all of its tensors."""

MOST_HEADER = 2**24
"""Bytes of what a file says of its tensors."""

STORAGES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8",
            "IntStorage": "<i4"}
"""PyTorch's types of storages to those of their numbers."""

SAFE_TYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "U32": "<u4"}
"""The same of safetensors."""

ZIP, LEGACY, TAR = b"PK\x03\x04", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", b"ustar"
"""How files begin; the second is a pickle of the number that PyTorch wrote before version 1.6."""

ORDER_MARK = 3
"""Pickles before that of the tensors in the older form: the mark, the version, the writer's system."""


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype
    size: int


class _View(NamedTuple):
    """A tensor as the pickle describes it: some numbers of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self, values: np.ndarray) -> np.ndarray:
        numbers = (self.offset, *self.shape, *self.strides)
        if len(self.shape) != len(self.strides) or any(type(n) is not int or n < 0 for n in numbers):
            raise ValueError(f"a tensor has the shape {self.shape} and the strides {self.strides}")
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if 0 in self.shape:
            return np.zeros(self.shape, values.dtype)
        if last >= len(values) or math.prod(self.shape) * values.itemsize > MOST_BYTES:
            raise ValueError(f"a tensor of the shape {self.shape} goes beyond the {len(values)} numbers of its storage")
        strides = [s * values.itemsize for s in self.strides]
        return np.lib.stride_tricks.as_strided(values[self.offset:], self.shape, strides, writeable=False).copy()


class _Refused(pickle.UnpicklingError):
    """What a pickle may not ask for."""


class _Unpickler(pickle._Unpickler):
    """Knows three names, and storages by their keys.

    The one written in Python, whose memory a short file cannot exhaust: that in C makes a list as long as an index.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: _View(storage, offset, tuple(shape), tuple(strides))
        if module == "torch" and name in STORAGES:
            return np.dtype(STORAGES[name])
        raise _Refused(f"it asks for {module}.{name}, which is no part of a table of tensors, and may be code")

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, key, _, size, *_ = pid
        if not isinstance(dtype, np.dtype) or not isinstance(key, str) or type(size) is not int:
            raise _Refused("a storage has no type, key or size")
        return _Storage(key, dtype, size)


def read(path: Path) -> Tensors:
    """The tensors of a file by name.

    Raises a UserError in one line where it is no such file, is damaged, or holds anything else.
    """
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError("it is no regular file")
            if os.fstat(file.fileno()).st_size > MOST_BYTES:
                raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
            return _reader(file)(file)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except Exception as error:  # a damaged pickle raises errors of any type
        raise UserError(f"{path} cannot be read as weights: {reason(error)}.") from error


def _reader(file: io.BufferedIOBase) -> Callable[[io.BufferedIOBase], Tensors]:
    """The reader of the file's form. A ValueError says what the file seems to be."""
    begins = file.read(512)
    file.seek(0)
    if begins.startswith(ZIP):
        return _read_zip
    if begins.startswith(LEGACY):
        return _read_legacy
    if len(begins) > 9 and begins[8:9] == b"{":
        return lambda stream: read_safetensors(stream)[0]
    if not begins:
        raise ValueError("it is empty")
    if TAR in begins[257:263]:
        raise ValueError("it is a tar archive; save the tensors with a newer PyTorch")
    if begins[:1] == b"\x80":
        raise ValueError("it is a pickle, but none of PyTorch's checkpoints")
    raise ValueError("it is neither a checkpoint of PyTorch nor safetensors (a frozen graph of TensorFlow is not read)")


def _read_zip(file: io.BufferedIOBase) -> Tensors:
    """The form since PyTorch 1.6: NAME/data.pkl, and NAME/data/KEY for each storage."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        roots = [name.removesuffix("data.pkl") for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(roots) != 1:
            raise ValueError("it is a zip without the one data.pkl of a checkpoint")
        root = roots[0]
        if f"{root}constants.pkl" in names:
            raise ValueError("it is TorchScript, which is code; take the checkpoint of its tensors")
        if f"{root}byteorder" in names and archive.read(f"{root}byteorder") != b"little":
            raise ValueError("its numbers are not little-endian")
        if sum(archive.getinfo(name).file_size for name in names) > MOST_BYTES:
            raise ValueError(f"it unpacks to more than {MOST_BYTES:,} bytes")
        found = _unpickled(io.BytesIO(archive.read(f"{root}data.pkl")))
        return _tensors(found, lambda storage: archive.read(f"{root}data/{storage.key}"))


def _read_legacy(file: io.BufferedIOBase) -> Tensors:
    """The form before: five pickles, the last one of the storages' keys, then each storage's size and numbers."""
    for _ in range(ORDER_MARK):
        _unpickled(file)
    found = _unpickled(file)
    keys = _unpickled(file)
    sizes = {view.storage.key: view.storage for view in _views(found).values()}
    content = {}
    for key in keys:
        if key not in sizes:
            raise ValueError(f"the storage {key!r} belongs to no tensor")
        begins = file.read(8)
        length = int.from_bytes(begins, "little", signed=True)
        if len(begins) < 8 or length != sizes[key].size:
            raise ValueError(f"the storage {key!r} has {length} numbers of {sizes[key].size}")
        content[key] = file.read(length * sizes[key].dtype.itemsize)
    return _tensors(found, lambda storage: content[storage.key])


def _unpickled(file: io.BufferedIOBase) -> Any:
    return _Unpickler(file, encoding="utf-8").load()


def _views(found: Any) -> dict[str, _View]:
    """The tensors that a pickle describes, if it describes nothing else."""
    if isinstance(found, dict) and set(found) == {"state_dict"}:
        found = found["state_dict"]
    if not isinstance(found, dict) or not found:
        raise ValueError("it holds no table of tensors")
    for name, view in found.items():
        if not isinstance(name, str) or not isinstance(view, _View) or not isinstance(view.storage, _Storage):
            raise ValueError(f"its entry {name!r} is no tensor")
    return found


def _tensors(found: Any, content: Callable[[_Storage], bytes]) -> Tensors:
    arrays: dict[str, np.ndarray] = {}
    views = _views(found)
    for view in views.values():
        storage = view.storage
        if storage.key not in arrays:
            data = content(storage)
            if len(data) != storage.size * storage.dtype.itemsize:
                raise ValueError(f"the storage {storage.key!r} is cut off: {len(data)} bytes of "
                                 f"{storage.size * storage.dtype.itemsize}")
            arrays[storage.key] = np.frombuffer(data, storage.dtype)
    return {name: view.array(arrays[view.storage.key]) for name, view in views.items()}


def read_safetensors(file: io.BufferedIOBase) -> tuple[Tensors, Mapping[str, str]]:
    """The tensors and the metadata of a safetensors file: 8 bytes, the length of a JSON header, the header, numbers.

    Raises ValueError, or what JSON raises, where the file is damaged.
    """
    length = int.from_bytes(file.read(8), "little")
    if length > MOST_HEADER:
        raise ValueError(f"its header says that it has {length:,} bytes")
    header = json.loads(file.read(length))
    data = file.read()
    metadata = header.pop("__metadata__", {})
    tensors, end = {}, 0
    for name, entry in header.items():
        dtype, shape, (begin, stop) = np.dtype(SAFE_TYPES[entry["dtype"]]), tuple(entry["shape"]), entry["data_offsets"]
        if not 0 <= begin <= stop <= len(data) or stop - begin != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"the tensor {name!r} is cut off")
        tensors[name], end = np.frombuffer(data[begin:stop], dtype).reshape(shape), max(end, stop)
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes belong to no tensor")
    return tensors, metadata


def safetensors(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """The content of a safetensors file."""
    names = {np.dtype(dtype): name for name, dtype in SAFE_TYPES.items()}
    header, parts, begin = {"__metadata__": dict(metadata)}, [], 0
    for name, array in tensors.items():
        parts.append(np.ascontiguousarray(array).tobytes())
        header[name] = {"dtype": names[array.dtype.newbyteorder("<")], "shape": list(array.shape),
                        "data_offsets": [begin, begin + len(parts[-1])]}
        begin += len(parts[-1])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(parts)
