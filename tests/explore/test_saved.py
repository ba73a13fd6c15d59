"""The files that a visitor takes along are read back as what was shown."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gen.explore import saved
from tests.helpers import untrained, vae_config


def test_a_png_has_the_pixels_of_the_picture():
    for channels in (1, 3):
        image = np.random.default_rng(0).integers(0, 256, (9, 7, channels), np.uint8)
        read = np.asarray(Image.open(io.BytesIO(saved.png(image))))
        np.testing.assert_array_equal(read.reshape(image.shape), image)


def test_numbers_keep_all_digits():
    z = np.random.default_rng(0).normal(size=30).astype(np.float32)
    read = np.load(io.BytesIO(saved.npy(z)), allow_pickle=False)
    np.testing.assert_array_equal(read, z)
    assert read.dtype == np.float32


@pytest.mark.slow
def test_a_json_says_the_run(tmp_path):
    run = untrained(vae_config(), tmp_path / "my run")
    z = np.random.default_rng(0).normal(size=30).astype(np.float32)
    read = json.loads(saved.as_json(run, latents=z, truncation=0.5))
    np.testing.assert_array_equal(np.float32(read["latents"]), z)
    assert (read["model"], read["step"], read["truncation"]) == ("my run", 0, 0.5)
    assert saved.stem(run) == "my_run" and Path(saved.stem(run)).name == saved.stem(run)
