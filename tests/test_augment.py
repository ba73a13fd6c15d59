"""Augmentations: what they keep, what they change, and their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.augment import AUGMENTATIONS, color, cutout, translation

KEY = jax.random.key(0)
X = jax.random.uniform(jax.random.key(1), (64, 8, 6, 3)) + 0.1


@pytest.mark.parametrize("name, off", [("color", {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}),
                                       ("translation", {"ratio": 0.0}), ("cutout", {"ratio": 0.0})])
def test_switched_off(name, off):
    x = jnp.repeat(X[..., :1], 3, -1)  # gray, which saturation leaves alone
    np.testing.assert_allclose(AUGMENTATIONS[name](x, KEY, **off), x, atol=1e-6)


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


def test_color_keeps_what_it_should():
    """Contrast and saturation keep the mean of the image, which brightness moves by at most its option."""
    same = color(X, KEY, brightness=0.0)
    np.testing.assert_allclose(same.mean((1, 2, 3)), X.mean((1, 2, 3)), rtol=1e-5)
    moved = color(X, KEY, brightness=0.5).mean((1, 2, 3)) - X.mean((1, 2, 3))
    assert 0.3 < jnp.abs(moved).max() <= 0.5


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_linear_in_the_image_given_the_draw(name):
    """So a gradient flows: the derivative along X itself is the change from 0."""
    augment = AUGMENTATIONS[name]
    _, tangent = jax.jvp(lambda x: augment(x, KEY), (X,), (X,))
    np.testing.assert_allclose(tangent, augment(X, KEY) - augment(jnp.zeros_like(X), KEY), atol=1e-5)
