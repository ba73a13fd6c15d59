"""What stands around a resume: the order of saving and evaluating, what is due, what is compared, what is refused.

A kill is a copy of the run's folder as it is on the disk at a moment of the run: nothing is flushed or closed for it.
"""

import functools
import json
import logging
import shutil
from itertools import pairwise

import jax
import pytest

import gen
from gen.errors import UserError
from gen.evaluation import EVALUATORS
from gen.run_folder import read_metrics
from gen.storage import checkpoints
from gen.storage.checkpoints import steps
from gen.storage.integrity import Damaged, read_sealed, write_sealed
from gen.training import loop, recorder
from gen.training.due import TEST, due, window
from gen.training.recorder import Recorder, done
from tests.helpers import assert_same_bits, gan_config, stop_after, vae_config
from tests.training.test_tensorboard import visible

CONFIG = {"train__sample_every": 4, "evaluators__modes__samples": 1_200}
"""Three batches of samples for the evaluator, so that it can be asked to stop."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing interrupted, and copies of its folder before and after the checkpoint of step 8, and before 4.

    The moments: `start` before the first checkpoint, `saving` before the second, `evaluating` after it was saved.
    """
    folder = tmp_path_factory.mktemp("runs")
    save, complete = Recorder.save, Recorder.complete

    def copied_before(self, step, state):
        if step in (4, 8):
            shutil.copytree(self.workdir, folder / {4: "start", 8: "saving"}[step])
        save(self, step, state)

    def copied_after(self, state, step, *rest):
        if step == 8:
            self.checkpoints.wait()
            shutil.copytree(self.workdir, folder / "evaluating")
        return complete(self, state, step, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "save", copied_before)
        patch.setattr(Recorder, "complete", copied_after)
        assert loop.train(gan_config(**CONFIG), folder / "whole") == "finished"
    return folder


def metrics(workdir):
    return [{k: v for k, v in row.items() if k != "images_per_s"} for row in read_metrics(workdir)]


def shown(workdir) -> list[tuple[str, int, str, float, bytes]]:
    """What TensorBoard shows, every event once for each time that it is there; rates and clocks left out."""
    return sorted((kind, step, value.tag, value.simple_value, value.image.encoded_image_string)
                  for kind, step, value in visible(workdir) if "images_per_s" not in value.tag)


def contents(workdir) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in workdir.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["start", "saving", "evaluating"])
def test_a_killed_run_goes_on_to_what_an_unbroken_one_is(whole, moment, tmp_path):
    """State, metrics and TensorBoard, pictures included, with everything once."""
    killed = tmp_path / "run"
    shutil.copytree(whole / moment, killed)
    expected = {"start": [], "saving": [4], "evaluating": [4, 8]}[moment]
    assert steps(killed / "checkpoints") == expected
    assert loop.train(gan_config(**CONFIG), killed) == "finished"
    assert_same_bits(gen.load(killed).state, gen.load(whole / "whole").state)
    assert metrics(killed) == metrics(whole / "whole")
    assert shown(killed) == shown(whole / "whole")
    assert {step for _, step, tag, *_ in shown(killed) if tag == "pictures/samples"} == {0, 4, 8, 12}


@pytest.mark.slow
def test_a_stop_between_the_batches_of_an_evaluator_saves_and_evaluates_later(whole, tmp_path):
    """The stop comes after the two dispatches, in the evaluation of step 4, whose step has no checkpoint of its own."""
    config = gan_config(**CONFIG, train__checkpoint_every=0)
    assert loop.train(config, tmp_path, stop_after(3)) == "stopped"
    assert steps(tmp_path / "checkpoints") == [4]
    assert [row["kind"] for row in metrics(tmp_path)] == ["train", "train"]
    assert loop.train(config, tmp_path) == "finished"
    assert metrics(tmp_path) == metrics(whole / "whole")
    assert_same_bits(gen.load(tmp_path).state, gen.load(whole / "whole").state)


@pytest.mark.slow
def test_a_stop_that_has_come_does_not_wait_for_an_evaluation(tmp_path, monkeypatch):
    monkeypatch.setattr(Recorder, "evaluate", lambda *_: pytest.fail("an evaluation began"))
    assert loop.train(vae_config(train__evaluate_every=12), tmp_path, stop_after(6)) == "stopped"
    assert steps(tmp_path / "checkpoints")[-1] == 12 and not (tmp_path / "DONE").exists()


@pytest.mark.slow
def test_an_evaluator_has_periods_of_its_own(tmp_path):
    loop.train(gan_config(evaluators__modes__every=6), tmp_path)
    found = {row["step"]: row.keys() - {"step", "kind"} for row in read_metrics(tmp_path) if row["kind"] == "eval"}
    assert set(found) == {4, 6, 8, 12}
    assert found[12] == found[4] | found[6] and found[8] == found[4] and found[4] and found[6]
    assert not found[4] & found[6]
    with pytest.raises(UserError, match=r"config.evaluators.modes.every = 3 must be 0 .* multiple of .*log_every = 2"):
        loop.train(gan_config(evaluators__modes__every=3), tmp_path / "other")


