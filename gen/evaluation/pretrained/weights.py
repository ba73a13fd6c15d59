"""The weights of a network: the user's own files, checked by their SHA-256, kept as safetensors beside the data sets.

`Published` says which files those are. Other weights are taken where the user says so, and then the head of their
hash is in the name of every metric.
"""

import functools
import hashlib
import io
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import PyTree

from gen.data.images import data_dir
from gen.errors import UserError
from gen.evaluation.pretrained import checkpoint
from gen.files import write_atomically

TIMEOUT = 60
"""Seconds without an answer after which a download fails."""


class File(NamedTuple):
    """A published file.

    Attributes:
      name: that it has.
      folder: its address.
      head: of its SHA-256.
    """

    name: str
    folder: str
    head: str


class Published(NamedTuple):
    """The published weights of a network.

    Attributes:
      name: of the command that prepares them.
      title: in messages.
      word: in the names of metrics.
      place: of the converted weights, below the folder of the data sets.
      files: whose tensors together are the network's.
      shapes: () -> the tensors that there must be, by name, with their shapes; there may be others.
      converted: those -> the network's variables.
      otherwise: what tensors of other shapes are not.
    """

    name: str
    title: str
    word: str
    place: str
    files: tuple[File, ...]
    shapes: Callable[[], Mapping[str, tuple[int, ...]]]
    converted: Callable[[Mapping[str, np.ndarray]], PyTree]
    otherwise: str

    @property
    def path(self) -> Path:
        """Where the converted weights are kept."""
        return data_dir() / self.place

    @property
    def command(self) -> str:
        """That prepares them."""
        return f"python scripts/prepare_weights.py --name={self.name}"

    @property
    def sources(self) -> str:
        """What the command is given where there is no network."""
        if len(self.files) == 1:
            return "--from=FILE"
        return f"--from=FILE for each of {', '.join(file.name for file in self.files)}, in this order,"


class Weights(NamedTuple):
    """The network's numbers.

    Attributes:
      variables: of the network.
      sha256: of the file that they came from; of several, one after the other.
      word: what stands for them in the names of metrics; the head of the hash of other weights is in it.
    """

    variables: PyTree
    sha256: str
    word: str


def word(published: Published, sha256: str) -> str:
    """The published word, or, of other weights, that and the head of the first other file's hash."""
    other = [found for found, file in zip(sha256.split(), published.files, strict=True)
             if not found.startswith(file.head)]
    return f"{published.word}-{other[0][:8]}" if other else published.word


def check(published: Published, tensors: Mapping[str, np.ndarray], path: Path) -> None:
    """Raises a UserError unless the tensors are those of the network, all of them finite."""
    for name, shape in published.shapes().items():
        if name not in tensors:
            raise UserError(f"{path} has no tensor {name!r}: it is {published.otherwise}.")
        if tensors[name].shape != shape:
            raise UserError(f"{path}: the tensor {name!r} has the shape {tensors[name].shape}, not {shape}: it is "
                            f"{published.otherwise}.")
        if not np.isfinite(tensors[name]).all():
            raise UserError(f"{path}: the tensor {name!r} holds a NaN or an infinity.")
        if name.endswith("running_var") and tensors[name].min() < 0:
            raise UserError(f"{path}: the tensor {name!r} holds a negative variance.")


def prepare(published: Published, sources: Sequence[Path] = (), allow_other: bool = False) -> tuple[Path, str]:
    """Converts the user's files, or those that are downloaded, and keeps the tensors; returns place and SHA-256.

    A safetensors file that this function wrote is a source by itself, and passes on the hash that it carries.
    Raises a UserError where a file is damaged, holds another network, or has another hash and that is not allowed.
    """
    sources = sources or [download(file, published.path.parent) for file in published.files]
    tensors, found = {}, []
    for source in sources:
        part, sha256 = original(source)
        tensors |= part
        found += sha256.split()
    if len(found) != len(published.files):
        raise UserError(f"{published.title} has {len(published.files)} files, and these are {len(found)}: give "
                        f"{published.sources} to `{published.command}`.")
    for sha256, file in zip(found, published.files, strict=True):
        if not sha256.startswith(file.head) and not allow_other:
            raise UserError(f"{', '.join(map(str, sources))}: one has the SHA-256 {sha256[:16]}..., and the published "
                            f"weights, {file.name}, {file.head}...: take those, or give --allow_other, which puts the "
                            "hash into the name of every metric.")
    check(published, tensors, sources[0])
    kept, target = {name: tensors[name] for name in published.shapes()}, published.path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{target.parent}: cannot be made: {error.strerror}.") from error
    metadata = {"sha256": " ".join(found), "tensors": digest(kept)}
    write_atomically(target, checkpoint.safetensors(kept, metadata))
    return target, metadata["sha256"]


def original(path: Path) -> tuple[checkpoint.Tensors, str]:
    """The tensors of a file, and the SHA-256 of the file, or files, that they first came from."""
    tensors = checkpoint.read(path)
    metadata = _metadata(path)
    if "sha256" not in metadata:
        with path.open("rb") as file:
            return tensors, hashlib.file_digest(file, "sha256").hexdigest()
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


def download(file: File, folder: Path) -> Path:
    """Fetches the published file into `folder`, unless it is there; it has its name once its hash is right."""
    path, url = folder / file.name, file.folder + file.name
    if path.exists():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            content = answer.read(checkpoint.MOST_BYTES)
        found = hashlib.sha256(content).hexdigest()
        if not found.startswith(file.head):
            raise ValueError(f"{len(content)} bytes with the SHA-256 {found[:16]}..., expected {file.head}...")
    except (OSError, HTTPException, ValueError) as error:
        reason = str(getattr(error, "reason", error)) or type(error).__name__
        raise UserError(f"Cannot download {url}: {reason}. Bring the file from elsewhere and give it with "
                        "--from=FILE.") from error
    write_atomically(path, content)
    return path


def require(published: Published) -> None:
    """Raises a UserError, with the command that prepares them, where there are no weights."""
    if not published.path.is_file():
        raise UserError(f"The weights of {published.title} are not in {published.path.parent}: run "
                        f"`{published.command}` first, with {published.sources} where there is no network.")


def load(published: Published) -> Weights:
    """The weights that are kept; read once as long as the file stays as it is.

    Raises a UserError where there are none, or they are damaged; the message has the command.
    """
    require(published)
    facts = os.stat(published.path)
    return _load(published, published.path, facts.st_mtime_ns, facts.st_size)


@functools.lru_cache(maxsize=3)
def _load(published: Published, path: Path, *_: int) -> Weights:
    try:
        tensors, sha256 = original(path)
        check(published, tensors, path)
    except UserError as error:
        raise UserError(f"{error} `{published.command} --overwrite` writes it again.") from error
    return Weights(published.converted(tensors), sha256, word(published, sha256))
