"""Trackers: what they are sent, one run across a stop, losing one; W&B's own offline store where it is installed."""

import collections
import json
import shutil
import sqlite3
import struct
import subprocess
import sys

import numpy as np
import pytest

from gen.errors import UserError
from gen.run_folder import read_metrics
from gen.training import loop, trackers
from tests.environment import ROOT
from tests.helpers import stop_after, vae_config


class Memory:
    """Keeps what it is sent, by the run's number; fails from a step on, or says what it has, where it is told to."""

    runs: dict[str, list] = {}
    fails_at = 10**9
    knows = False

    def __init__(self, workdir, config, number):
        self.number = number or f"run {len(self.runs)}"
        self.sent = self.runs.setdefault(self.number, [])
        self.sent.append(("config", config["latents"], workdir.name))

    def told(self, files):
        entries = [(entry[0], entry[1] if isinstance(entry[1], dict) else (entry[1],))
                   for entry in self.sent if isinstance(entry[0], int)]
        return trackers.last(entries) if self.knows else files

    def scalars(self, step, values):
        if step >= self.fails_at:
            raise ConnectionError("no route\nto the host")
        self.sent.append((step, dict(values)))

    def image(self, step, name, image):
        self.sent.append((step, name, image.shape))

    def close(self):
        self.sent.append("closed")


@pytest.fixture
def memory(monkeypatch):
    monkeypatch.setitem(trackers.TRACKERS, "memory", Memory)
    monkeypatch.setattr(Memory, "runs", {})
    return Memory


@pytest.mark.slow
def test_a_run_that_goes_on_is_the_same_run_there_with_what_its_files_have(memory, tmp_path):
    config = vae_config(train__sample_every=12)
    asked = []
    stop = lambda: asked.append(0) or len(asked) == 3  # noqa: E731
    assert loop.train(config, tmp_path, stop, tracker="memory") == "stopped"
    assert loop.train(config, tmp_path, tracker="memory") == "finished"
    ((number, sent),) = memory.runs.items()
    assert json.loads((tmp_path / "tracker.json").read_text())["memory"]["number"] == number
    assert sent.count(("config", 2, tmp_path.name)) == sent.count("closed") == 2
    told = {}
    for step, values in (entry for entry in sent if len(entry) == 2 and isinstance(entry[1], dict)):
        told.setdefault(step, {}).update(values)
    for row in read_metrics(tmp_path):
        for name, value in row.items():
            if name not in ("step", "kind", "images_per_s"):
                assert told[row["step"]][f"{row['kind']}/{name}"] == value
    assert {entry[1] for entry in sent if len(entry) == 3} >= {"real", "samples"}


def told_scalars(sent):
    """(step, kind) of each time that metrics were sent."""
    return [(entry[0], next(iter(entry[1])).partition("/")[0]) for entry in sent
            if len(entry) == 2 and isinstance(entry[1], dict)]


@pytest.mark.slow
@pytest.mark.parametrize("knows", [False, True])
def test_what_a_killed_run_repeats_is_told_once(memory, tmp_path, monkeypatch, knows):
    """The newest checkpoint is lost, so 6 and 8 are trained again; one tracker lost what came last, and says so."""
    config = vae_config(train__sample_every=4)
    assert loop.train(config, tmp_path, stop_after(4), tracker="memory") == "stopped"
    shutil.rmtree(tmp_path / "checkpoints" / "8")
    monkeypatch.setattr(Memory, "knows", knows)
    ((_, sent),) = memory.runs.items()
    if knows:
        sent[:] = [entry for entry in sent if not (isinstance(entry[1], dict) and entry[0] >= 4)]
    assert loop.train(config, tmp_path, tracker="memory") == "finished"
    times = collections.Counter(told_scalars(sent))
    assert times == {(row["step"], row["kind"]): 1 for row in read_metrics(tmp_path)}
    pictures = collections.Counter(entry[:2] for entry in sent if len(entry) == 3 and entry[0] != "config")
    assert pictures == dict.fromkeys([(0, "real"), *((step, "samples") for step in (0, 4, 8, 12))], 1) | {
        key: 1 for key in pictures if key[1] not in trackers.REPEATED}


@pytest.mark.slow
def test_a_tracker_that_comes_later_is_told_what_the_files_have(memory, tmp_path):
    assert loop.train(vae_config(), tmp_path, stop_after(4)) == "stopped"
    assert loop.train(vae_config(), tmp_path, tracker="memory") == "finished"
    ((_, sent),) = memory.runs.items()
    assert told_scalars(sent) == [(row["step"], row["kind"]) for row in read_metrics(tmp_path)]


def test_a_number_alone_of_an_earlier_version_is_read(memory, tmp_path):
    (tmp_path / "tracker.json").write_text(json.dumps({"memory": "run 7", "other": 3}))
    tracker = trackers.opened("memory", tmp_path, vae_config())
    assert tracker.tracker.number == "run 7" and not tracker.told