@pytest.mark.parametrize("log_every", [1, 4, 20])
def test_windows_end_where_something_is_due_whatever_the_phase(log_every):
    config = gan_config(train__steps=205, train__log_every=log_every, train__evaluate_every=20,
                        train__checkpoint_every=40, evaluators__modes__every=60)
    for phase in (1, 5, 20):
        ends, step = [], phase
        while step < 205:
            step += window(config, step)
            ends.append(step)
        assert set(ends) >= {step for step in range(phase + 1, 206) if any(due(config, step))}
        assert all(b - a <= log_every for a, b in pairwise([phase, *ends]))
    assert due(config, 120).evaluations == (TEST, "modes") and due(config, 40).evaluations == (TEST,)
    assert due(config, 205).checkpoint and not due(config, 20).checkpoint


@pytest.mark.slow
def test_another_log_every_leaves_evaluations_and_checkpoints_where_they_were(tmp_path):
    loop.train(vae_config(train__log_every=1), tmp_path, stop_after(1))
    loop.train(vae_config(train__log_every=4, train__keep=9), tmp_path)
    assert [row["step"] for row in read_metrics(tmp_path) if row["kind"] == "eval"] == [4, 8, 12]
    assert steps(tmp_path / "checkpoints") == [1, 4, 8, 12]


@pytest.mark.slow
def test_done_means_that_a_checkpoint_can_be_read(tmp_path):
    config = vae_config(train__checkpoint_every=0)
    loop.train(config, tmp_path)
    assert done(tmp_path, config)
    largest = max((tmp_path / "checkpoints").rglob("*"), key=lambda path: path.stat().st_size)
    largest.write_bytes(b"")
    with pytest.raises(UserError, match="damaged"):
        loop.train(config, tmp_path)
    shutil.rmtree(tmp_path / "checkpoints")
    assert not done(tmp_path, config)
    assert loop.train(config, tmp_path) == "finished" and gen.load(tmp_path).step == 12


@pytest.mark.slow
def test_a_run_without_its_config_json_is_known_by_its_checkpoints(tmp_path):
    loop.train(vae_config(), tmp_path, stop_after(2))
    (tmp_path / "config.json").unlink()
    with pytest.raises(UserError, match=r"another config \(optimizer.learning_rate: 0.001 -> 0.1\)"):
        loop.train(vae_config(optimizer__learning_rate=0.1), tmp_path)
    assert not (tmp_path / "config.json").exists()
    assert loop.train(vae_config(), tmp_path) == "finished"
    assert gen.load(tmp_path).config.optimizer.learning_rate == 1e-3
    (tmp_path / "config.json").unlink()
    assert loop.train(vae_config(), tmp_path) == "finished" and gen.load(tmp_path).step == 12


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [
    {"evaluators__latents": True}, {"train__best": "most modes"}, {"latents": 3}, {"train__batch_size": 2_000}])
def test_a_refused_resume_changes_nothing(overrides, tmp_path):
    loop.train(gan_config(), tmp_path, stop_after(2))
    before = contents(tmp_path)
    with pytest.raises(UserError):
        loop.train(gan_config(**overrides), tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.slow
def test_other_draws_are_refused_and_other_rounding_is_said(tmp_path, caplog):
    loop.train(vae_config(), tmp_path, stop_after(2))
    before = contents(tmp_path)
    with jax.threefry_partitionable(False), pytest.raises(
            UserError, match=r"\(JAX_THREEFRY_PARTITIONABLE: True -> False\): set them as they were"):
        loop.train(vae_config(), tmp_path)
    assert contents(tmp_path) == before
    described = json.loads((tmp_path / "config.json").read_text())["numerics"]
    assert described == checkpoints.newest_run(tmp_path / "checkpoints")["numerics"]
    assert described["draws"]["jax_enable_x64"] is False
    with jax.default_matmul_precision("highest"), caplog.at_level(logging.WARNING):
        loop.train(vae_config(), tmp_path, stop_after(1))
    assert "other rounding than it was trained with: JAX_DEFAULT_MATMUL_PRECISION: None -> highest" in caplog.text


@pytest.mark.slow
def test_what_fails_beside_the_training_costs_neither_checkpoint_nor_run(tmp_path, monkeypatch, caplog):
    def fail(*_, **__):
        raise ValueError("one image is too few")

    config = gan_config(**CONFIG)
    monkeypatch.setitem(EVALUATORS, "modes", functools.wraps(EVALUATORS["modes"])(fail))
    for name in ("write_report", "sample_picture"):
        monkeypatch.setattr(recorder, name, fail)
    with caplog.at_level(logging.WARNING):
        assert loop.train(config, tmp_path) == "finished"
    assert gen.load(tmp_path).step == 12 and (tmp_path / "DONE").exists()
    assert [row["step"] for row in read_metrics(tmp_path) if row["kind"] == "eval"] == [4, 8, 12]
    for what in ("the evaluation 'modes'", "the pictures", "the report"):
        assert f"at step 12 {what} failed, and the run goes on: test_resuming.py:" in caplog.text


def test_sealed_files_are_what_was_written_or_damaged(tmp_path):
    assert read_sealed(tmp_path / "metrics.json") is None
    write_sealed(tmp_path / "metrics.json", {"elbo": -1.1})
    assert read_sealed(tmp_path / "metrics.json") == {"elbo": -1.1}
    text = (tmp_path / "metrics.json").read_text()
    for other in (text.replace("1.1", "1.2"), text[:-2], "[]"):
        (tmp_path / "metrics.json").write_text(other)
        with pytest.raises(Damaged):
            read_sealed(tmp_path / "metrics.json")
