"""What the explorer shows of a model of discrete codes, as a VQ-VAE: pure functions from grids of codes to pictures.

`gen.explore.code_page` calls them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt8

from gen.data import Dataset, load
from gen.errors import UserError
from gen.explore import images
from gen.figures.grids import image_grid
from gen.runs import Run

METHODS = frozenset({"codes", "decode_codes"})
"""Of a family whose latents are grids of codes: from examples to codes, and back."""

DECODED = 64
"""Grids that are decoded at a time."""

TILE, GAP, COLUMNS = 24, 2, 14
"""Pixels of a code in the palette and between two, and codes in a row of it at most."""

Grid = Int[np.ndarray, "s t"]


class Explorer(NamedTuple):
    """A run of discrete codes and what is computed once.

    Attributes:
      run: the run.
      dataset: its data set; None where it is not there.
      side: rows and columns of a grid of codes.
      codes: how many there are.
      patches: what each code looks like amid copies of itself, as large as its part of an image.
      order: the codes from dark patches to light ones.
    """

    run: Run
    dataset: Dataset | None
    side: tuple[int, int]
    codes: int
    patches: UInt8[np.ndarray, "k p q c"]
    order: Int[np.ndarray, " k"]

    @property
    def columns(self) -> int:
        """Codes in a row of the palette."""
        return -(-self.codes // -(-self.codes // COLUMNS))

    @property
    def draws(self) -> bool:
        """Whether the model has a prior on codes."""
        return "draw_codes" in self.run.program.family.methods


def explorer(run: Run) -> Explorer:
    """Looks at the codes of a run.

    Raises:
      UserError: its examples are no images.
    """
    shape = tuple(run.spec.shape)
    if not images.are_images(shape):
        raise UserError(f"The explorer shows codes of images, not of examples of shape {shape}.")
    try:
        dataset = load(run.config.data)
    except UserError:
        dataset = None
    side = jax.eval_shape(run.program.family.methods["codes"], run.state, jnp.zeros((1, *shape))).shape[1:]
    patches = _patches(run, side)
    order = np.argsort(patches.mean((1, 2, 3)), kind="stable")
    return Explorer(run, dataset, side, run.config.codes, patches, order)


def _patches(run: Run, side: tuple[int, int]) -> UInt8[np.ndarray, "k p q c"]:
    """The middle of the image of each code alone."""
    numbers = np.arange(run.config.codes)
    height, width = (max(1, pixels // cells) for pixels, cells in zip(run.spec.shape[:2], side, strict=True))
    top, left = side[0] // 2 * height, side[1] // 2 * width
    parts = []
    for i in range(0, len(numbers), DECODED):
        part = np.resize(numbers[i:i + DECODED], DECODED)
        whole = images.pixels(run, _decoded(run, np.broadcast_to(part[:, None, None], (DECODED, *side))))
        parts.append(whole[:, top:top + height, left:left + width])
    return np.concatenate(parts)[:len(numbers)]


def _decoded(run: Run, grids: Int[np.ndarray, "n s t"]) -> Array:
    return run.method("decode_codes", jnp.asarray(grids, jnp.int32))


def picture(explorer: Explorer, grid: Grid) -> UInt8[np.ndarray, "h w c"]:
    """The image of a grid of codes."""
    return images.pixels(explorer.run, _decoded(explorer.run, grid[None]))[0]


def encode(explorer: Explorer, image: UInt8[np.ndarray, "h w c"]) -> Grid:
    """The codes of an image."""
    return np.asarray(explorer.run.method("codes", images.example(explorer.run, image)))[0]


def draw(explorer: Explorer, seed: int) -> Grid:
    """A sample of the prior on codes; of a model without one, codes that are equally likely and independent."""
    if not explorer.draws:
        return np.random.default_rng(seed).integers(0, explorer.codes, explorer.side, np.int32)
    draw_codes = jax.jit(explorer.run.program.family.methods["draw_codes"], static_argnums=2)
    return np.asarray(draw_codes(explorer.run.state, jax.random.key(seed), 1))[0]


def changed(grid: Grid, cell: tuple[int, int], code: int) -> Grid:
    """The grid with another code in one cell, row and column."""
    copy = np.array(grid)
    copy[cell] = code
    return copy


def mosaic(explorer: Explorer, grid: Grid) -> UInt8[np.ndarray, "h w c"]:
    """The patch of each code in its place: what the codes say one by one, before the decoder sees them together."""
    return image_grid(explorer.patches[grid].reshape(-1, *explorer.patches.shape[1:]), rows=len(grid), padding=0,
                      scale=1)


def palette(explorer: Explorer) -> UInt8[np.ndarray, "H W c"]:
    """The patches of all codes, from dark to light, row by row; code `order[i]` is number i."""
    scale = max(1, TILE // max(explorer.patches.shape[1:3]))
    return image_grid(explorer.patches[explorer.order], rows=-(-explorer.codes // COLUMNS), padding=GAP, scale=scale)
