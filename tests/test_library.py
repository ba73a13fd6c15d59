"""What `gen` names, and the page that shows how to use it: its code runs, and its numbers are right."""

import re
import subprocess
import sys

import jax
import numpy as np
import pytest

import gen
from tests.environment import ROOT, environment

NAMES = [
    "ADVERSARIAL", "AdversarialLoss", "BOUNDS", "DECODERS", "DENOISERS", "ENCODERS", "PENALTIES", "Run", "Terms",
    "UserError", "fid", "importance_weighted", "indices_at", "kid", "load", "log_mean_exp", "lpips", "measure", "prdc",
    "stream", "train",
]  # fmt: skip
PAGE = ROOT / "docs/library.md"


BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def run(blocks, made):
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), made)
    return made


@pytest.fixture(scope="module")
def shown():
    """What the page's blocks of code have made, one after the other, but for those that train."""
    return run([block for block in BLOCKS if "gen.train(" not in block], {})


def test_the_public_names_stay_and_are_those_of_the_page():
    assert gen.__all__ == sorted(NAMES)
    for name in NAMES:
        assert getattr(gen, name) is not None and f"gen.{name}" in PAGE.read_text(), name
        assert name in dir(gen)
    with pytest.raises(AttributeError, match="nosuch"):
        _ = gen.nosuch


def test_importing_gen_alone_loads_nothing():
    code = "import sys, gen; print(sorted({'jax', 'numpy', 'flax', 'gen.runs'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
                           env=environment())
    assert found.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_loss_with_a_penalty(shown):
    """D(real) = 0 and D(fake) = 0.1: hinge 1 + 1.1, and ||w||^2 = 0.25 five times; its gradient is 10 w."""
    assert shown["value"] == pytest.approx(1 + 1.1 + 5 * 0.25, rel=1e-6)
    np.testing.assert_allclose(shown["gradient"]["w"], [-1 + 3, -1 - 4], rtol=1e-6)
    assert shown["gradient"]["b"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.slow
def test_bounds_on_log_weights_of_an_exact_posterior(shown):
    exact = -0.5 * (np.log(4 * np.pi) + np.square([-1.0, 0.0, 2.0]) / 2)  # x ~ N(0, 2)
    for name in ("iwae", "elbo", "same"):
        np.testing.assert_allclose(shown[name], exact, rtol=1e-5)
    np.testing.assert_allclose(gen.BOUNDS["elbo"](shown["terms"]).mean(), exact.mean(), atol=0.5)
    np.testing.assert_allclose(shown["log_px"], exact, atol=0.02)


def test_distances_between_features(shown):
    assert shown["fid"] == pytest.approx(8.0, rel=1e-9)
    assert shown["kid"]["kid"] > 10 * shown["kid"]["kid_se"] > 0
    assert gen.fid(shown["reference"], shown["reference"])["fid"] == pytest.approx(0, abs=1e-9)
    assert shown["quality"]["precision"] < gen.prdc(shown["reference"], shown["reference"])["precision"] == 1


def test_a_network(shown):
    assert shown["images"].shape == (2, 32, 32, 3)
    np.testing.assert_array_equal(shown["images"][0], shown["images"][1])
    assert set(shown["variables"]) == {"params", "batch_stats"}


def test_each_epoch_of_the_shuffle_has_every_example_once(shown):
    batches = np.asarray(shown["batches"])
    first, second = batches[:5].ravel(), batches[5:].ravel()
    np.testing.assert_array_equal(np.sort(first), np.arange(50))
    np.testing.assert_array_equal(np.sort(second), np.arange(50))
    assert (first != second).any() and (first != np.arange(50)).any()
    np.testing.assert_array_equal(jax.jit(lambda step: gen.indices_at(shown["key"], step, 10, 50))(7), batches[7])
    again = jax.random.normal(gen.stream(shown["key"], "noise", 3), (10,))
    np.testing.assert_array_equal(again, shown["noise"])
    assert (jax.random.normal(gen.stream(shown["key"], "noise", 4), (10,)) != again).all()


@pytest.mark.slow
def test_training_without_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = run([block for block in BLOCKS if "gen.train(" in block], {"gen": gen})
    assert made["run"].step == 30 and made["samples"].shape == (16, 8, 8, 1)
    assert made["samples"].min() >= 0 and made["samples"].max() <= 1
    assert made["posterior"].loc.shape[0] == 16
    assert made["ring"].step == 20 and made["points"].shape == (100, 2) and np.isfinite(made["points"]).all()
    again = gen.train(made["config"], "runs/ring")
    np.testing.assert_array_equal(again.sample(100), made["points"])


def test_what_is_wrong_with_a_config_is_said(tmp_path):
    with pytest.raises(gen.UserError, match="train.stepz"):
        gen.train("experiments/vae/digits.py:smoke", tmp_path, {"train.stepz": 3})
    with pytest.raises(gen.UserError, match="family"):
        gen.train({"data": {"name": "ring"}}, tmp_path)
    assert not list(tmp_path.iterdir())
