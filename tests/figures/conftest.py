"""Run folders for the tests of reports."""

import json
from pathlib import Path

import numpy as np
import pytest

from gen.figures.grids import image_grid, save_png
from gen.figures.latents import manifold_latents, write_manifold


@pytest.fixture
def write_run():
    """The function (path, seed, learning_rate, steps) -> path that writes a run folder."""
    return _write_run


def _write_run(path: Path, seed: int = 0, learning_rate: float = 1e-3, steps: int = 40) -> Path:
    """A complete run folder: its sample pictures are plain grey, as bright as the step is late."""
    config = {"family": "vae", "seed": seed, "optimizer": {"name": "adam", "learning_rate": learning_rate}}
    config["train"] = {"steps": steps, "batch_size": 8}
    default = config | {"optimizer": {"name": "adam", "learning_rate": 1e-3}}
    record = {"config": config, "default": default, "commit": "0123456789abcdef", "versions": {"jax": "0.10.2"}}
    record["spec"] = {"shape": [8, 8, 1], "classes": 10, "range": "unit"}
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(record))
    rows = [{"step": s, "kind": "train", "loss": 100 / s + seed} for s in range(10, steps + 1, 10)]
    rows += [{"step": steps, "kind": "eval", "loss": 3.0 + seed, "elbo": -3.0}]
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for step in (0, 20, 40):
        save_png(image_grid(np.full((4, 8, 8, 1), 5 * step, np.uint8)), path / "samples" / f"{step}.png")
    evaluations = [{"metric": name, "value": v} for name, v in (("fid", 9.5), ("precision", 0.75), ("recall", 10.25))]
    (path / "evaluations.json").write_text(json.dumps(evaluations))
    tiles = np.arange(9, dtype=np.uint8)[:, None, None, None] * np.full((1, 8, 8, 1), 20, np.uint8)
    write_manifold(path, tiles, manifold_latents(3))
    return path
