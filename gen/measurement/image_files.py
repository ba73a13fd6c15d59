"""The image files of a folder, in the order of their paths, each as it is stored: of any size, in bytes.

Pixels are what the published tools read: Pillow's, as RGB or grey, without turning them as a camera says. Alpha is
shown over white and grey of 16 bits is scaled, where those tools drop the one and clip the other: both are told.
"""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from gen.data.folder import FORMATS, MOST_PIXELS, SUFFIXES, walk
from gen.data.pixels import DEEP, eight_bits
from gen.errors import UserError
from gen.evaluation.pretrained.extraction import Image
from gen.evaluation.pretrained.store import image_digest
from gen.terminal import printable

THREADS, AHEAD, NAMED = 4, 64, 3
"""Threads that decode, files that are decoded at once, unreadable ones that are named."""


def image_folder(path: Path, options, make):
    """The images below a folder, as a source, which `make` makes of its attributes.

    Every file is decoded once, for what is wrong with it and for its digest. Raises a UserError where there is no
    image, or one that cannot be read and is not to be skipped.
    """
    files = [folder / name for folder, names in walk(path) for name in names
             if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")]
    if not files:
        raise UserError(f"{path}: there is no image in it; files end in {', '.join(sorted(SUFFIXES))}.")
    good, bad, modes, sizes, digests = [], [], Counter(), Counter(), hashlib.sha256()
    for file, (mode, found) in zip(files, decoded(files), strict=True):
        if isinstance(found, Exception):
            bad.append((file, found))
            continue
        good.append(file)
        modes[mode] += 1
        sizes[found.shape] += 1
        digests.update(image_digest(found))
    _refuse(path, bad, len(files), options)
    _tell_modes(path, modes, options)
    if options.n > len(good):
        raise UserError(f"--n={options.n}: there are {len(good)} images in {path}.")
    good = good[:options.n or None]

    def images(start: int) -> Iterator[Image]:
        for file, (_, found) in zip(good[start:], decoded(good[start:]), strict=True):
            if isinstance(found, Exception):
                raise UserError(f"{printable(str(file))} was read and cannot be read now: {found}.")
            yield found

    identity = {"folder": digests.hexdigest(), "n": len(good)}
    name = path.resolve().name
    return make("".join(c if c.isalnum() or c == "." else "-" for c in name).strip("-.") or "images", len(good), sizes,
                identity, images)


def _refuse(path: Path, bad: list[tuple[Path, Exception]], n: int, options) -> None:
    if not bad:
        return
    names = "; ".join(f"{printable(str(file.relative_to(path)))} ({' '.join(str(error).split())})"
                      for file, error in bad[:NAMED])
    text = f"{path}: {len(bad)} of {n} files cannot be read: {names}{'; ...' if len(bad) > NAMED else ''}."
    if not options.skip_bad or len(bad) == n:
        raise UserError(f"{text} Mend or remove them, or give --skip_bad." if len(bad) < n else text)
    options.tell(f"{text} They are skipped.")


def _tell_modes(path: Path, modes: Counter, options) -> None:
    for mode, n in sorted(modes.items()):
        if mode in DEEP:
            options.tell(f"{path}: {n} images are grey of 16 bits; they are divided by 257, other tools clip them.")
        elif mode in ("RGBA", "LA", "PA"):
            options.tell(f"{path}: {n} images have alpha ({mode}); they are shown over white, other tools drop it.")
        elif mode not in ("RGB", "L"):
            options.tell(f"{path}: {n} images of the mode {mode} are taken as RGB.")


def decoded(files: list[Path]) -> Iterator[tuple[str, Image | Exception]]:
    """Mode and pixels of each file, in order, or what is wrong with it."""
    with ThreadPoolExecutor(THREADS) as pool:
        for first in range(0, len(files), AHEAD):
            yield from pool.map(_decoded, files[first:first + AHEAD])


def _decoded(file: Path) -> tuple[str, Image | Exception]:
    from PIL import Image as pillow

    try:
        if not stat.S_ISREG(os.stat(file).st_mode):
            raise ValueError("it is no regular file")
        with pillow.open(file, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels are more than {MOST_PIXELS:,}")
            mode = "PA" if image.mode == "P" and "transparency" in image.info else image.mode
            grey = image.mode in ("1", "L", *DEEP) and "transparency" not in image.info
            x = np.asarray(eight_bits(image, "L" if grey else "RGB"))
            return mode, x[..., None] if grey else x
    except Exception as error:  # Pillow's decoders raise errors of many types
        return "", error
