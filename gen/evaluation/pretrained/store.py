"""Outputs of a set of images on the disk, a row for each image, so that what is computed is not computed again.

A row counts once the digest of its image is written, after its outputs: a process that is killed loses a batch at most.
What the rows are of (the images, the rule of resizing, the weights) is the store's identity; a folder of another
identity is refused.
"""

import collections
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from jaxtyping import Float

from gen.data.images import data_dir
from gen.errors import UserError
from gen.evaluation.pretrained.extraction import Extractor, Image, Outputs, batches
from gen.evaluation.pretrained.networks import Network
from gen.files import write_atomically

DIGEST = 16
"""Bytes that stand for an image."""


def image_digest(image: Image) -> bytes:
    """A hash of an image's size and pixels."""
    found = hashlib.blake2b(repr(image.shape).encode(), digest_size=DIGEST)
    found.update(np.ascontiguousarray(image))
    return found.digest()


class Store:
    """Rows of outputs in a folder.

    Attributes:
      folder: where they are.
      identity: plain data that say of what.
      widths: outputs to how many numbers of an image they are.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], widths: Mapping[str, int]):
        self.folder, self.identity, self.widths = folder, dict(identity), widths

    def path(self, name: str) -> Path:
        """The file of the outputs of that name."""
        return self.folder / f"{name}.float32"

    def done(self, names) -> int:
        """How many images have all outputs of these names."""
        rows = [self._size(self.path(name)) // (4 * self.widths[name]) for name in names]
        return min(self._size(self.folder / "digests") // DIGEST, *rows)

    @staticmethod
    def _size(path: Path) -> int:
        return path.stat().st_size if path.is_file() else 0

    def write(self, first: int, outputs: Outputs, digests: list[bytes]) -> None:
        """Writes the rows of the images from `first` on."""
        for name, values in outputs.items():
            self._put(self.path(name), first * 4 * self.widths[name], np.float32(values).tobytes())
        self._put(self.folder / "digests", first * DIGEST, b"".join(digests))

    @staticmethod
    def _put(path: Path, at: int, data: bytes) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        with os.fdopen(descriptor, "r+b") as file:
            file.seek(at)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def rows(self, name: str, n: int) -> Float[np.ndarray, "n d"]:
        """The first n rows, which stay on the disk."""
        return np.memmap(self.path(name), np.float32, "r", shape=(n, self.widths[name]))

    def data_digest(self, n: int) -> str:
        """A hash of the first n images."""
        with (self.folder / "digests").open("rb") as file:
            return hashlib.sha256(file.read(n * DIGEST)).hexdigest()

    def remove(self) -> None:
        """Deletes the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def place(network: Network, identity: Mapping[str, Any]) -> Path:
    """The folder of an identity, below that of the data sets."""
    text = json.dumps(identity, sort_keys=True)
    return data_dir() / network.folder / "outputs" / hashlib.sha256(text.encode()).hexdigest()[:16]


@contextlib.contextmanager
def opened(network: Network, identity: Mapping[str, Any], tell: Callable[[str], None] = logging.warning
           ) -> Iterator[Store]:
    """The store of an identity, for this process alone: where another one has it, that is told and waited for.

    Raises a UserError where it is of something else, or its folder cannot be written.
    """
    folder = place(network, identity)
    try:
        with _held(folder, tell):
            _identify(folder / "identity.json", identity)
            yield Store(folder, identity, network.widths)
    except OSError as error:
        raise UserError(f"{error.filename or folder}: the outputs of {network.published.title} cannot be kept: "
                        f"{error.strerror}.") from error


@contextlib.contextmanager
def _held(folder: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """Holds the folder, which the one that had it before may have removed."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                tell(f"Another process is measuring the same images ({folder}); this one waits for it.")
                fcntl.flock(lock, fcntl.LOCK_EX)
            if (folder / "lock").exists() and os.path.samestat(os.fstat(lock.fileno()), os.stat(folder / "lock")):
                yield
                return


def _identify(path: Path, identity: Mapping[str, Any]) -> None:
    if not path.exists():
        write_atomically(path, json.dumps(identity, indent=2, sort_keys=True))
    elif path.read_bytes() != json.dumps(identity, indent=2, sort_keys=True).encode():
        raise UserError(f"{path.parent} has the outputs of other images: remove it.")


def fill(store: Store, images: Callable[[int], Iterator[Image]], n: int, wanted: tuple[str, ...], extract: Extractor,
         tell: Callable[[int], None] = lambda done: None) -> None:
    """Computes the outputs `wanted` of the images that have none yet.

    Args:
      store: to which they are written, a batch at a time.
      images: the number of an image -> all from there on.
      n: how many images there are.
      wanted: names of outputs.
      extract: computes them; not called where all are there.
      tell: told how many are done, after each batch.
    """
    done, digests = store.done(wanted), collections.deque()
    if done >= n:
        return

    def noted():
        for batch in batches(images(done)):
            digests.append([image_digest(image) for image in batch])
            yield batch

    first = done
    for outputs in extract(noted()):
        names = digests.popleft()
        store.write(first, outputs, names)
        first += len(names)
        tell(first)
