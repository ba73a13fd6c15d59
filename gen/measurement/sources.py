"""Images to measure, from wherever they come: how many, what they are, and each of them from any one on.

Nothing is in memory but some images at a time. Every source is read once before anything is computed: what is wrong
with it is known then, and its digest says which images they are.
"""

import contextlib
import hashlib
import itertools
import json
import math
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import UInt8

from gen import runs
from gen.config.messages import quoted
from gen.data import COMMON, RANGES, SOURCES, USERS, host_bytes, load, stacked
from gen.errors import UserError, nearest, reason
from gen.evaluation.pretrained import statistics
from gen.evaluation.pretrained.evaluators import data_digest
from gen.evaluation.pretrained.extraction import Image
from gen.files import user_path
from gen.measurement.image_files import image_folder

DRAWN = 50_000
"""Samples of a run, where the user does not say how many."""

ROWS, READ_BYTES = 256, 64 * 2**20
"""Images that are read at once, and their bytes."""

SHOWN, LONGEST = 5, 300
"""Names of arrays in a message, and characters of a path."""

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
"""Of numpy's format; the third one is for names of fields that are not Latin."""

TellUser = Callable[[str], None]
"""Takes a sentence for the user."""


@dataclass(frozen=True)
class Source:
    """Images.

    Attributes:
      name: what stands for them in the names of metrics.
      n: how many.
      sizes: (height, width, channels) to the number of images, where it is known.
      identity: plain data that say which images they are.
      images: the number of an image -> all from there on.
    """

    name: str
    n: int
    sizes: Mapping[tuple[int, ...], int]
    identity: Mapping[str, Any]
    images: Callable[[int], Iterator[Image]]


@dataclass(frozen=True)
class SourceOptions:
    """How sources are opened.

    Attributes:
      n: take the first so many, or draw as many from a run; 0 for all, of a run `DRAWN`.
      step, seed: of a run's checkpoint and of its samples.
      skip_bad: leave files out that cannot be read.
      tell: is told what is noteworthy.
    """

    n: int = 0
    step: int | str | None = None
    seed: int = 0
    skip_bad: bool = False
    tell: TellUser = lambda text: None


def opened(what: str | Path | np.ndarray, options: SourceOptions) -> Source:
    """The images of an array, a folder of images, a run's folder, an npz file, or "DATASET:SPLIT".

    Raises a UserError where there are none, or they cannot be measured.
    """
    try:
        source = _opened(what, options)
    except OSError as error:
        raise UserError(f"{quoted(str(what), LONGEST)}: cannot be read: {error.strerror}.") from error
    if source.n < 2:
        where = source.name if isinstance(what, np.ndarray | jax.Array) else what
        there = "is 1 image" if source.n else "are no images"
        raise UserError(f"{where}: there {there}; a measurement needs two at least.")
    if len(source.sizes) > 1:
        common = ", ".join(f"{n:,} of {h}x{w}" for (h, w, _), n in Counter(source.sizes).most_common(3))
        options.tell(f"{source.name}: the images have {len(source.sizes)} sizes ({common}); each is resized alone.")
    if {shape[2] for shape in source.sizes} == {1}:
        options.tell(f"{source.name}: the images are grey; their channel is taken three times.")
    return source


def _opened(what: str | Path | np.ndarray, options: SourceOptions) -> Source:
    if isinstance(what, np.ndarray | jax.Array):
        return _array(np.asarray(what), "array", options)
    if (found := re.fullmatch(r"([\w-]+):(train|test)", str(what))) and not Path(what).exists():
        return _data_set(*found.groups(), options)
    path = user_path(what)
    if path.is_dir():
        return _run(path, options) if (path / "config.json").is_file() else image_folder(path, options, Source)
    if path.is_file() and path.suffix == ".npz":
        return _npz(path, options)
    if path.exists():
        raise UserError(f"{what}: images are a folder, an npz file, a run's folder or DATASET:SPLIT; this is a file.")
    name, *split = str(what).split(":")
    if name in SOURCES:
        raise UserError(f"{what}: name a split, {name}:train or {name}:test.")
    hint = nearest(name, SOURCES) if re.fullmatch(r"[\w-]+", name) and len(split) < 2 else ""
    raise UserError(f"{quoted(str(what), LONGEST)}: there is no such folder or file, and no such DATASET:SPLIT (train "
                    f"or test).{hint}")


