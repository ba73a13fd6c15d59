"""The rules of resizing, by what is known of each; `tests/parity` compares them with the packages."""

import jax
import numpy as np
import pytest

from gen.evaluation.pretrained import resize
from gen.evaluation.pretrained.resize import DINOV2_RULES, RULES

RNG = np.random.default_rng(0)


def ramp(n: int) -> np.ndarray:
    """A row of pixels, each as bright as its place."""
    return np.broadcast_to(np.uint8(np.arange(n))[None, None, :, None], (1, 5, n, 3))


def test_positions_of_a_ramp():
    """Between pixels the value of a ramp is its position: i n / 299, and (i + 1/2) n / 299 - 1/2, within the image."""
    where = np.arange(299)
    for name, expected in (("tf1", where * 200 / 299), ("half_pixel", (where + 0.5) * 200 / 299 - 0.5)):
        found = RULES[name].resized(ramp(200))
        assert found.shape == (1, 299, 299, 3)
        np.testing.assert_allclose(found[0, 7, :, 1], np.clip(expected, 0, 199), atol=1e-4)


@pytest.mark.parametrize("name", sorted(RULES))
def test_an_image_of_the_networks_size_is_itself(name):
    x = RNG.integers(0, 256, (2, 299, 299, 3), dtype=np.uint8)
    np.testing.assert_allclose(RULES[name].resized(x), x, atol=1e-4)


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_constant_stays(name):
    for shape in ((1, 1), (2, 3), (32, 32), (512, 300)):
        found = RULES[name].resized(np.full((1, *shape, 3), 77, np.uint8))
        np.testing.assert_allclose(found, np.full((1, 299, 299, 3), 77), atol=1e-4)


def test_the_clean_rule_alone_antialiases():
    """Stripes of one pixel, twice as many as can be seen: an antialiased picture of them is grey."""
    stripes = np.zeros((1, 598, 598, 3), np.uint8)
    stripes[:, :, ::2] = 255
    contrast = {name: float(np.std(rule.resized(stripes))) for name, rule in RULES.items()}
    assert contrast["clean"] < 10 and contrast["half_pixel"] < 1e-3
    assert np.unique(RULES["tf1"].resized(stripes)).tolist() == [255]


def test_clean_values_are_levels():
    edge = np.zeros((1, 32, 32, 3), np.uint8)
    edge[:, :, 16:] = 255
    found = RULES["clean"].resized(edge)
    assert found.min() == 0 and found.max() == 255


@pytest.mark.parametrize("name", ["tf1", "half_pixel"])
def test_compiled_as_on_the_host(name):
    x = RNG.integers(0, 256, (2, 40, 33, 3), dtype=np.uint8)
    np.testing.assert_allclose(jax.jit(RULES[name].resized)(x), RULES[name].resized(x), atol=1e-4)


def test_what_the_network_takes():
    levels = np.float32([[[[0, 128, 255]]]])
    np.testing.assert_allclose(RULES["tf1"].scaled(levels)[0, 0, 0], [-1, 0, 127 / 128])
    np.testing.assert_allclose(RULES["clean"].scaled(levels)[0, 0, 0], [-1, 0, 127 / 128])
    np.testing.assert_allclose(RULES["half_pixel"].scaled(levels)[0, 0, 0], [-1, 1 / 255, 1], atol=1e-7)


def test_positions_end_with_the_image():
    for n in (1, 2, 7, 32, 299, 1_000):
        for positions in (resize.tf1_positions, resize.half_pixel_positions):
            found = positions(n)
            assert found.dtype == np.float32 and found[0] >= 0 and found.astype(int).max() <= n - 1


@pytest.mark.parametrize("name", sorted(DINOV2_RULES))
def test_rules_of_dinov2(name):
    rule = DINOV2_RULES[name]
    x = RNG.integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    np.testing.assert_array_equal(rule.resized(x), x)
    for shape in ((1, 1), (2, 3), (32, 32), (512, 300)):
        found = rule.resized(np.full((1, *shape, 3), 77, np.uint8))
        np.testing.assert_allclose(found, np.full((1, 224, 224, 3), 77), atol=1e-4)
    stripes = np.zeros((1, 448, 448, 3), np.uint8)
    stripes[:, :, ::2] = 255
    assert np.std(rule.resized(stripes)) < 10
    levels = np.float32([0.485, 0.456, 0.406]) * 255 + np.float32([0, 0.224, -0.225]) * 255
    np.testing.assert_allclose(rule.scaled(levels[None, None, None])[0, 0, 0], [0, 1, -1], atol=1e-6)


def test_the_pillow_rule_alone_rounds_and_the_unclipped_one_goes_beyond():
    x = RNG.integers(100, 156, (1, 32, 32, 3), dtype=np.uint8)
    rounded, exact, same = (DINOV2_RULES[name].resized(x) for name in ("pillow", "clean", "unclipped"))
    np.testing.assert_array_equal(rounded, np.round(rounded))
    np.testing.assert_array_equal(exact, same)
    assert not np.array_equal(exact, np.round(exact)) and np.abs(rounded - exact).max() <= 1.5
    x = RNG.integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    beyond = DINOV2_RULES["unclipped"].resized(x)
    assert beyond.min() < 0 and beyond.max() > 255
    np.testing.assert_array_equal(beyond.clip(0, 255), DINOV2_RULES["clean"].resized(x))
