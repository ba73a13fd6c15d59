"""Metrics files, TensorBoard events and progress."""

import errno
import io
import json
import logging
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from absl import logging as absl_logging

from gen.errors import UserError
from gen.training import tensorboard
from gen.training.tensorboard import tag
from gen.training.writers import METRICS, Progress, Writer, read_metrics, truncate
from tests.training.test_tensorboard import charts


def test_metrics_come_back_as_written(tmp_path):
    with Writer(tmp_path) as writer:
        writer.scalars(1, "train", {"loss": np.float32(0.1), "steps": 3})
        writer.scalars(2, "eval", {"elbo": float("nan"), "a": float("inf"), "b": -float("inf")})
    first, second = read_metrics(tmp_path / METRICS)
    assert first == {"step": 1, "kind": "train", "loss": float(np.float32(0.1)), "steps": 3.0}
    assert math.isnan(second["elbo"]) and second["a"] == math.inf and second["b"] == -math.inf


def test_every_line_is_strict_json_and_there_at_once(tmp_path):
    def refuse(constant):
        raise ValueError(constant)

    writer = Writer(tmp_path)
    writer.scalars(1, "train", {"loss": float("nan")})
    line = (tmp_path / METRICS).read_text()
    assert line.endswith("\n")
    assert json.loads(line, parse_constant=refuse)["loss"] == "NaN"
    writer.close()


def test_truncate_drops_later_records_and_what_is_torn(tmp_path):
    path = tmp_path / METRICS
    lines = [json.dumps({"step": step, "kind": "train", "x": float(step)}) for step in range(1, 7)]
    path.write_text("\n".join([*lines[:3], '{"step": 3, "ki', *lines[3:], '{"step": 4, "kind": "tra']))
    truncate(path, 4)
    assert path.read_text() == "".join(f"{line}\n" for line in lines[:4])
    assert [record["step"] for record in read_metrics(path)] == [1, 2, 3, 4]
    assert [entry.name for entry in tmp_path.iterdir()] == [METRICS]
    truncate(tmp_path / "absent", 4)


def test_torn_last_line_is_not_read(tmp_path):
    (tmp_path / METRICS).write_text('{"step": 1, "kind": "eval"}\n{"step": 2, "kind": "eval"}')
    assert read_metrics(tmp_path / METRICS) == [{"step": 1, "kind": "eval"}]


def test_resuming_leaves_one_value_per_step(tmp_path):
    with Writer(tmp_path) as writer:
        for step in range(0, 50, 10):
            writer.scalars(step, "train", {"loss": float(step)})
    with Writer(tmp_path, resume_step=20) as writer:
        for step in (30, 40):
            writer.scalars(step, "train", {"loss": -float(step)})
    expected = {0: 0.0, 10: 10.0, 20: 20.0, 30: -30.0, 40: -40.0}
    assert {r["step"]: r["loss"] for r in read_metrics(tmp_path / METRICS)} == expected
    assert len(read_metrics(tmp_path / METRICS)) == 5
    assert charts(tmp_path) == {tag("loss"): {"train": expected}}


def test_training_from_the_beginning_drops_an_earlier_attempt(tmp_path):
    for value in (1.0, 2.0):
        with Writer(tmp_path) as writer:
            writer.scalars(0, "eval", {"elbo": value})
    assert [record["elbo"] for record in read_metrics(tmp_path / METRICS)] == [2.0]
    assert charts(tmp_path) == {tag("elbo"): {"eval": {0: 2.0}}}


@pytest.mark.slow
def test_no_tensorflow_is_imported():
    code = "import sys, gen.training.writers; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_full_disk(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount here: {mounted.stderr.strip()}")
    try:
        full = pytest.raises(UserError, match="No space left on device; .*run the same command again")
        with full, Writer(tmp_path) as writer:
            for step in range(10_000):
                writer.scalars(step, "train", {"loss": float(step)})
        steps = [record["step"] for record in read_metrics(tmp_path / METRICS)]
        assert steps == list(range(len(steps))) and len(steps) > 100
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_full_disk_in_events(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = Writer(tmp_path)
    monkeypatch.setattr(tensorboard.RecordWriter, "write", full)
    with pytest.raises(UserError, match="No space left on device"):
        writer.scalars(1, "train", {"loss": 1.0})


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def lines():
    """Messages that absl logs at level INFO."""
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logger = absl_logging.get_absl_logger()
    level = absl_logging.get_verbosity()
    logger.addHandler(handler)
    absl_logging.set_verbosity(absl_logging.INFO)
    yield records
    logger.removeHandler(handler)
    absl_logging.set_verbosity(level)


def test_rate_is_that_of_the_recent_window_without_compilation():
    clock = Clock()
    progress = Progress(10_000, batch_size=64, initial_step=1000, stream=io.StringIO(), clock=clock)
    clock.now = 100.0
    progress.update(1010, {})
    assert progress.images_per_second is None
    clock.now = 102.0
    progress.update(1020, {})
    assert progress.images_per_second == pytest.approx(10 * 64 / 2)
    for report in range(1, 101):
        clock.now = 102.0 + report
        progress.update(1020 + 10 * report, {})
    assert progress.images_per_second == pytest.approx(10 * 64 / 1)


def test_pauses_are_not_in_the_rate(lines):
    clock = Clock()
    with Progress(300, batch_size=10, stream=io.StringIO(), clock=clock) as progress:
        for step in range(10, 60, 10):
            clock.now += 1.0
            progress.update(step, {})
            with progress.paused():
                clock.now += 50.0
        progress.message("step 50  elbo -90")
    assert progress.images_per_second == pytest.approx(100)
    assert lines[-1] == "step 50  elbo -90"


def test_log_lines_where_there_is_no_terminal(lines):
    clock = Clock()
    progress = Progress(300, batch_size=10, stream=io.StringIO(), clock=clock)
    for step in range(10, 301, 10):
        clock.now += 1.0
        progress.update(step, {"loss": 1 / 3, "elbo": -90.5})
    progress.close()
    assert [line.split()[1] for line in lines] == ["10/300", "110/300", "210/300", "300/300"]
    assert lines[0] == "step 10/300  loss 0.3333  elbo -90.5"
    assert lines[1] == "step 110/300  100 images/s  eta 0:00:19  loss 0.3333  elbo -90.5"


def test_a_bar_on_a_terminal(lines):
    clock, terminal = Clock(), Terminal()
    progress = Progress(100, batch_size=10, initial_step=50, stream=terminal, clock=clock)
    for step in (60, 100):
        clock.now += 2.0
        progress.update(step, {"loss": 0.25})
    progress.message("evaluated")
    progress.close()
    assert "evaluated\n" in terminal.getvalue()
    last = terminal.getvalue().split("\r")[-1]
    assert "100%" in last and "100/100" in last and "200 images/s" in last and "loss 0.25" in last
    assert lines == []


def test_a_clock_that_goes_back_is_no_rate_and_no_error(lines):
    clock = Clock()
    with Progress(300, batch_size=10, stream=io.StringIO(), clock=clock) as progress:
        for step, now in ((100, 50.0), (200, 10.0), (300, -20.0)):
            clock.now = now
            progress.update(step, {"loss": 1.0})
            assert progress.images_per_second is None
    assert lines[-1] == "step 300/300  loss 1"

