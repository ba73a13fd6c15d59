"""Where the data lie is not what a run is."""

import json

import numpy as np
import pytest

from gen import commands
from gen.figures.grids import save_png
from gen.training import loop
from tests.helpers import vae_config


@pytest.mark.slow
def test_a_run_whose_data_moved_is_resumed_and_evaluated(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), np.uint8)
    for i, image in enumerate(pixels):
        save_png(image, tmp_path / "here" / f"{i}.png")
    monkeypatch.chdir(tmp_path)

    def config(place, steps):
        return vae_config(data__name="folder", data__binarize="none", data__path=place, data__size=8,
                          likelihood__name="normal", train__steps=steps)

    loop.train(config("here", 4), tmp_path / "run")
    stored = json.loads((tmp_path / "run/config.json").read_text())
    assert stored["config"]["data"]["path"] == str(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    assert loop.train(config("there", 8), tmp_path / "run") == "finished"
    (tmp_path / "there").rename(tmp_path / "elsewhere")
    assert commands.evaluate(str(tmp_path / "run"), None, {"data.path": "elsewhere"}) == 0
    assert json.loads((tmp_path / "run/evaluations.json").read_text())[0]["step"] == 8
