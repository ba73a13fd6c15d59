"""Whole runs on streamed examples, beside the same runs on resident ones."""

import json

import numpy as np
import pytest

import gen
from gen import launch
from gen.data import images, originals, streaming
from gen.training import loop, replicas
from tests.helpers import assert_same_bits, gan_config, stop_after, vae_config

OVERRIDES = {"data__name": "mnist", "train__log_every": 4}
CONFIGS = {
    "vae": lambda **more: vae_config(**OVERRIDES, **more),
    "gan": lambda **more: gan_config(evaluators__modes=False, data__test_examples=0, mesh__data=2, **OVERRIDES, **more),
}


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """A prepared MNIST of 40 and 8 images of noise, and blocks of 2 steps of 16 examples."""
    rng = np.random.default_rng(0)
    splits = {split: (rng.integers(0, 256, (n, 28, 28, 1), np.uint8), np.arange(n) % 10)
              for split, n in (("train", 40), ("test", 8))}
    monkeypatch.setattr(originals, "read", lambda *_: splits)
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path / "sets"))
    monkeypatch.setattr(streaming, "BLOCK_BYTES", 3 * 16 * (28 * 28 + 4))
    images.prepare("mnist", images.data_dir(), tmp_path)


def metrics(workdir):
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "images_per_s"} for row in rows]


@pytest.mark.parametrize(("family", "workers"), [("vae", 2), ("gan", 0)])
def test_a_streamed_run_stopped_and_resumed_is_the_resident_one(prepared, tmp_path, family, workers):
    """On another number of workers; with two critic steps, a diagnosis and two devices where it is the GAN."""
    config, (whole, parts) = CONFIGS[family], (tmp_path / "whole", tmp_path / "parts")
    loop.train(config(), whole)
    assert loop.train(config(data__loading="streaming", data__workers=0), parts, stop_after(2)) == "stopped"
    assert loop.train(config(data__loading="streaming", data__workers=workers), parts) == "finished"
    assert_same_bits(gen.load(parts).state, gen.load(whole).state)
    assert metrics(parts) == metrics(whole)


def test_streamed_runs_train_alone(prepared):
    configs = [CONFIGS["vae"](data__loading=loading, seed=seed)
               for loading in ("resident", "streaming") for seed in (0, 1)]
    assert replicas.groups(configs, 8) == [[0, 1], [2], [3]]


def test_a_dry_run_counts_the_block_and_not_the_set(prepared, capsys, monkeypatch):
    def megabytes(**more):
        launch.describe(CONFIGS["vae"](**more))
        return float(capsys.readouterr().out.split("memory of each: ")[1].split(" MiB")[0])

    resident, streamed = (megabytes(data__loading=loading) for loading in ("resident", "streaming"))
    np.testing.assert_allclose(resident - streamed, (40 - 2 * 16) * (28 * 28 + 4) / 2**20, atol=0.1)
