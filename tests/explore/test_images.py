"""Images on their way into a model: uploads of every kind, damaged and too large ones, test examples."""

import contextlib
import io

import numpy as np
import pytest
from PIL import Image

from gen import data
from gen.data import Spec
from gen.errors import UserError
from gen.explore import images
from tests.helpers import untrained, vae_config

GREY, COLOUR = Spec((8, 8, 1), 10, "unit"), Spec((8, 6, 3), 0, "symmetric")


def png(pixels, **options) -> bytes:
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, **{"format": "PNG"} | options)
    return file.getvalue()


@pytest.mark.slow
def test_a_test_image_comes_with_its_label(tmp_path):
    run = untrained(vae_config(data__binarize="none"), tmp_path)
    dataset = data.load(run.config.data)
    image, label = images.test_image(run, dataset, len(dataset.test["x"]) + 4)
    np.testing.assert_array_equal(image, dataset.test["x"][4])
    assert label == dataset.test["label"][4]


def test_an_upload_is_resized_and_its_middle_is_kept():
    pixels = np.zeros((80, 200, 3), np.uint8)
    pixels[:, 60:140] = (255, 0, 0)
    image = images.read_upload(png(pixels), COLOUR)
    assert image.shape == (8, 6, 3)
    np.testing.assert_allclose(image.astype(int), np.broadcast_to([255, 0, 0], (8, 6, 3)), atol=1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("picture", "options", "grey"), [
    (Image.new("RGBA", (20, 30), (0, 0, 0, 0)), {}, 255),
    (Image.new("P", (1, 900), 0), {}, 0),
    (Image.new("1", (9, 9), 1), {"format": "TIFF"}, 255),
    (Image.new("I;16", (9, 9), 65535), {}, 255),
    (Image.new("CMYK", (9, 9), (0, 0, 0, 0)), {"format": "JPEG"}, 255),
    (Image.new("L", (9, 9), 0), {"format": "GIF", "save_all": True, "append_images": [Image.new("L", (9, 9), 255)]}, 0),
], ids=["transparent", "one column", "bits", "16 bits", "inks", "animation"])
def test_every_kind_of_picture_is_read(picture, options, grey):
    image = images.read_upload(png(picture, **options), GREY)
    assert image.shape == (8, 8, 1)
    np.testing.assert_allclose(image.astype(int), grey, atol=1)
    np.testing.assert_allclose(images.read_upload(png(picture, **options), GREY, inverted=True).astype(int),
                               255 - grey, atol=1)


def test_what_is_no_picture_is_one_line(monkeypatch):
    good = png(np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8))
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    for content in (b"", b"hello", good[:60], good[:len(good) // 2], svg, b"%!PS-Adobe-3.0 EPSF-3.0\n"):
        with pytest.raises(UserError, match="no picture that can be read"):
            images.read_upload(content, GREY)
    monkeypatch.setattr(images, "MAX_PIXELS", 1_999)
    with pytest.raises(UserError, match="40 x 50 pixels"):
        images.read_upload(good, GREY)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 999)  # of Pillow's own, which it raises at twice as many
    with pytest.raises(UserError, match="no picture that can be read"):
        images.read_upload(good, GREY)
    monkeypatch.setattr(images, "MAX_BYTES", 100)
    with pytest.raises(UserError, match="at most"):
        images.read_upload(good, GREY)


@pytest.mark.filterwarnings("ignore:.*:UserWarning:PIL")
def test_a_damaged_picture_is_read_or_refused_but_raises_nothing_else():
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
    for form in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"):
        good = np.frombuffer(png(pixels, format=form), np.uint8)
        for _ in range(30):
            bad = good.copy()
            bad[rng.integers(0, len(bad), 4)] = rng.integers(0, 256, 4)
            with contextlib.suppress(UserError):
                assert images.read_upload(bad.tobytes(), GREY).shape == (8, 8, 1)
