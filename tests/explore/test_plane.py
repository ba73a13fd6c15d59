"""The colours of the plane: one for each direction, paler to the middle, even."""

import colorsys

import numpy as np

from gen.explore import plane

LIMITS = (-1.0, 3.0, 0.0, 4.0)
MIDDLE = np.array([1.0, 2.0])


def around(n, radius):
    angle = 2 * np.pi * np.arange(n) / n
    return MIDDLE + radius * np.stack([np.cos(angle), np.sin(angle)], -1)


def hues(colours):
    return np.array([colorsys.rgb_to_hsv(*colour)[0] for colour in colours / 255])


def test_the_middle_is_a_light_grey_and_colours_deepen_outwards():
    middle = plane.colours(MIDDLE[None], LIMITS)[0].astype(int)
    assert np.ptp(middle) <= 1 and middle.min() > 230
    spread = [np.ptp(plane.colours(around(12, radius), LIMITS).astype(int), axis=1).mean() for radius in (0.5, 1, 2)]
    assert spread[0] < spread[1] < spread[2]
    np.testing.assert_array_equal(plane.colours(around(7, 2), LIMITS), plane.colours(around(7, 50), LIMITS))


def test_every_direction_has_a_hue_of_its_own():
    found = hues(plane.colours(around(24, 1.5), LIMITS))
    turns = np.diff(found, append=found[:1])
    steps = (turns + 0.5) % 1 - 0.5
    assert (steps > 0).all() and abs(steps.sum() - 1) < 1e-6
    colours = plane.colours(around(8, 1.5), LIMITS).astype(int)
    apart = np.abs(colours[:, None] - colours).sum(-1)[~np.eye(8, dtype=bool)]
    assert apart.min() > 25


def test_colours_are_those_of_oklch():
    """Back from sRGB by the inverse matrices: L falls from 0.96 to 0.66, C grows to 0.15, h is the direction."""
    colours = plane.colours(around(12, 1.0), LIMITS) / 255
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    lms = linear @ np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                             [0.0883024619, 0.2817188376, 0.6299787005]]).T
    to_lab = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                       [0.0259040371, 0.7827717662, -0.8086757660]])
    lightness, a, b = to_lab @ np.cbrt(lms).T
    np.testing.assert_allclose(lightness, 0.81, atol=0.005)
    np.testing.assert_allclose(np.hypot(a, b), 0.075, atol=0.005)
    turned = np.arctan2(b, a) - 2 * np.pi * np.arange(12) / 12
    np.testing.assert_allclose((turned + np.pi) % (2 * np.pi) - np.pi, 0, atol=0.05)
