"""Augmentations: what they keep, what they change, and their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.augment import DIFFAUGMENT, augmented
from gen.augment.diffaugment import color, cutout, translation
from gen.rng import stream

KEY = jax.random.key(0)
X = jax.random.uniform(jax.random.key(1), (64, 8, 6, 3)) + 0.1


@pytest.mark.parametrize("name, off", [("color", {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}),
                                       ("translation", {"ratio": 0.0}), ("cutout", {"ratio": 0.0})])
def test_switched_off(name, off):
    x = jnp.repeat(X[..., :1], 3, -1)  # gray, which saturation leaves alone
    np.testing.assert_allclose(DIFFAUGMENT[name](x, KEY, **off), x, atol=1e-6)


def test_translation_moves_each_image_by_whole_pixels_within_reach():
    shifted, seen = np.asarray(translation(X, KEY, ratio=0.25)), set()
    for before, after in zip(np.asarray(X), shifted, strict=True):
        offset = [(i, j) for i in range(-2, 3) for j in range(-2, 3) if np.array_equal(after, shift(before, i, j))]
        assert len(offset) == 1
        seen |= set(offset)
    assert {i for i, _ in seen} == {-2, -1, 0, 1, 2} and {j for _, j in seen} == {-2, -1, 0, 1, 2}


def shift(image, i, j):
    h, w, _ = image.shape
    out = np.zeros_like(image)
    out[max(i, 0):h + min(i, 0), max(j, 0):w + min(j, 0)] = image[max(-i, 0):h - max(i, 0), max(-j, 0):w - max(j, 0)]
    return out


def test_cutout_removes_one_window():
    kept = np.asarray(cutout(X, KEY, ratio=0.5)) != 0
    removed = (~kept).all(-1)
    assert (removed == (~kept).any(-1)).all()
    rows, columns = removed.any(2), removed.any(1)
    assert (removed == rows[:, :, None] & columns[:, None, :]).all()
    assert rows.sum(1).max() == 4 and columns.sum(1).max() == 3


@pytest.mark.slow
@pytest.mark.parametrize("side, reach, window", [(28, 4, 14), (20, 3, 10), (12, 2, 6), (5, 1, 3), (3, 0, 2)])
def test_whole_pixels_at_any_side(side, reach, window):
    """int(side ratio + 0.5), as in DiffAugment_pytorch.py; Python's round gives 2 and 2 for 20 / 8 and 5 / 2."""
    x = jnp.ones((600, side, side, 1))
    kept = np.asarray(translation(x, KEY))[..., 0].any(2).sum(1)
    assert kept.min() == side - reach and kept.max() == side
    removed = side - np.asarray(cutout(x, KEY))[..., 0].all(2).sum(1)
    assert removed.max() == window


@pytest.mark.slow
@pytest.mark.parametrize("side, window", [(6, 3), (8, 4)])
def test_places_of_the_window(side, window):
    """Its first pixel is at -(s // 2), ..., n - s % 2 - s // 2, each as often, as in DiffAugment_pytorch.py."""
    kept = np.asarray(cutout(jnp.ones((4_000, side, side, 1)), KEY, ratio=window / side))[..., 0] != 0
    rows = [tuple(row) for row in (~kept).any(2)]
    lows = range(-(window // 2), side - window % 2 - window // 2 + 1)
    expected = {tuple(low <= i < low + window for i in range(side)) for low in lows}
    assert set(rows) == expected
    counts = np.array([rows.count(row) for row in expected]) / len(rows)
    np.testing.assert_allclose(counts, 1 / len(lows), atol=0.03)


def test_the_order_is_that_of_the_published_policy():
    """color, translation, cutout, however the config is sorted: a config's sections are in alphabetical order."""
    options = {"translation": {"ratio": 0.25}, "cutout": {}, "color": {}}
    expected = X
    for name in ("color", "translation", "cutout"):
        expected = DIFFAUGMENT[name](expected, stream(KEY, name), **options[name])
    np.testing.assert_array_equal(augmented(X, KEY, dict(sorted(options.items())), "symmetric"), expected)


def test_images_in_the_unit_interval_are_augmented_as_those_around_zero():
    """Brightness moves by a quarter of the range, and what is empty is grey, not black."""
    options = {name: {} for name in DIFFAUGMENT}
    symmetric, unit = augmented(2 * X - 1, KEY, options, "symmetric"), augmented(X, KEY, options, "unit")
    np.testing.assert_allclose(2 * unit - 1, symmetric, atol=1e-5)
    assert (augmented(X, KEY, {"cutout": {"ratio": 1.0}}, "unit") == 0.5).any()
    np.testing.assert_array_equal(augmented(X, KEY, {}, "unit"), X)


def test_color_keeps_what_it_should():
    """Contrast and saturation keep the mean of the image, which brightness moves by at most its option."""
    same = color(X, KEY, brightness=0.0)
    np.testing.assert_allclose(same.mean((1, 2, 3)), X.mean((1, 2, 3)), rtol=1e-5)
    moved = color(X, KEY, brightness=0.5).mean((1, 2, 3)) - X.mean((1, 2, 3))
    assert 0.3 < jnp.abs(moved).max() <= 0.5


@pytest.mark.parametrize("name", DIFFAUGMENT)
def test_linear_in_the_image_given_the_draw(name):
    """So a gradient flows: the derivative along X itself is the change from 0."""
    augment = DIFFAUGMENT[name]
    _, tangent = jax.jvp(lambda x: augment(x, KEY), (X,), (X,))
    np.testing.assert_allclose(tangent, augment(X, KEY) - augment(jnp.zeros_like(X), KEY), atol=1e-5)
