"""Images that lie in one file: a zip as StyleGAN's tools write it, an npz, tar shards as webdataset reads them.

Each format is a function that lists what there is; images are cut and resized as those of a folder, in memory.
"""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from absl import logging

from gen.config.ranges import Count, Interior, Natural
from gen.data.folder import MODES, SUFFIXES, decoded, natural, place_of, square
from gen.data.streaming import RESIDENT_BYTES
from gen.errors import UserError, reason
from gen.files import user_path
from gen.terminal import printable

MOST_BYTES = 200 * 2**20
"""Of one compressed image."""

Splits = tuple[dict[str, np.ndarray], dict[str, np.ndarray], int | tuple[str, ...]]


class Item(NamedTuple):
    """An image of a file.

    Attributes:
      name: of the image, which says in what split it is.
      label: a number, the name of a class, or None.
      content: reads the image: its bytes, or [h w c] in uint8.
    """

    name: str
    label: int | str | None
    content: Callable[[], bytes | np.ndarray]


def packed(path: str, size: Count = 64, channels: Count = 3, test_fraction: Interior[float] = 0.1,
           train_examples: Natural = 0, test_examples: Natural = 0) -> Splits:
    """The images in the file `path`, or in the tar shards of a folder: squares of `size` pixels, in memory.

    `.zip`: images, and their labels in `dataset.json` if there is one, else by subfolder (Karras et al. 2020). `.npz`:
    `arr_0`, `x` or `images`, uint8 [n h w c], and labels in `arr_1`, `y`, `label` or `labels`. `.tar`: of each key an
    image and its label, KEY.jpg and KEY.cls, or {"label": ...} in KEY.json (webdataset).

    What is in the test split depends on the name of an image alone, as in a folder; an image that cannot be read is
    named, left out and counted.

    Args:
      path: the file, or a folder of `.tar` files.
      size, channels, test_fraction, train_examples, test_examples: as of `folder`.
    Returns:
      train, test, the number of classes or their names.
    Raises:
      UserError: no such file, another format, no image of a split, images of which only some have labels, more than fit
        in memory, options out of range.
    """
    if channels not in MODES or not 1 <= size <= 4_096 or not 0 < test_fraction < 1:
        raise UserError(f"config.data: channels={channels} must be 1 or 3, size={size} in 1..4096, "
                        f"test_fraction={test_fraction} between 0 and 1.")
    items = listed(user_path(path))
    labelled = [item.label is not None for item in items]
    if any(labelled) and not all(labelled):
        lone = items[labelled.index(False)].name
        raise UserError(f"config.data.path={path}: {printable(lone)} has no label, and others have: give all or none.")
    for item in items:
        if labelled[0] and (not isinstance(item.label, int | str) or isinstance(item.label, int) and item.label < 0):
            raise UserError(f"config.data.path={path}: the label of {printable(item.name)} is "
                            f"{printable(repr(item.label))}: it must be a number from 0 on, or the name of a class.")
    names = sorted({item.label for item in items if isinstance(item.label, str)}, key=natural)
    numbers = {name: i for i, name in enumerate(names)}
    splits = {"train": [], "test": []}
    for item in sorted(items, key=lambda item: (place_of(item.name), item.name)):
        splits["test" if place_of(item.name) < test_fraction else "train"].append(item)
    found = {}
    for split, most in (("train", train_examples), ("test", test_examples)):
        chosen = splits[split][:most or None]
        if (total := len(chosen) * size**2 * channels) > RESIDENT_BYTES:
            raise UserError(f"config.data.path={path}: {len(chosen):,} images of {size} x {size} take {total:,} bytes: "
                            "unpack them and use config.data.name=folder, or keep fewer by train_examples.")
        found[split] = _read(path, chosen, size, channels, numbers, any(labelled))
        if not len(found[split]["x"]):
            raise UserError(f"config.data.path={path}: none of its {len(items)} images is in the {split} split with "
                            f"config.data.test_fraction={test_fraction}: change it, or add images.")
    if names and len({type(item.label) for item in items}) > 1:
        raise UserError(f"config.data.path={path}: some labels are numbers and some are names: give one kind.")
    if names:
        return found["train"], found["test"], tuple(names)
    labels = [part["label"].max() for part in found.values()] if any(labelled) else [-1]
    return found["train"], found["test"], int(max(labels)) + 1


def _read(path: str, items: Sequence[Item], size: int, channels: int, numbers: dict[str, int], labelled: bool
          ) -> dict[str, np.ndarray]:
    images, labels, unreadable = [], [], 0
    for item in items:
        try:
            content = item.content()
            if isinstance(content, bytes):
                images.append(decoded(io.BytesIO(content), size, channels))
            else:
                images.append(_resized(content, size, channels))
            labels.append(numbers.get(item.label, item.label))
        except Exception as error:  # Pillow's decoders raise errors of many types
            unreadable += 1
            logging.warning("%s, %s: cannot be read (%s) and is left out; %d so far.", printable(path),
                            printable(item.name), " ".join(str(error).split()), unreadable)
    x = np.stack(images) if images else np.zeros((0, size, size, channels), np.uint8)
    return {"x": x} | ({"label": np.array(labels, np.int32)} if labelled else {})


