"""Checkpoints as PyTorch writes them, without it."""

import collections
import io
import pickle
import sys
import types
import zipfile
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
TYPES = {"<f4": "FloatStorage", "<f8": "DoubleStorage", "<i8": "LongStorage", "<f2": "HalfStorage"}


class Storage:
    def __init__(self, key: str, array: np.ndarray):
        self.key, self.array = key, array


class Tensor:
    """A view of a storage, all of it in C order unless said otherwise."""

    def __init__(self, storage: Storage, shape=None, strides=None, offset: int = 0):
        array = storage.array
        self.storage, self.offset, self.shape = storage, offset, array.shape if shape is None else shape
        self.strides = tuple(s // array.itemsize for s in array.strides) if strides is None else strides

    def __reduce__(self):
        arguments = (self.storage, self.offset, self.shape, self.strides, False, collections.OrderedDict())
        return sys.modules["torch._utils"]._rebuild_tensor_v2, arguments


@contextmanager
def names():
    """Modules of PyTorch's names, so that what they hold can be pickled."""
    torch, utils, before = types.ModuleType("torch"), types.ModuleType("torch._utils"), dict(sys.modules)
    for name in TYPES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    exec("def _rebuild_tensor_v2(*arguments): pass", utils.__dict__)
    utils._rebuild_tensor_v2.__module__ = "torch._utils"
    sys.modules.update({"torch": torch, "torch._utils": utils})
    try:
        yield torch
    finally:
        for name in ("torch", "torch._utils"):
            sys.modules.pop(name)
            if name in before:
                sys.modules[name] = before[name]


def pickled(value, form: str) -> bytes:
    """The pickle of a value with tensors in it."""
    with names() as torch:
        class Pickler(pickle.Pickler):
            def persistent_id(self, thing):
                if not isinstance(thing, Storage):
                    return None
                kind = getattr(torch, TYPES[thing.array.dtype.str])
                found = ("storage", kind, thing.key, "cpu", thing.array.size)
                return found if form == "zip" else (*found, None)

        out = io.BytesIO()
        Pickler(out, 2).dump(value)
        return out.getvalue()


def stored(tensors: Mapping) -> tuple[collections.OrderedDict, dict[str, np.ndarray]]:
    """Tensors of arrays, each with a storage of its own, and the storages; tensors pass."""
    table, storages = collections.OrderedDict(), {}
    for i, (name, value) in enumerate(tensors.items()):
        tensor = value if isinstance(value, Tensor) else Tensor(Storage(str(i), np.ascontiguousarray(value)))
        table[name], storages[tensor.storage.key] = tensor, tensor.storage.array
    return table, storages


def save(path: Path, tensors: Mapping, form: str = "zip") -> Path:
    """Writes a checkpoint."""
    table, storages = stored(tensors)
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickled(table, form))
            archive.writestr("archive/byteorder", "little")
            for key, array in storages.items():
                archive.writestr(f"archive/data/{key}", array.tobytes())
            archive.writestr("archive/version", "3\n")
        return path
    parts = [pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, {"little_endian": True})]
    parts += [pickled(table, form), pickle.dumps(sorted(storages), 2)]
    parts += [storages[key].size.to_bytes(8, "little") + storages[key].tobytes() for key in sorted(storages)]
    path.write_bytes(b"".join(parts))
    return path
