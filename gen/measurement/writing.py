"""Samples of a run in files that any tool reads: an npz of ADM's layout, or a folder of PNGs."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gen import runs
from gen.data import RANGES, host_bytes
from gen.errors import UserError
from gen.figures.grids import save_png

DIGITS = 6
"""Of a picture's name."""


def is_export(out: str) -> bool:
    """Whether a name is of an npz file or a folder, and not of a picture."""
    path = Path(out)
    return path.suffix == ".npz" or path.is_dir() or not path.suffix


def write(run: runs.Run, n: int, seed: int, label: str | None, out: str, truncation: float | None = None) -> None:
    """Writes n samples, as bytes, a batch in memory at a time: `arr_0` [n h w c], or 000000.png and so on.

    A file has its name once it is complete. Raises a UserError where the run's examples are no images, the folder holds
    files already, or nothing can be written.
    """
    shape = tuple(run.spec.shape)
    if len(shape) != 3 or run.spec.range not in RANGES:
        raise UserError(f"--out={out}: this run's examples are no images, but of the shape {shape}; give a .png.")
    batches = (host_bytes(x, run.spec.range) for x in run.batches(n, seed, label, truncation=truncation))
    try:
        if Path(out).suffix == ".npz":
            _npz(Path(out), (n, *shape), batches)
        else:
            _folder(Path(out), batches)
    except OSError as error:
        raise UserError(f"--out={out}: cannot be written: {error.strerror}.") from error


def _npz(path: Path, shape: tuple[int, ...], batches: Iterator[UInt8[np.ndarray, "_ h w c"]]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        with zipfile.ZipFile(partial, "w", allowZip64=True) as archive, \
                archive.open("arr_0.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            for x in batches:
                file.write(np.ascontiguousarray(x).tobytes())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _folder(path: Path, batches: Iterator[UInt8[np.ndarray, "_ h w c"]]) -> None:
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise UserError(f"--out={path}: the folder holds files already, which would be measured too; name another.")
    images = (image for x in batches for image in x)
    for i, image in enumerate(images):
        save_png(image, path / f"{i:0{DIGITS}d}.png", sync=False)
