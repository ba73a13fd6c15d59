"""A real SLURM cluster of this one machine: an array job, one task of which is put back into the queue half-way."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import gen
from gen import sweeps
from gen.errors import UserError
from gen.launchers import Options
from gen.launchers.slurm import parameters, slurm
from gen.storage.checkpoints import steps
from gen.training import loop
from tests.environment import ROOT
from tests.helpers import assert_same_bits

pytest.importorskip("submitit")

SETUP = ROOT / "tests" / "slurm" / "setup.sh"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The environment of the cluster's clients."""
    missing = [program for program in ("slurmctld", "slurmd", "munged") if not shutil.which(program)]
    if missing or os.geteuid():
        pytest.skip(f"no {', '.join(missing)}: apt-get install slurm-wlm munge" if missing else "needs root")
    folder = tmp_path_factory.mktemp("cluster")
    started = subprocess.run([SETUP, "start", folder], capture_output=True, text=True, timeout=60)
    try:
        assert started.returncode == 0, started.stderr
        yield {"SLURM_CONF": str(folder / "slurm.conf")}
    finally:
        subprocess.run([SETUP, "stop", folder], timeout=60)


def until(condition, folder: Path, seconds: float = 200) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, [path.read_text() for path in (folder / ".slurm").glob("*.err")]
        time.sleep(0.02)


def test_a_requeued_task_of_the_array_ends_with_the_same_bits(cluster, tmp_path, monkeypatch):
    """SIGUSR2 is what SLURM sends before the time limit: the run saves, submitit queues the task again."""
    for name, text in {**cluster, "GEN_TESTS_PAUSE": "0.5", "PYTHONPATH": str(ROOT)}.items():
        monkeypatch.setenv(name, text)
    script = [sys.executable, str(ROOT / "scripts" / "sweep.py")]
    sweep = sweeps.read(f"{ROOT}/tests/tiny.py:slow", "two", {}, tmp_path, 1, script)
    assert slurm(sweep, Options(slurm=("partition=tests", "cpus_per_task=1"))) == 0
    (interrupted,), (other,) = sweep.packs
    until(lambda: steps(interrupted.workdir / "checkpoints"), tmp_path)
    job = subprocess.check_output(["squeue", "--noheader", "--format=%F"], text=True).split()[0]
    subprocess.run(["scancel", "--signal=USR2", f"{job}_0"], check=True)
    log = tmp_path / ".slurm" / f"{job}_0_0_log.err"
    until(lambda: "Requeued job" in log.read_text(), tmp_path)
    assert not interrupted.finished
    until(lambda: not subprocess.run(
        ["scontrol", "update", f"JobId={job}_0", "StartTime=now"], capture_output=True).returncode, tmp_path)
    until(lambda: interrupted.finished and other.finished, tmp_path)
    assert f"Resuming {interrupted.workdir} from step" in log.read_text()
    for run in (interrupted, other):
        alone = tmp_path / f"alone-{run.config.seed}"
        loop.train(run.config, alone)
        assert_same_bits(gen.load(run.workdir).state, gen.load(alone).state)


def test_options_are_keys_and_values():
    assert parameters(["time=60", "partition=gpu"]) == {"time": 60, "partition": "gpu"}
    with pytest.raises(UserError, match="--slurm=gpu: write --slurm=KEY=VALUE"):
        parameters(["gpu"])


def test_an_unknown_option_is_one_line(cluster, tmp_path, monkeypatch):
    sweep = sweeps.read(str(ROOT / "tests" / "tiny.py"), "two", {}, tmp_path, 1, ["sweep"])
    with pytest.raises(UserError, match=r"--launcher=slurm: Unavailable parameter\(s\): \['partiton'\]") as error:
        slurm(sweep, Options(slurm=("partiton=tests",)))
    assert "\n" not in str(error.value)
