"""Image grids: placement to the pixel, enlargement, files, speed of the path that runs inside training."""

import subprocess
import sys

import numpy as np
import pytest

from gen.errors import UserError
from gen.figures.grids import grid_rows, image_grid, load_png, save_png, side_by_side, upscale, viewable_factor


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("rows", "padding", "scale"), [(2, 2, 1), (3, 0, 2), (1, 5, 3)])
def test_every_image_is_at_its_place_and_nothing_else_is_drawn(channels, rows, padding, scale):
    images = noise(6, 5, 4, channels)
    columns = 6 // rows
    grid = image_grid(images, rows=rows, padding=padding, scale=scale, background=77)
    high, wide = 5 * scale, 4 * scale
    assert grid.shape == (rows * (high + padding) + padding, columns * (wide + padding) + padding, channels)
    drawn = np.zeros(grid.shape[:2], bool)
    for i, image in enumerate(images):
        top = padding + (i // columns) * (high + padding)
        left = padding + (i % columns) * (wide + padding)
        for y in range(5):
            for x in range(4):
                cell = slice(top + y * scale, top + (y + 1) * scale), slice(left + x * scale, left + (x + 1) * scale)
                assert (grid[cell] == image[y, x]).all()
                drawn[cell] = True
    assert (grid[~drawn] == 77).all()


def test_cells_without_an_image_keep_the_background():
    grid = image_grid(np.zeros((5, 2, 2, 1), np.uint8), rows=2, padding=1, scale=1)
    assert grid.shape == (7, 10, 1)
    assert (grid == 0).sum() == 5 * 4
    assert (grid[4:6, 7:9] == 255).all()


def test_upscale_repeats_pixels():
    image = np.array([[[1], [2]], [[3], [4]]], np.uint8)
    expected = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]], np.uint8)[..., None]
    np.testing.assert_array_equal(upscale(image, 2), expected)
    np.testing.assert_array_equal(upscale(np.stack([image, image]), 2)[1], expected)


def test_tiny_images_grow_and_large_ones_stay():
    assert [viewable_factor(s, s) for s in (8, 28, 32, 33, 64, 256)] == [8, 2, 2, 1, 1, 1]
    assert viewable_factor(8, 40) == 1
    assert image_grid(noise(4, 8, 8, 1), padding=0).shape == (128, 128, 1)


def test_rows_are_nearly_square():
    assert [grid_rows(n) for n in (1, 2, 4, 7, 8, 10, 13, 16, 50, 64, 100)] == [1, 1, 2, 1, 2, 2, 3, 4, 5, 8, 10]


@pytest.mark.parametrize(("n", "rows"), [(0, None), (4, 0), (4, -1)])
def test_impossible_grids_are_user_errors(n, rows):
    with pytest.raises(UserError, match="at least one image"):
        image_grid(np.zeros((n, 2, 2, 1), np.uint8), rows=rows)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_keeps_every_pixel(tmp_path, channels):
    image = noise(13, 7, channels)
    path = save_png(image, tmp_path / "new" / "7.png")
    np.testing.assert_array_equal(load_png(path), image)
    assert [p.name for p in path.parent.iterdir()] == ["7.png"]


def test_unreadable_pictures_are_user_errors(tmp_path):
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n")
    for name in ("torn.png", "missing.png"):
        with pytest.raises(UserError, match=name):
            load_png(tmp_path / name)


@pytest.mark.slow
def test_the_image_path_does_not_import_matplotlib():
    program = (
        "import sys, numpy as np; from gen.data import Spec; from gen.figures import sample_picture, report, latents;"
        "sample_picture(np.zeros((4, 8, 8, 1), np.float32), Spec((8, 8, 1), 10, 'unit'));"
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_side_by_side_places_every_pixel():
    a, b = np.full((2, 3, 1), 10, np.uint8), np.full((4, 1, 3), 20, np.uint8)
    row = side_by_side([a, b], gap=2)
    assert row.shape == (4, 6, 3)
    assert (row[1:3, :3] == 10).all() and (row[:, 5] == 20).all()
    assert (row[0, :5] == 255).all() and (row[:, 3:5] == 255).all()


@pytest.mark.parametrize("sync", [True, False])
def test_a_picture_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path, sync):
    """A folder in its place, and a file in the place of its folder."""
    (tmp_path / "a.png").mkdir()
    (tmp_path / "b").write_text("")
    for path in (tmp_path / "a.png", tmp_path / "b" / "c.png"):
        with pytest.raises(UserError, match=f"{path.name}: cannot be written: "):
            save_png(np.zeros((2, 2, 1), np.uint8), path, sync)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b"]
    written = save_png(noise(2, 2, 1), tmp_path / "d" / "e.png", sync)
    np.testing.assert_array_equal(load_png(written), noise(2, 2, 1))
