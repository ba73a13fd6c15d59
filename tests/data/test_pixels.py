import numpy as np
import pytest
from PIL import Image

from gen.data.pixels import eight_bits


def seen(image, mode="RGB"):
    return np.asarray(eight_bits(image, mode))[0, 0].tolist()


@pytest.mark.parametrize("mode, pixel, colour", [
    ("1", 1, [255] * 3), ("L", 90, [90] * 3), ("LA", (90, 0), [255] * 3), ("LA", (90, 255), [90] * 3),
    ("RGB", (1, 2, 3), [1, 2, 3]), ("RGBX", (1, 2, 3, 0), [1, 2, 3]), ("RGBA", (1, 2, 3, 0), [255] * 3),
    ("RGBA", (0, 0, 0, 51), [204] * 3), ("RGBa", (0, 0, 0, 51), [204] * 3), ("CMYK", (0, 255, 255, 0), [255, 0, 0]),
    ("YCbCr", (70, 128, 128), [70] * 3), ("HSV", (0, 255, 255), [255, 0, 0]), ("LAB", (255, 128, 128), [255] * 3),
    ("I", 65535, [255] * 3), ("I", 257 * 90, [90] * 3), ("I;16", 257 * 90, [90] * 3), ("I;16B", 257 * 90, [90] * 3)])
def test_each_mode(mode, pixel, colour):
    np.testing.assert_allclose(seen(Image.new(mode, (2, 2), pixel)), colour, atol=1)


def test_palettes_show_the_background_through_their_transparent_colour():
    image = Image.new("P", (1, 1), 0)
    image.putpalette([10, 20, 30])
    assert seen(image) == [10, 20, 30] and seen(image.convert("PA")) == [10, 20, 30]
    image.info["transparency"] = 0
    assert seen(image) == [255] * 3


def test_a_gradient_of_16_bits_stays_one():
    image = Image.fromarray(np.arange(0, 65536, 257, dtype=np.uint16)[None])
    assert np.asarray(eight_bits(image, "L"))[0].tolist() == list(range(256))


@pytest.mark.parametrize("mode, pixel", [("F", 0.5), ("I", -1), ("I", 65536)])
def test_what_has_no_white_is_refused(mode, pixel):
    with pytest.raises(ValueError, match="save it with"):
        seen(Image.new(mode, (1, 1), pixel))
