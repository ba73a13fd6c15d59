"""Early stopping: where a run ends, and that kills, packs and another patience later change nothing of it."""

import numpy as np
import pytest

import gen
from gen.errors import UserError
from gen.run_folder import finished_step, read_metrics
from gen.training import loop, recorder, selection
from tests.helpers import assert_same_bits, stop_after, vae_config

OVERFITS = {"data__train_examples": 30, "data__validation": 10, "train__batch_size": 20, "train__steps": 4_000,
            "train__log_every": 20, "train__evaluate_every": 20, "train__checkpoint_every": 100,
            "train__best": "max validation_elbo", "optimizer__learning_rate": 0.03}
"""Thirty digits are learned by heart at once, and the bound of others falls."""


def test_the_evaluations_after_the_best_one_are_counted():
    def rows(*values):
        return [{"kind": "eval", "step": i, "elbo": value} for i, value in enumerate(values)] + [
            {"kind": "train", "step": 9, "elbo": 1e9}, {"kind": "eval", "step": 9, "modes": 1.0}]

    assert selection.waited(rows(), "elbo", "max") == 0
    assert selection.waited(rows(-3, -2, -2, -4), "elbo", "max") == 2
    assert selection.waited(rows(-3, -2, -2, -4), "elbo", "min") == 0
    assert selection.waited(rows(np.nan, -3, np.nan), "elbo", "max") == 1


@pytest.mark.parametrize("patience", [{"train__best": "", "train__patience": 3}])
def test_patience_without_a_metric_is_one_line(patience, tmp_path):
    with pytest.raises(UserError, match=r"config.train.patience=3: .* set that too, to 'max METRIC'"):
        loop.train(vae_config(**patience), tmp_path)


@pytest.fixture(scope="module")
def early(tmp_path_factory):
    """A run that ends before its last step."""
    folder = tmp_path_factory.mktemp("early") / "run"
    assert loop.train(vae_config(train__patience=3, **OVERFITS), folder) == "finished"
    return folder


@pytest.mark.slow
def test_a_run_ends_after_so_many_evaluations_without_a_better_one(early):
    rows = [row for row in read_metrics(early) if row["kind"] == "eval"]
    values = [row["validation_elbo"] for row in rows]
    last = finished_step(early)
    assert last == rows[-1]["step"] < 4_000 and len(values) - 1 - int(np.argmax(values)) == 3
    assert max(values[-3:]) < max(values)
    assert gen.load(early).step == last and gen.load(early, "best").step == rows[int(np.argmax(values))]["step"]
    assert (early / "report.html").exists() and list(early.glob("evaluations/*.png") or early.glob("*.png")) is not None
    assert recorder.done(early, vae_config(train__patience=3, **OVERFITS))


@pytest.mark.slow
def test_a_stop_changes_neither_the_end_nor_a_bit(early, tmp_path):
    config = vae_config(train__patience=3, **OVERFITS)
    assert loop.train(config, tmp_path, stop_after(3)) == "stopped"
    assert loop.train(config, tmp_path) == "finished"
    assert finished_step(tmp_path) == finished_step(early)
    assert_same_bits(gen.load(tmp_path).state, gen.load(early).state)


@pytest.mark.slow
def test_a_kill_between_the_last_evaluation_and_the_end_ends_there_too(early, tmp_path, monkeypatch):
    config = vae_config(train__patience=3, **OVERFITS)
    monkeypatch.setattr(recorder.Recorder, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        loop.train(config, tmp_path)
    monkeypatch.undo()
    assert loop.train(config, tmp_path) == "finished"
    assert finished_step(tmp_path) == finished_step(early)
    assert_same_bits(gen.load(tmp_path).state, gen.load(early).state)


@pytest.mark.slow
def test_of_runs_that_train_together_each_ends_for_itself(early, tmp_path):
    configs = [vae_config(train__patience=3, seed=seed, **OVERFITS | {"train__steps": 600}) for seed in (0, 1, 2)]
    folders = [tmp_path / str(i) for i in range(3)]
    assert loop.train_together(configs, folders) == ["finished"] * 3
    for config, folder in zip(configs, folders, strict=True):
        alone = tmp_path / f"alone {config.seed}"
        loop.train(config, alone)
        assert finished_step(folder) == finished_step(alone)


@pytest.mark.slow
def test_a_run_that_ended_early_goes_on_with_more_patience(early, tmp_path):
    config = vae_config(train__patience=3, **OVERFITS | {"train__steps": 600})
    loop.train(config, tmp_path)
    first = finished_step(tmp_path)
    longer = vae_config(train__patience=0, **OVERFITS | {"train__steps": 600})
    assert not recorder.done(tmp_path, longer)
    assert loop.train(longer, tmp_path) == "finished"
    assert first < finished_step(tmp_path) == 600
