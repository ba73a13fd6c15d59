"""How cost grows with size: the rows, what counts as a surprise, the command."""

import json
import subprocess
import sys

import numpy as np
import pytest

from gen.benchmark import scaling, workloads
from gen.benchmark.scaling import AXES, Generated
from gen.data.streaming import Records
from gen.errors import UserError
from tests.environment import ROOT, users_environment
from tests.test_benchmark import tiny


def row(value, ms, flops, axis="batch"):
    return {"axis": axis, "value": value, "workload": "dcgan_32", "device": "cpu", "ms_per_step": ms,
            "images_per_s": 1e3 * value / ms, "flops_per_step": flops, "memory_mb": 3.0}


def test_time_beyond_the_work_is_a_surprise_and_a_new_axis_begins_anew():
    rows = [row(32, 10.0, 1e9), row(64, 20.0, 2e9), row(128, 60.0, 4e9), row(1, 900.0, 1e9, "samples")]
    assert scaling.surprises(rows) == [
        "images of a batch, DCGAN: from 64 to 128 the time grows 3.00 times, the work 2.00 times."]
    assert scaling.surprises(rows[:2]) == []
    assert scaling.surprises([row(1, 10.0, 1e9, "devices"), row(2, 12.0, 1e9, "devices")]) == []
    assert scaling.surprises([row(1, 10.0, 1e9, "devices"), row(2, 14.0, 1e9, "devices")])


def test_table_has_rates_and_a_stream_none():
    lines = scaling.table([row(32, 10.0, 1e9), row(10_000, 1.0, 1.0, "streamed")]).splitlines()
    assert lines[2] == "| images of a batch, DCGAN | 32 | 3,200 | 10 | 100 | 3 |"
    assert lines[3].endswith("| 1 | - | - |") and lines[-1] == "Nowhere does the time grow faster than the work."


def test_figure_has_a_panel_of_each_axis():
    rows = [row(n, n / 3, n * 1e7, axis) for axis in AXES for n in AXES[axis].values]
    drawn = scaling.figure(rows, 200)
    assert drawn.shape[1] == 600 and drawn.dtype == np.uint8 and (drawn < 128).mean() > 0.005


def test_what_nobody_stored_are_records_that_differ():
    records = Generated(10**7, (4, 4, 1))
    assert isinstance(records, Records) and len(records) == 10**7
    read = records.read([0, 5, 9_999_999])["x"]
    assert read.shape == (3, 4, 4, 1) and read.dtype == np.uint8
    assert read[:, 0, 0, 0].tolist() == [0, 5, 9_999_999 % 256] and read[1, 0, 1, 0] == 6


def test_an_axis_that_there_is_not_is_a_line():
    with pytest.raises(UserError, match="Did you mean 'width'"):
        next(scaling.run(["widht"]))


@pytest.mark.slow
@pytest.mark.parametrize("name, values, grows", [
    ("batch", (8, 16), True), ("side", (8, 16), True), ("width", (4, 8), True), ("samples", (1, 5), True),
    ("replicas", (1, 2), True), ("examples", (100, 400), False), ("streamed", (100, 400), False)])
def test_work_grows_along_an_axis_or_stays(name, values, grows, monkeypatch):
    monkeypatch.setattr(scaling, "WORKLOADS", {key: tiny(key) for key in workloads.WORKLOADS})
    monkeypatch.setitem(AXES, name, AXES[name]._replace(values=values, steps=2))
    small, large = scaling.run([name], seconds=0.01)
    assert (small["value"], large["value"]) == values and min(small["ms_per_step"], large["ms_per_step"]) > 0
    ratio = large["flops_per_step"] / small["flops_per_step"]
    assert ratio > 1.5 if grows else ratio == 1


@pytest.mark.slow
def test_a_batch_over_devices_in_a_process_that_has_them_is_kept(tmp_path, monkeypatch):
    monkeypatch.setitem(AXES, "devices", AXES["devices"]._replace(workload="vae_mlp", values=(2,)))
    script = ("import sys; from gen.benchmark import scaling; scaling.AXES['devices'] = "
              "scaling.AXES['devices']._replace(workload='vae_mlp'); ")
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda argv, **options: run([*argv[:2], script + argv[2], *argv[3:]],
                                                                       **options))
    found = list(scaling.run(["devices"], 0.01, str(tmp_path / "rows.jsonl")))
    assert [(r["axis"], r["value"], r["workload"]) for r in found] == [("devices", 2, "vae_mlp")]
    monkeypatch.setattr(scaling, "elsewhere", None)
    assert list(scaling.run(["devices"], 0.01, str(tmp_path / "rows.jsonl"))) == found


@pytest.mark.slow
def test_command_line(tmp_path):
    out = tmp_path / "rows.jsonl"
    done = [json.dumps([row(value, 1.0, 1e9, "replicas")]) for value in AXES["replicas"].values[1:]]
    out.write_text("\n".join(done) + "\n")
    said = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "benchmark.py"), "--scaling=replicas", "--seconds=0.01", f"--out={out}",
         f"--figure={tmp_path / 'figure.png'}"], capture_output=True, text=True, env=users_environment(), timeout=300)
    assert said.returncode == 0, said.stderr
    first = json.loads(said.stdout.splitlines()[0])
    assert (first["axis"], first["value"]) == ("replicas", 1) and first["flops_per_step"] > 1e8
    assert "runs in one program, VAE" in said.stdout and (tmp_path / "figure.png").stat().st_size > 1_000
