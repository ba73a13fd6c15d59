"""Grids of images as one uint8 array, and PNG files; numpy and Pillow alone, quick enough for a training loop."""

import io
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gen.errors import UserError
from gen.files import write_atomically

TILE = 64  # pixels: images smaller than half of this are enlarged by an integer factor


def upscale(images: UInt8[np.ndarray, "*n h w c"], factor: int) -> UInt8[np.ndarray, "*n H W c"]:
    """Repeats every pixel `factor` times along both axes: nearest neighbour, no value is invented."""
    return images.repeat(factor, axis=-3).repeat(factor, axis=-2)


def viewable_factor(height: int, width: int) -> int:
    """The largest integer by which an image of this size may grow without exceeding 64 pixels; at least 1."""
    return max(1, TILE // max(height, width))


def grid_rows(n: int) -> int:
    """Rows of the most nearly square grid that is at least as wide as it is high and has the fewest empty cells.

    Prefers exact divisors of n near its square root (64 -> 8, 100 -> 10, 8 -> 2); otherwise floor(sqrt(n)).
    """
    root = math.isqrt(n)
    divisor = next(rows for rows in range(root, 0, -1) if n % rows == 0)
    return divisor if 2 * divisor >= root else root


def image_grid(
    images: UInt8[np.ndarray, "n h w c"],
    rows: int | None = None,
    padding: int = 2,
    scale: int | None = None,
    background: int = 255,
) -> UInt8[np.ndarray, "H W c"]:
    """Lays n images out row by row: image i at row i // columns, column i % columns.

    Each image is enlarged to s*h by s*w pixels; its top left pixel is at ((s*h + p) * row + p, (s*w + p) * column + p).

    Args:
      images: uint8, [n h w c]; c is 1 or 3.
      rows: rows of the grid; None chooses `grid_rows(n)`. Empty cells at the end keep the background.
      padding: p, pixels between images and around the grid.
      scale: s, integer enlargement; None makes tiny images viewable (`viewable_factor`).
      background: grey level of padding and empty cells.

    Raises:
      UserError: no image at all, or rows < 1.
    """
    n, height, width, channels = images.shape
    if n == 0 or (rows is not None and rows < 1):
        raise UserError(f"An image grid needs at least one image and one row, not {n} images in {rows} rows.")
    rows = rows or grid_rows(n)
    columns = -(-n // rows)
    images = upscale(images, scale or viewable_factor(height, width))
    _, height, width, _ = images.shape
    cells = np.full((rows * columns, height + padding, width + padding, channels), background, np.uint8)
    cells[:n, padding:, padding:] = images
    cells = cells.reshape(rows, columns, height + padding, width + padding, channels).swapaxes(1, 2)
    grid = cells.reshape(rows * (height + padding), columns * (width + padding), channels)
    return np.pad(grid, ((0, padding), (0, padding), (0, 0)), constant_values=background)


def side_by_side(pictures: Sequence[UInt8[np.ndarray, "..."]], gap: int = 24) -> UInt8[np.ndarray, "h w 3"]:
    """Pictures of any sizes and channels in one row on white, centred vertically, `gap` pixels apart."""
    pictures = [np.broadcast_to(picture, (*picture.shape[:2], 3)) for picture in pictures]
    height, width = max(p.shape[0] for p in pictures), sum(p.shape[1] for p in pictures) + gap * (len(pictures) - 1)
    row, left = np.full((height, width, 3), 255, np.uint8), 0
    for picture in pictures:
        h, w, _ = picture.shape
        top = (height - h) // 2
        row[top:top + h, left:left + w] = picture
        left += w + gap
    return row


def to_pillow(image: UInt8[np.ndarray, "h w c"]) -> Image.Image:
    """The image as Pillow has it: mode L for one channel, RGB for three, RGBA for four."""
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def save_png(image: UInt8[np.ndarray, "h w c"], path: str | os.PathLike, sync: bool = True) -> Path:
    """Writes the image as PNG, making its folder; the file appears under its name only when it is complete.

    `sync` is that of `write_atomically`. Raises a UserError where it cannot be written.
    """
    path, content = Path(path), io.BytesIO()
    to_pillow(image).save(content, format="PNG")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}.") from error
    write_atomically(path, content.getvalue(), sync)
    return path


def load_png(path: str | os.PathLike) -> UInt8[np.ndarray, "h w c"]:
    """Reads a PNG as uint8 [h w c]: c = 1 for grey files, 3 otherwise (transparency is dropped).

    Raises:
      UserError: the file is missing or is no image.
    """
    try:
        with Image.open(path, formats=("PNG",)) as file:
            image = np.array(file.convert("L" if file.mode in ("1", "L", "LA") else "RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"Cannot read the image {path}: {error}.") from None
    return image[..., None] if image.ndim == 2 else image
