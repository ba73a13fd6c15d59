"""The weights of Inception: the user's own file, checked by its SHA-256 and kept as safetensors beside the data sets.

The published checkpoints are `pt_inception-2015-12-05-6726825d.pth` (pytorch-fid) and
`weights-inception-2015-12-05-6726825d.pth` (torch-fidelity); their names end in the head of their SHA-256. Other
weights are taken where the user says so, and then the head of theirs is in the name of every metric.
"""

import functools
import hashlib
import io
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from gen.data.images import data_dir
from gen.errors import UserError
from gen.evaluation.inception import checkpoint
from gen.evaluation.inception.network import SIDE, Inception, folded
from gen.files import write_atomically

HEAD = "6726825d"
"""Of the SHA-256 of the published files."""

PUBLISHED = {
    "pt_inception-2015-12-05-6726825d.pth":
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/",
    "weights-inception-2015-12-05-6726825d.pth":
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/",
}
"""File to the address of its folder."""

PLACE = "inception/inception-2015-12-05.safetensors"
"""Of the converted weights, below the folder of the data sets."""

COMMAND = "python scripts/prepare_weights.py --name=inception"
TIMEOUT = 60
"""Seconds without an answer after which a download fails."""


class Weights(NamedTuple):
    """The network's numbers.

    Attributes:
      variables: of `Inception`.
      sha256: of the file that they came from.
    """

    variables: PyTree
    sha256: str

    @property
    def word(self) -> str:
        """What stands for them in the names of metrics: "inception", and the head of the hash of other weights."""
        return "inception" if self.sha256.startswith(HEAD) else f"inception-{self.sha256[:8]}"


def place() -> Path:
    """Where the converted weights are kept."""
    return data_dir() / PLACE


@functools.cache
def tensor_shapes() -> dict[str, tuple[int, ...]]:
    """The tensors that a checkpoint must have, by name, with their shapes; it may have others."""
    image = jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), np.float32)
    params = jax.eval_shape(Inception().init, jax.random.key(0), image)["params"]
    shapes = {"fc.weight": params.pop("fc")["kernel"].shape[::-1]}
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        *unit, _, kind = (key.key for key in path)
        if kind == "kernel":
            height, width, before, after = leaf.shape
            shapes[".".join((*unit, "conv.weight"))] = (after, before, height, width)
            shapes |= {".".join((*unit, "bn", part)): (after,) for part in (
                "weight", "bias", "running_mean", "running_var")}
    return shapes


def check(tensors: Mapping[str, np.ndarray], path: Path) -> None:
    """Raises a UserError unless the tensors are those of the network, all of them finite."""
    for name, shape in tensor_shapes().items():
        if name not in tensors:
            raise UserError(f"{path} has no tensor {name!r}: it is no Inception of the FID.")
        if tensors[name].shape != shape:
            raise UserError(f"{path}: the tensor {name!r} has the shape {tensors[name].shape}, not {shape}: it is no "
                            "Inception of the FID (torchvision's has 1,000 classes).")
        if not np.isfinite(tensors[name]).all():
            raise UserError(f"{path}: the tensor {name!r} holds a NaN or an infinity.")
        if name.endswith("running_var") and tensors[name].min() < 0:
            raise UserError(f"{path}: the tensor {name!r} holds a negative variance.")


def prepare(source: Path | None, allow_other: bool = False) -> tuple[Path, str]:
    """Converts the user's file, or one that is downloaded, and keeps it; returns its place and the file's SHA-256.

    A safetensors file that this function wrote passes on the hash that it carries.
    Raises a UserError where the file is damaged, holds another network, or has another hash and that is not allowed.
    """
    source = source or download(place().parent)
    tensors, sha256 = original(source)
    if not sha256.startswith(HEAD) and not allow_other:
        raise UserError(f"{source} has the SHA-256 {sha256[:16]}..., and the published weights {HEAD}...: take those, "
                        "or give --allow_other, which puts the hash into the name of every metric.")
    check(tensors, source)
    target = place()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{target.parent}: cannot be made: {error.strerror}.") from error
    write_atomically(target, checkpoint.safetensors(tensors, {"sha256": sha256, "tensors": digest(tensors)}))
    return target, sha256


def original(path: Path) -> tuple[checkpoint.Tensors, str]:
    """The tensors of a file, and the SHA-256 of the file that they first came from."""
    tensors = checkpoint.read(path)
    metadata = _metadata(path)
    if "sha256" not in metadata:
        return tensors, hashlib.sha256(path.read_bytes()).hexdigest()
    if metadata.get("tensors") != digest(tensors):
        raise UserError(f"{path} is damaged: its tensors are not those that were written.")
    return tensors, metadata["sha256"]


def _metadata(path: Path) -> Mapping[str, str]:
    with path.open("rb") as file:
        begins = file.read(9)
        if begins[8:] != b"{":
            return {}
        file.seek(0)
        return checkpoint.read_safetensors(io.BytesIO(file.read()))[1]


def digest(tensors: Mapping[str, np.ndarray]) -> str:
    """A hash of names, shapes and numbers."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(f"{name} {tensors[name].shape} {tensors[name].dtype}".encode())
        found.update(np.ascontiguousarray(tensors[name]))
    return found.hexdigest()


def download(folder: Path) -> Path:
    """Fetches the published file into `folder`, unless it is there; it has its name once its hash is right."""
    file, url = next(iter(PUBLISHED.items()))
    path = folder / file
    if path.exists():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(url + file, timeout=TIMEOUT) as answer:
            content = answer.read(checkpoint.MOST_BYTES)
        found = hashlib.sha256(content).hexdigest()
        if not found.startswith(HEAD):
            raise ValueError(f"{len(content)} bytes with the SHA-256 {found[:16]}..., expected {HEAD}...")
    except (OSError, HTTPException, ValueError) as error:
        reason = str(getattr(error, "reason", error)) or type(error).__name__
        raise UserError(f"Cannot download {url}{file}: {reason}. Bring the file from elsewhere and give it with "
                        "--from=FILE.") from error
    write_atomically(path, content)
    return path


def require() -> None:
    """Raises a UserError, with the command that prepares them, where there are no weights."""
    if not place().is_file():
        raise UserError(f"The weights of Inception are not in {place().parent}: run `{COMMAND}` first, with "
                        "--from=FILE where there is no network.")


def load() -> Weights:
    """The weights that are kept; read once as long as the file stays as it is.

    Raises a UserError where there are none, or they are damaged; the message has the command.
    """
    require()
    facts = os.stat(place())
    return _load(place(), facts.st_mtime_ns, facts.st_size)


@functools.lru_cache(maxsize=1)
def _load(path: Path, *_: int) -> Weights:
    try:
        tensors, sha256 = original(path)
        check(tensors, path)
    except UserError as error:
        raise UserError(f"{error} `{COMMAND} --overwrite` writes it again.") from error
    return Weights(folded(tensors), sha256)