def _resized(image: np.ndarray, size: int, channels: int) -> np.ndarray:
    from PIL import Image

    if image.shape == (size, size, channels):
        return image
    return square(Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image), size, channels)


def listed(path: Path) -> list[Item]:
    """The images of a file, or of the shards of a folder. Raises a UserError where there are none, or no such file."""
    shards = sorted(path.glob("*.tar")) if path.is_dir() else [path]
    if not path.exists() or not shards:
        raise UserError(f"config.data.path={path}: there is no such file, and no folder with .tar files.")
    items = []
    for shard in shards:
        if shard.suffix not in FORMATS:
            raise UserError(f"config.data.path={shard}: the file must end in {', '.join(FORMATS)}.")
        try:
            items += FORMATS[shard.suffix](shard)
        except UserError:
            raise
        except Exception as error:  # a damaged file raises errors of many types
            raise UserError(f"config.data.path={shard}: cannot be read: {reason(error)}.") from error
    if not items:
        raise UserError(f"config.data.path={path}: there is no image in it; their names must end in "
                        f"{', '.join(sorted(SUFFIXES))}.")
    return items


def of_zip(path: Path) -> Iterator[Item]:
    """StyleGAN's: a name of `dataset.json` is relative to it, and `labels` may be null."""
    archive = zipfile.ZipFile(path)  # open until its last item is gone: opening it reads its whole directory
    infos = [info for info in archive.infolist() if _is_image(info.filename)]
    tables = [name for name in archive.namelist() if PurePosixPath(name).name == "dataset.json"]
    labels = dict(json.loads(archive.read(tables[0])).get("labels") or []) if tables else {}
    root = str(PurePosixPath(tables[0]).parent) if tables else "."
    for info in infos:
        parts = PurePosixPath(info.filename).parts
        name = info.filename if root == "." else info.filename.removeprefix(f"{root}/")
        label = labels.get(name) if tables else parts[-2] if len(parts) > 1 else None
        yield Item(info.filename, label, lambda info=info: _member(archive, info))


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    _check_size(info.file_size)
    return archive.read(info)


def of_npz(path: Path) -> Iterator[Item]:
    """ADM's layout, or the names that people give."""
    with np.load(path, allow_pickle=False) as file:
        x = next((file[name] for name in ("arr_0", "x", "images") if name in file), None)
        label = next((file[name] for name in ("arr_1", "y", "label", "labels") if name in file), None)
    if x is None or x.dtype != np.uint8 or x.ndim not in (3, 4) or label is not None and label.shape != x.shape[:1]:
        raise UserError(f"config.data.path={path}: arr_0, x or images must be uint8 [n h w c], and labels [n].")
    x = x[..., None] if x.ndim == 3 else x
    for i, image in enumerate(x):
        yield Item(str(i), None if label is None else int(label[i]), lambda image=image: image)


def of_tar(path: Path) -> Iterator[Item]:
    """webdataset's: members of one key, which is the name up to its first dot, are one example."""
    examples: dict[str, dict[str, tarfile.TarInfo]] = {}
    with tarfile.open(path, "r:") as archive:
        for member in archive:
            if member.isfile():
                folder, _, file = member.name.rpartition("/")
                key, _, ending = file.partition(".")
                examples.setdefault(f"{folder}/{key}", {})[ending.lower()] = member
        labels = {key: _label(archive, parts) for key, parts in examples.items()}
    for key, parts in examples.items():
        image = next((member for ending, member in parts.items() if f".{ending.rpartition('.')[2]}" in SUFFIXES), None)
        if image is not None:
            yield Item(f"{path.name}{key}", labels[key], lambda image=image: _content(path, image))


def _label(archive: tarfile.TarFile, parts: dict[str, tarfile.TarInfo]) -> int | str | None:
    if "cls" in parts:
        text = archive.extractfile(parts["cls"]).read(1_000).decode().strip()
    elif "json" in parts:
        text = json.loads(archive.extractfile(parts["json"]).read(MOST_BYTES)).get("label")
    else:
        return None
    return int(text) if str(text).lstrip("-").isdecimal() else text


def _content(path: Path, member: tarfile.TarInfo) -> bytes:
    _check_size(member.size)
    with path.open("rb") as file:
        file.seek(member.offset_data)
        return file.read(member.size)


def _check_size(size: int) -> None:
    if size > MOST_BYTES:
        raise ValueError(f"{size:,} bytes are more than {MOST_BYTES:,}")


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not any(part.startswith((".", "__MACOSX")) for part in path.parts)


FORMATS: dict[str, Callable[[Path], Iterator[Item]]] = {".zip": of_zip, ".npz": of_npz, ".tar": of_tar}
"""Ending to function(path) -> images."""