@pytest.mark.slow
def test_losing_the_tracker_is_one_warning_and_the_run_goes_on(memory, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(Memory, "fails_at", 4)
    assert loop.train(vae_config(), tmp_path, tracker="memory") == "finished"
    (sent,) = memory.runs.values()
    assert max(entry[0] for entry in sent if isinstance(entry[0], int)) == 2
    said = [line for line in caplog.messages if "tracker" in line]
    assert said == ["The tracker memory is left out from here on, and the run goes on: no route to the host"]
    assert read_metrics(tmp_path)[-1]["step"] == 12


def test_an_unknown_tracker_and_a_missing_package_are_one_line(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="Unknown tracker 'wandbb'.*Did you mean 'wandb'"):
        trackers.opened("wandbb", tmp_path, vae_config())
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match=r"--tracker=wandb needs a package: .*pip install -e '\.\[wandb\]'"):
        trackers.opened("wandb", tmp_path, vae_config())
    assert not (tmp_path / "tracker.json").exists()


def test_records_of_a_log_over_blocks_and_a_torn_one():
    """A record of 40,000 bytes fills the first block; the last record is cut off."""
    header, long = b":W&B\xe1\xbe\x00", bytes(range(250)) * 160
    room = trackers.BLOCK - len(header) - 7 - 3 - 7
    pieces = [(1, b"abc"), (2, long[:room]), (4, long[room:]), (1, b"torn")]
    data = header + b"".join(struct.pack("<IHB", 0, len(piece), kind) + piece for kind, piece in pieces)
    assert list(trackers.logged(data)) == [b"abc", long, b"torn"]
    assert list(trackers.logged(data[:-1])) == [b"abc", long] and list(trackers.logged(b"")) == []


@pytest.mark.slow
def test_wandb_keeps_one_run_offline_in_its_own_store(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for steps in ((1, 2), (3,)):
        tracker = trackers.opened("wandb", tmp_path, vae_config())
        for step in steps:
            tracker.scalars(step, "train", {"loss": 0.5 * step})
        tracker.image(steps[-1], "samples", np.zeros((4, 4, 1), np.uint8))
        tracker.close()
        assert tracker.tracker is not None
    number = json.loads((tmp_path / "tracker.json").read_text())["wandb"]["number"]
    stores = sorted(tmp_path.glob(f"wandb/offline-run-*-{number}/run-{number}.wandb"))
    assert len(stores) == 2 == len(list(tmp_path.glob("wandb/offline-run-*")))
    assert b"train/loss" in stores[0].read_bytes() and b"latents" in stores[0].read_bytes()


def told(name, workdir):
    """Tells a tracker of three steps and pictures, as a run that was stopped after two of them."""
    for steps in ((1, 2), (3,)):
        tracker = trackers.opened(name, workdir, vae_config())
        for step in steps:
            tracker.scalars(step, "train", {"loss": 0.5 * step})
        tracker.image(steps[-1], "samples", np.zeros((4, 4, 1), np.uint8))
        tracker.close()
        assert tracker.tracker is not None
    return json.loads((workdir / "tracker.json").read_text())[name]["number"]


@pytest.mark.slow
def test_trackio_keeps_one_run_in_its_own_store(tmp_path, monkeypatch):
    pytest.importorskip("trackio")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "store"))
    code = ("import sys; from pathlib import Path; from tests.training.test_trackers import told; "
            "told('trackio', Path(sys.argv[1]))")  # in a process of its own: the package reads its folder once
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    number = json.loads((tmp_path / "tracker.json").read_text())["trackio"]["number"]
    (store,) = (tmp_path / "store").glob("*.db")
    with sqlite3.connect(store) as database:
        rows = database.execute("select run_name, step, metrics from metrics order by step").fetchall()
        configs = database.execute("select run_name, config from configs").fetchall()
    assert {name for name, _, _ in rows} == {number} == {name for name, _ in configs}
    losses = {step: json.loads(metrics)["train/loss"] for _, step, metrics in rows if b"train/loss" in metrics}
    assert losses == {1: 0.5, 2: 1.0, 3: 1.5}
    assert sum(b"samples" in metrics for _, _, metrics in rows) == 2
    assert json.loads(configs[0][1])["latents"] == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the package's own database
def test_mlflow_keeps_one_run_in_its_own_store(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)  # its pictures go to ./mlruns
    number = told("mlflow", tmp_path)
    client = MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("gen").experiment_id])
    assert run.info.run_id == number and run.info.status == "FINISHED" and run.data.params["latents"] == "2"
    history = client.get_metric_history(number, "train/loss")
    assert [(row.step, row.value) for row in history] == [(1, 0.5), (2, 1.0), (3, 1.5)]
    assert len([file for file in client.list_artifacts(number, "images") if file.path.endswith(".png")]) == 2
