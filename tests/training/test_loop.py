"""Whole runs in this process: what is resumed, refused, stopped and kept."""

import dataclasses
import itertools
import json
import logging
import shutil

import jax
import numpy as np
import pytest

import gen
from gen.data import load
from gen.data.batches import indices_at
from gen.errors import UserError
from gen.storage import lock
from gen.storage.checkpoints import steps
from gen.training import loop, recorder
from gen.training.writers import read_metrics
from tests.helpers import CONFIGS, assert_same_bits, gan_config, stop_after, vae_config

FAMILIES = pytest.mark.parametrize("family", CONFIGS)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of each family that nothing interrupted."""
    folders = {family: tmp_path_factory.mktemp(family) for family in CONFIGS}
    for family, folder in folders.items():
        assert loop.train(CONFIGS[family](), folder) == "finished"
    return folders


def without_rates(workdir):
    return [{k: v for k, v in row.items() if k != "images_per_s"} for row in read_metrics(workdir / "metrics.jsonl")]


def assert_same_run(a, b):
    assert_same_bits(gen.load(a).state, gen.load(b).state)
    assert without_rates(a) == without_rates(b)


def damage(checkpoint):
    """Cuts the largest file of a checkpoint in half."""
    largest = max((p for p in checkpoint.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])


@pytest.mark.slow
@FAMILIES
def test_a_finished_run_has_its_folder(finished, family):
    folder = finished[family]
    assert json.loads((folder / "DONE").read_text()) == {"step": 12}
    described = json.loads((folder / "config.json").read_text())
    assert described["config"]["family"] == family
    assert {"jax", "flax", "optax", "python"} <= described["versions"].keys()
    rows = read_metrics(folder / "metrics.jsonl")
    assert [row["step"] for row in rows if row["kind"] == "train"] == [2, 4, 6, 8, 10, 12]
    assert [row["step"] for row in rows if row["kind"] == "eval"] == [4, 8, 12]
    assert list(folder.glob("events*")) and (folder / "report.html").stat().st_size > 1_000


@pytest.mark.slow
@FAMILIES
@pytest.mark.parametrize("dispatches", [1, 2, 5])
def test_a_stopped_run_goes_on_to_the_same_bits(finished, family, dispatches, tmp_path):
    config = CONFIGS[family]()
    assert loop.train(config, tmp_path, stop_after(dispatches)) == "stopped"
    assert steps(tmp_path / "checkpoints")[-1] == 2 * dispatches
    assert not (tmp_path / "DONE").exists()
    assert loop.train(config, tmp_path) == "finished"
    assert_same_run(tmp_path, finished[family])


@pytest.mark.slow
@FAMILIES
def test_a_damaged_checkpoint_is_reported_and_the_one_before_is_used(finished, family, tmp_path, caplog):
    config = CONFIGS[family]()
    loop.train(config, tmp_path, stop_after(4))
    assert steps(tmp_path / "checkpoints") == [4, 8]
    damage(tmp_path / "checkpoints" / "8" / "state")
    with caplog.at_level(logging.WARNING):
        assert loop.train(config, tmp_path) == "finished"
    assert "Checkpoint of step 8" in caplog.text and "damaged" in caplog.text
    assert_same_run(tmp_path, finished[family])


@pytest.mark.slow
def test_a_finished_run_does_nothing_and_an_extended_one_goes_on(finished, tmp_path):
    shutil.copytree(finished["vae"], tmp_path, dirs_exist_ok=True)
    before = (tmp_path / "metrics.jsonl").read_bytes()
    assert loop.train(vae_config(), tmp_path) == "finished"
    assert (tmp_path / "metrics.jsonl").read_bytes() == before
    assert loop.train(vae_config(train__steps=16), tmp_path) == "finished"
    assert gen.load(tmp_path).step == 16
    assert loop.train(vae_config(train__steps=8), tmp_path) == "finished"
    (tmp_path / "DONE").unlink()
    assert loop.train(vae_config(train__steps=8), tmp_path) == "finished"


@pytest.mark.slow
def test_a_run_without_any_event_ends_and_is_saved(tmp_path):
    config = vae_config(train__evaluate_every=0, train__checkpoint_every=0)
    assert loop.train(config, tmp_path) == "finished"
    assert steps(tmp_path / "checkpoints") == [12] and gen.load(tmp_path).step == 12
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [2, 4, 6, 8, 10, 12]


@pytest.mark.slow
def test_another_config_is_refused_with_the_differing_keys(finished, tmp_path):
    shutil.copytree(finished["vae"], tmp_path, dirs_exist_ok=True)
    with pytest.raises(UserError, match=r"latents: 2 -> 3.*another --workdir") as error:
        loop.train(vae_config(latents=3), tmp_path)
    assert "\n" not in str(error.value)


def test_a_second_process_in_the_workdir_is_refused(tmp_path):
    with lock.exclusive(tmp_path), pytest.raises(UserError, match="in use by process"):
        loop.train(vae_config(), tmp_path)


@pytest.mark.slow
@FAMILIES
def test_a_loss_that_is_not_finite_stops_the_run_with_step_and_metric(family, tmp_path):
    key = "discriminator_optimizer" if family == "gan" else "optimizer"
    config = CONFIGS[family](**{f"{key}__learning_rate": 1e30, "train__checkpoint_every": 2})
    with pytest.raises(recorder.Diverged, match=r"\w+ is (nan|-?inf) at step \d+ of ") as error:
        loop.train(config, tmp_path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "DONE").exists()
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert all(np.isfinite(v) for row in rows for v in row.values() if isinstance(v, float))


@pytest.mark.slow
def test_the_best_checkpoint_is_kept(tmp_path):
    config = vae_config(train__steps=24, train__keep=1, optimizer__learning_rate=0.05)
    loop.train(config, tmp_path)
    scores = {row["step"]: row["elbo"] for row in read_metrics(tmp_path / "metrics.jsonl") if row["kind"] == "eval"}
    assert gen.load(tmp_path, "best").step == max(scores, key=scores.get)
    assert gen.load(tmp_path).step == 24


def test_an_unknown_best_metric_is_one_line(tmp_path):
    with pytest.raises(UserError, match="config.train.best: unknown evaluation metric 'elob'. Did you mean 'elbo'?"):
        loop.train(vae_config(train__best="max elob"), tmp_path)


@pytest.mark.parametrize("best", ["elbo", "most elbo", "max"])
def test_a_malformed_best_is_one_line(best, tmp_path):
    with pytest.raises(UserError, match="expected 'max METRIC' or 'min METRIC'"):
        loop.train(vae_config(train__best=best), tmp_path)


@pytest.mark.slow
def test_a_clock_that_goes_back_changes_nothing_but_times(finished, tmp_path, monkeypatch):
    """By an hour whenever it is asked, through a stop."""
    hours = itertools.count(500_000, -1)
    monkeypatch.setattr("time.time", lambda: 3600.0 * next(hours))
    assert loop.train(vae_config(), tmp_path, stop_after(3)) == "stopped"
    assert loop.train(vae_config(), tmp_path) == "finished"
    assert_same_run(tmp_path, finished["vae"])


@pytest.mark.slow
def test_a_collapsed_generator_is_warned_of_once(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        loop.train(gan_config(generator__batch_norm=False, generator__kernel_init="normal",
                              generator_optimizer__learning_rate=1e-9), tmp_path)
    warnings = [record.getMessage() for record in caplog.records if "mode collapse" in record.getMessage()]
    assert len(warnings) == 1 and "packing" in warnings[0]


@pytest.mark.slow
def test_a_training_whose_updates_are_all_left_out_is_warned_of_once(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        loop.train(vae_config(optimizer__skip_norm=1e-6), tmp_path)
    warnings = [record.getMessage() for record in caplog.records if "standstill" in record.getMessage()]
    assert len(warnings) == 1 and "100% of the updates" in warnings[0] and "config.optimizer.skip_norm" in warnings[0]


def test_batch_norm_penalty_and_average_are_part_of_the_state(finished):
    state = gen.load(finished["gan"]).state
    assert int(state.step) == 12
    assert state.variables["generator"] and state.ema["generator"]
    assert set(state.hypers) >= {"penalties.r1.weight", "generator_optimizer.learning_rate"}
    assert gan_config().critic_steps == 2


@pytest.mark.slow
def test_updates_that_are_not_finite_are_dropped_and_counted(tmp_path, monkeypatch):
    config = gan_config(train__on_nan="skip")
    dataset = load(config.data)
    key, n = jax.random.key(config.seed), len(dataset.train["x"])
    seen = [set(indices_at(key, step, 32, n).tolist()) for step in range(12)]
    (poisoned,) = [i for i in seen[4] if not any(i in other for j, other in enumerate(seen) if j != 4)][:1]
    x = dataset.train["x"].copy()
    x[poisoned] = np.nan
    monkeypatch.setattr(loop, "load", lambda _: dataclasses.replace(dataset, train={"x": x}))
    assert loop.train(config, tmp_path / "skip") == "finished"
    rows = {row["step"]: row for row in read_metrics(tmp_path / "skip" / "metrics.jsonl") if row["kind"] == "train"}
    assert {step: row["skipped"] for step, row in rows.items()} == {2: 0, 4: 0, 6: 1, 8: 0, 10: 0, 12: 0}
    state = gen.load(tmp_path / "skip").state
    assert int(state.step) == 12
    assert int(state.opt_state["generator"][0].count) == 11
    with pytest.raises(recorder.Diverged, match="at step 5 of .*on_nan=skip"):
        loop.train(gan_config(), tmp_path / "stop")
    monkeypatch.setattr(loop, "load", lambda _: dataclasses.replace(dataset, train={"x": x * np.nan}))
    with pytest.raises(recorder.Diverged, match="None of the updates 1 to 2 was finite"):
        loop.train(config, tmp_path / "all")


@pytest.mark.slow
def test_the_best_checkpoint_may_be_that_of_the_examples_held_out(tmp_path):
    """The metrics of both splits are those of each alone, and those held out choose."""
    config = vae_config(data__validation=100, train__best="max validation_elbo", train__keep=1)
    loop.train(config, tmp_path)
    found = {row["step"]: row for row in read_metrics(tmp_path / "metrics.jsonl") if row["kind"] == "eval"}
    assert all(row["validation_elbo"] != row["elbo"] for row in found.values()) and len(found) == 3
    best = max(found, key=lambda step: found[step]["validation_elbo"])
    assert gen.load(tmp_path, "best").step == best
    with pytest.raises(UserError, match="unknown evaluation metric 'validation_elbo'"):
        loop.train(vae_config(train__best="max validation_elbo"), tmp_path / "none")
