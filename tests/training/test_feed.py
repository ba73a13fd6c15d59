"""Whole runs on streamed examples, beside the same runs on resident ones."""

import json
import subprocess
import sys

import numpy as np
import pytest

import gen
from gen import commands
from gen.data import images, originals, streaming
from gen.training import loop, replicas
from tests.environment import ROOT, users_environment
from tests.helpers import assert_close, assert_same_bits, gan_config, stop_after, vae_config

OVERRIDES = {"data__name": "mnist", "data__flip": True, "data__crop_padding": 2, "train__log_every": 4}
CONFIGS = {
    "vae": lambda **more: vae_config(**OVERRIDES, **more),
    "gan": lambda **more: gan_config(evaluators__modes=False, data__test_examples=0, **OVERRIDES, **more),
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


@pytest.mark.slow
def test_a_streamed_run_stopped_and_resumed_is_the_resident_one(prepared, tmp_path):
    """Bit for bit, and resumed with another number of workers."""
    config, (whole, parts) = CONFIGS["vae"], (tmp_path / "whole", tmp_path / "parts")
    loop.train(config(), whole)
    assert loop.train(config(data__loading="streaming", data__workers=0), parts, stop_after(2)) == "stopped"
    assert loop.train(config(data__loading="streaming", data__workers=2), parts) == "finished"
    assert_same_bits(gen.load(parts).state, gen.load(whole).state)
    assert metrics(parts) == metrics(whole)


@pytest.mark.slow
def test_a_stream_split_over_devices(prepared, tmp_path):
    """With two critic steps and a diagnosis; the same up to rounding, as the compiler divides another program."""
    finals, rows = [], []
    for loading in ("resident", "streaming"):
        config = CONFIGS["gan"](data__loading=loading, data__workers=0, mesh__data=2, train__steps=4)
        loop.train(config, tmp_path / loading)
        finals.append(gen.load(tmp_path / loading).state)
        rows.append(metrics(tmp_path / loading)[0])
    assert_close(*finals)
    assert rows[0].keys() == rows[1].keys() and "generator_gradient_saturating" in rows[0]
    for name in rows[0].keys() - {"kind"}:
        assert rows[1][name] == pytest.approx(rows[0][name], rel=1e-3, abs=1e-5), name


@pytest.mark.slow
def test_blocks_give_the_bits_of_the_resident_set_in_the_programs_of_users():
    """Of both families, without the tests' quick compilation, which rounds differently."""
    code = """
import jax, numpy as np
from gen.data import batches, load, streaming
from gen.training import program
from tests.helpers import assert_same_bits, gan_config, vae_config
for config in (gan_config(), vae_config()):
    dataset = load(config.data)
    made = program.make(config, dataset.spec)
    size = config.train.batch_size * made.family.batches
    indices = np.asarray(batches.indices_block(jax.random.key(0), 0, 2, size, len(dataset.train["x"])))
    block = streaming.Block({name: jax.device_put(values[indices]) for name, values in dataset.train.items()})
    (a, _), (b, _) = (made.train(made.init(0, dataset.train), data, 2) for data in (dict(dataset.train), block))
    assert_same_bits(a, b)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=users_environment(), capture_output=True,
                          text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_streamed_runs_train_alone(prepared):
    configs = [CONFIGS["vae"](data__loading=loading, seed=seed)
               for loading in ("resident", "streaming") for seed in (0, 1)]
    assert replicas.groups(configs, 8) == [[0, 1], [2], [3]]


@pytest.mark.slow
def test_a_dry_run_counts_the_block_and_not_the_set(prepared, capsys, monkeypatch):
    def megabytes(**more):
        commands.describe(CONFIGS["vae"](**more))
        return float(capsys.readouterr().out.split("memory of each: ")[1].split(" MiB")[0])

    resident, streamed = (megabytes(data__loading=loading) for loading in ("resident", "streaming"))
    np.testing.assert_allclose(resident - streamed, (40 - 2 * 16) * (28 * 28 + 4) / 2**20, atol=0.1)
