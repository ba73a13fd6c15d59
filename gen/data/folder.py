"""The images of a folder, of any sizes and formats that Pillow reads, as a data set of squares."""

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from absl import logging

from gen.config.ranges import Count, Interior, Natural
from gen.data import streaming
from gen.data.pixels import eight_bits
from gen.errors import UserError
from gen.files import user_path
from gen.terminal import printable

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Names of image files end so, in any case; other files are no part of the data set."""

MODES = {1: "L", 3: "RGB"}
"""Channels to Pillow's mode."""

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
"""What a file may be, whatever its name says: Pillow's other readers start programs or are seldom tested."""

MOST_PIXELS = 50_000_000
"""Of one image, which takes three or four bytes a pixel to decode, in each of four threads."""

MOST_TEST_EXAMPLES = 10_000
"""Of a folder's test split, which is in memory, unless the config says how many."""

Splits = tuple[dict[str, np.ndarray] | dict[str, streaming.Column], dict[str, np.ndarray], int | tuple[str, ...]]


def folder(path: str, size: Count = 64, channels: Count = 3, test_fraction: Interior[float] = 0.1,
           train_examples: Natural = 0, test_examples: Natural = 0, loading: str = "auto", workers: Natural = 1
           ) -> Splits:
    """The images below the folder `path`: the largest square in the centre, resized to `size` with a Lanczos filter.

    Where they lie in subfolders, these are the classes, numbers in their names counted: "2" before "10". Links are
    followed and hidden folders left out. Which split a file is in, and its place there, depend on its path below the
    folder alone (SHA-256), so that classes are mixed and another file moves none.

    A file that cannot be read is named, skipped and counted: the next one of its split that can be read has its place,
    so that all others keep theirs.

    Args:
      path: the folder.
      size: width and height of the images, in pixels.
      channels: 3 for colour, 1 for grey.
      test_fraction: of the files, to test on.
      train_examples, test_examples: keep the first so many; 0 keeps all, of the test split `MOST_TEST_EXAMPLES`.
      loading: a key of `streaming.LOADINGS`, of the training images; those of the test split are always in memory.
      workers: processes that read a streamed set; 0 reads in this process.
    Returns:
      train, test, names of the classes.
    Raises:
      UserError: no such folder, no image of a split in it, images beside subfolders with images, options out of range.
    """
    if channels not in MODES or not 1 <= size <= 4_096 or not 0 < test_fraction < 1:
        raise UserError(f"config.data: channels={channels} must be 1 or 3, size={size} in 1..4096, "
                        f"test_fraction={test_fraction} between 0 and 1.")
    files, classes = _listing(user_path(path))
    splits = {"train": [], "test": []}
    for place, file in sorted((place_of(file), file) for file in files):
        splits["test" if place < test_fraction else "train"].append(file)
    for split, most in (("train", train_examples), ("test", test_examples or MOST_TEST_EXAMPLES)):
        if not splits[split]:
            raise UserError(f"config.data.path={path}: none of its {len(files)} images is in the {split} split with "
                            f"config.data.test_fraction={test_fraction}: change it, or add images.")
        splits[split] = splits[split][:most or None]
    train, test = (Files(user_path(path), files, classes, size, channels, workers) for files in splits.values())
    return streaming.load(train, loading), streaming.load(test, "resident"), tuple(classes)