def word(text: str) -> str:
    """A text as part of a metric's name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.") or "images"


def first(n: int, options: SourceOptions) -> int:
    """How many of n images are taken. A UserError where more are asked for than there are."""
    if options.n > n:
        raise UserError(f"--n={options.n}: there are {n} images.")
    return options.n or n


def _array(x: np.ndarray, name: str, options: SourceOptions) -> Source:
    check_pixels(name, x.dtype, x.shape)
    n = first(len(x), options)
    return Source(name, n, {x.shape[1:]: n}, {"sha256": data_digest(x[:n])}, lambda start: iter(x[start:n]))


def check_pixels(name: str, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    """Raises a UserError unless these are bytes [n h w c] of 1 or 3 channels."""
    if len(shape) != 4 or min(shape[1:]) < 1 or shape[3] not in (1, 3):
        hint = "; channels come last" if len(shape) == 4 and shape[1] in (1, 3) else ""
        raise UserError(f"{name}: images are [n, height, width, 1 or 3]; these are {list(shape)}{hint}.")
    if dtype != np.uint8:
        raise UserError(f"{name}: the pixels are {dtype}, and nothing says which value is white, nor whether a NaN is "
                        "among them: give bytes (uint8, 0 to 255), rounded.")


def _npz(path: Path, options: SourceOptions) -> Source:
    """ADM's layout: the images are `arr_0`, or the one array of a file."""
    with _reading(path), zipfile.ZipFile(path) as archive:
        member = _images_of(path, archive)
        with archive.open(member) as file:
            shape, dtype = _npy_header(file)
            check_pixels(str(path), dtype, shape)
            size = member.file_size - file.tell()
        if size != math.prod(shape):
            raise UserError(f"{path} is damaged: {member.filename} says that it has {shape[0]} images, "
                            f"{math.prod(shape)} bytes, and there are {size}.")
        if broken := archive.testzip():
            raise UserError(f"{path} is damaged: {broken} has another checksum.")
        n = first(shape[0], options)
        with path.open("rb") as whole:
            digest = hashlib.file_digest(whole, "sha256").hexdigest()
    return Source(word(path.stem), n, {tuple(shape[1:]): n}, {"npz": digest, "n": n},
                  lambda start: itertools.islice(_npz_images(path), start, n))


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns any error but a UserError into one that names the file: damaged ones raise errors of many types."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path} cannot be read: {reason(error)}.") from error


def _images_of(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The array of the images in an npz file. Raises a UserError where nothing says which one that is."""
    arrays = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
    if "arr_0" in arrays:
        return arrays["arr_0"]
    if len(arrays) != 1:
        names = ", ".join(sorted(arrays)[:SHOWN]) + (", ..." if len(arrays) > SHOWN else "")
        raise UserError(f"{path}: which of its arrays are the images? {names or 'there are none'}; ADM's layout has "
                        "them in arr_0.")
    return next(iter(arrays.values()))


def _npy_header(file) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:
        raise ValueError(f"its array has the version {version[0]}.{version[1]} of the format")
    shape, fortran, dtype = HEADERS[version](file)
    if fortran:
        raise ValueError("its array is in Fortran's order; write it with numpy.ascontiguousarray")
    return shape, dtype


def _npz_images(path: Path) -> Iterator[UInt8[np.ndarray, "h w c"]]:
    with _reading(path), zipfile.ZipFile(path) as archive, archive.open(_images_of(path, archive)) as file:
        (n, *shape), _ = _npy_header(file)
        size = math.prod(shape)
        rows = min(ROWS, max(1, READ_BYTES // size))
        for begin in range(0, n, rows):
            now = min(rows, n - begin)
            yield from np.frombuffer(file.read(now * size), np.uint8).reshape(now, *shape)


def _data_set(name: str, split: str, options: SourceOptions) -> Source:
    if name not in SOURCES or name in (*USERS, stacked.ON_THE_FLY):
        known = sorted(set(SOURCES) - {*USERS, stacked.ON_THE_FLY})
        raise UserError(f"{name}:{split}: unknown data set.{nearest(name, known)}")
    defaults = {key: COMMON[key] for key in ("range", "binarize")}
    x = getattr(load({"name": name, **defaults}), split)["x"]
    check_pixels(f"{name}:{split}", x.dtype, x.shape)
    n = first(len(x), options)

    def images(start: int) -> Iterator[np.ndarray]:
        for begin in range(start, n, ROWS):
            yield from x[begin:min(begin + ROWS, n)]

    identity = {"data": name, "split": split, "n": n, "sha256": data_digest(x)}
    return Source(f"{name}-{split}".replace("_", "-"), n, {tuple(x.shape[1:]): n}, identity, images)


def _run(path: Path, options: SourceOptions) -> Source:
    run = runs.load(path, options.step)
    if len(run.spec.shape) != 3 or run.spec.range not in RANGES:
        raise UserError(f"{path}: this run's examples are no images, but of the shape {tuple(run.spec.shape)}.")
    check_pixels(str(path), np.dtype(np.uint8), (1, *run.spec.shape))
    runs.seed_key(options.seed)
    n = options.n or DRAWN

    def images(start: int) -> Iterator[np.ndarray]:
        batches = run.batches(n, options.seed, first=start)
        return (image for x in batches for image in host_bytes(x, run.spec.range))

    identity = {"run": _parameters(run.state.params), "config": hashlib.sha256(
        json.dumps(run.config.to_dict(), sort_keys=True, default=str).encode()).hexdigest(),
        "step": run.step, "seed": options.seed, "n": n}
    return Source(word(path.resolve().name), n, {tuple(run.spec.shape): n}, identity, images)


def _parameters(params: Any) -> str:
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(params):
        found.update(np.ascontiguousarray(leaf))
    return found.hexdigest()


def is_statistics(what: Any) -> bool:
    """Whether this is a file of a mean and a covariance."""
    try:
        return isinstance(what, str | Path) and user_path(what).is_file() and statistics.is_statistics(user_path(what))
    except OSError:  # `opened` says what is wrong with it
        return False