def _listing(root: Path) -> tuple[list[str], list[str]]:
    """Paths of the images below `root`, relative to it, and the names of its subfolders, if these hold the images."""
    if not root.is_dir():
        raise UserError(f"config.data.path={root}: there is no such folder.")
    files = [(folder / name).relative_to(root).as_posix() for folder, names in walk(root)
             for name in names if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")]
    if not files:
        raise UserError(f"config.data.path={root}: there is no image in it; files must end in "
                        f"{', '.join(sorted(SUFFIXES))}.")
    nested = [file for file in files if "/" in file]
    if nested and len(nested) < len(files):
        lone = min(set(files) - set(nested))
        raise UserError(f"config.data.path={root}: {lone} is beside subfolders with images: put every image in a "
                        "subfolder, the name of its class, or none.")
    return files, sorted({file.split("/")[0] for file in nested}, key=natural)


def walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders below `root`, links to folders followed, and the names of their files; hidden folders are left out.

    A folder that holds itself by a link is entered once on each way.
    """
    for folder, folders, names in os.walk(root, followlinks=True):
        above = {os.path.realpath(parent) for parent in (Path(folder), *Path(folder).parents)}
        hidden = sorted(name for name in folders if name.startswith("."))
        if hidden:
            logging.warning("%s: hidden folders are no classes and are left out: %s.", printable(str(folder)),
                            printable(", ".join(hidden)))
        folders[:] = sorted(name for name in folders if name not in hidden
                            and os.path.realpath(os.path.join(folder, name)) not in above)
        yield Path(folder), sorted(names)


def natural(name: str) -> tuple:
    """The order in which people count: "2" before "10", "class 9" before "class 10"."""
    parts = re.split(r"([0-9]+)", name)
    return tuple((int(part), "") if i % 2 else (-1, part) for i, part in enumerate(parts)), name


def place_of(file: str) -> float:
    """A number in [0, 1) that the name alone decides, whatever bytes it has."""
    return int.from_bytes(hashlib.sha256(file.encode("utf-8", "surrogateescape")).digest()[:6], "big") / 2**48


@dataclass(frozen=True)
class Files:
    """Image files below `root` (`streaming.Records`); `unreadable` are those that this process has found so far."""

    root: Path
    files: list[str]
    classes: list[str]
    size: int
    channels: int
    workers: int
    unreadable: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def fields(self) -> dict:
        """Of one example."""
        image = {"x": ((self.size, self.size, self.channels), np.uint8)}
        return image | ({"label": ((), np.int32)} if self.classes else {})

    def read(self, indices: streaming.Rows) -> dict[str, np.ndarray]:
        """Returns the examples; the files are decoded by several threads."""
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            places, images = zip(*pool.map(self._readable, map(int, indices)), strict=True)
        label = [self.classes.index(self.files[i].split("/")[0]) for i in places] if self.classes else []
        return {"x": np.stack(images)} | ({"label": np.array(label, np.int32)} if self.classes else {})

    def _readable(self, i: int) -> tuple[int, np.ndarray]:
        """The image of file i, or else of the next one that can be read, and which file that is."""
        for j in (*range(i, len(self)), *range(i)):
            if self.files[j] not in self.unreadable:
                try:
                    return j, squared(self.root / self.files[j], self.size, self.channels)
                except Exception as error:  # Pillow's decoders raise errors of many types
                    self._skip(self.files[j], error)
        raise UserError(f"config.data.path={self.root}: none of its images can be read.")

    def _skip(self, file: str, error: Exception) -> None:
        if file not in self.unreadable:
            self.unreadable.add(file)
            logging.warning("%s: cannot be read (%s) and is skipped; %d of %d files so far.",
                            printable(str(self.root / file)),
                            " ".join(str(error).split()), len(self.unreadable), len(self))


def squared(path: Path, size: int, channels: int) -> np.ndarray:
    """The largest square in the centre of an image file, upright, [size size channels] in uint8."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("it is no regular file")
    return decoded(path, size, channels)


def decoded(file: Path | BytesIO, size: int, channels: int) -> np.ndarray:
    """The same of a file that is open already."""
    from PIL import Image

    with Image.open(file, formats=FORMATS) as image:
        return square(image, size, channels)


def square(image: "Image.Image", size: int, channels: int) -> np.ndarray:
    """The same of an image of Pillow's; a ValueError for one of too many pixels."""
    from PIL import Image, ImageOps

    if image.width * image.height > MOST_PIXELS:
        raise ValueError(f"{image.width} x {image.height} pixels are more than {MOST_PIXELS:,}")
    upright = eight_bits(ImageOps.exif_transpose(image), MODES[channels])
    side = min(upright.size)
    left, top = ((length - side) // 2 for length in upright.size)
    cut = upright.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(cut).reshape(size, size, channels)
