"""Two processes of four devices each: one training, one folder, and neither goes on without the other."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gen
from gen.distributed import processes
from gen.errors import UserError
from gen.storage.checkpoints import steps
from gen.training import loop
from gen.training.writers import read_metrics
from tests.environment import ROOT, environment
from tests.helpers import CONFIGS, assert_close, stop_after, vae_config
from tests.tiny import EVALUATED

SAVES = {"train__evaluate_every": 2, "train__checkpoint_every": 2}
SECONDS = 180
WORKED = ("samples", "log_likelihood")


def by_flags(i: int, port: int) -> tuple[list[str], dict[str, str]]:
    """Flags and environment that tell process i of two where the others are."""
    return [f"--coordinator=127.0.0.1:{port}", "--processes=2", f"--process={i}"], {}


def by_slurm(i: int, port: int) -> tuple[list[str], dict[str, str]]:
    """The same as `srun --ntasks=2` says it."""
    names = {"JOB_ID": 7, "STEP_NODELIST": "127.0.0.1", "STEP_NUM_TASKS": 2, "NTASKS": 2, "PROCID": i, "LOCALID": i}
    return [], {f"SLURM_{name}": str(value) for name, value in names.items()} | {"JAX_COORDINATOR_PORT": str(port)}


def start(workdir: Path, variant: str = "", pause: float = 0.0, told=by_flags, more=(),
          own=((), ()), parts=("0", "0")) -> list[subprocess.Popen]:
    """Both processes of a run, process 0 first, with `more` flags and each with its `own`.

    Evaluations last `pause` seconds longer; `parts`: what tests/tiny.py says of each.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [sys.executable, ROOT / "scripts/train.py", f"--config={ROOT}/tests/tiny.py:{variant}",
            f"--workdir={workdir}", "--config.mesh.data=8", *more]
    both = []
    for i in range(2):
        flags, variables = told(i, port)
        env = environment() | {"JAX_NUM_CPU_DEVICES": "4", "GEN_TESTS_PAUSE": str(pause),
                               "GEN_TESTS_PARTS": parts[i]} | variables
        both.append(subprocess.Popen([*argv, *flags, *own[i]], env=env, cwd=workdir.parent, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True))
    return both


def ends(both: list[subprocess.Popen]) -> tuple[list[int], list[str]]:
    """Exit codes and outputs."""
    outputs = [process.communicate(timeout=SECONDS)[0] for process in both]
    return [process.returncode for process in both], outputs


def until_saved(workdir: Path, step: int, both: list[subprocess.Popen]) -> None:
    deadline = time.monotonic() + SECONDS
    while step not in steps(workdir / "checkpoints"):
        assert all(process.poll() is None for process in both) and time.monotonic() < deadline, ends(both)
        time.sleep(0.05)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """By family, the finished run of one process and one device."""
    folder = tmp_path_factory.mktemp("alone")
    for family in ("vae", "gan"):
        assert loop.train(CONFIGS[family](), folder / family) == "finished"
    return {family: gen.load(folder / family) for family in ("vae", "gan")}


@pytest.mark.slow
@pytest.mark.parametrize("family, variant, told", [("vae", "", by_flags), ("gan", "gan", by_slurm)])
def test_two_processes_train_as_one(alone, tmp_path, family, variant, told):
    codes, outputs = ends(start(tmp_path / "run", variant, told=told))
    assert codes == [0, 0], outputs
    assert "Report:" in outputs[0] and "Report:" not in outputs[1]
    assert_close(gen.load(tmp_path / "run").state, alone[family].state)
    ours, single = ([row for row in read_metrics(folder / "metrics.jsonl") if row["kind"] == "eval"][-1]
                    for folder in (tmp_path / "run", alone[family].workdir))
    assert ours.keys() == single.keys()
    np.testing.assert_allclose(list(ours.values())[2:], list(single.values())[2:], rtol=1e-3)


@pytest.mark.slow
def test_two_processes_stream_as_one(tmp_path):
    """Each reads its share of every batch from files; together they train as one process does on all of it."""
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for i in range(96):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(tmp_path / "images" / f"{i:02}.png")
    data = {"name": "folder", "path": str(tmp_path / "images"), "size": 8, "loading": "streaming"}
    alone = vae_config(**{f"data__{key}": value for key, value in data.items()})
    assert loop.train(alone, tmp_path / "alone") == "finished"
    codes, outputs = ends(start(tmp_path / "run", more=[f"--config.data.{k}={v}" for k, v in data.items()]))
    assert codes == [0, 0], outputs
    assert_close(gen.load(tmp_path / "run").state, gen.load(tmp_path / "alone").state)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_when_one_is_killed_the_other_says_so_and_the_run_goes_on(alone, tmp_path, victim):
    """What is lost: the steps after the newest checkpoint, which are trained again."""
    both = start(tmp_path / "run", "slow", pause=1.0)
    until_saved(tmp_path / "run", 4, both)
    os.kill(both[victim].pid, signal.SIGKILL)
    codes, outputs = ends(both)
    assert codes[victim] == -signal.SIGKILL and codes[1 - victim] == 1, outputs
    assert outputs[1 - victim].rstrip().endswith(f"error: {processes.LOST}"), outputs
    assert steps(tmp_path / "run" / "checkpoints")[-1] < 12
    if victim:
        assert loop.train(vae_config(**SAVES), tmp_path / "run") == "finished"
    else:
        assert ends(start(tmp_path / "run", "slow"))[0] == [0, 0]
    assert_close(gen.load(tmp_path / "run").state, alone["vae"].state)


@pytest.mark.slow
def test_a_signal_to_one_stops_both_at_the_same_step_of_a_run_that_one_process_began(alone, tmp_path):
    assert loop.train(vae_config(**SAVES), tmp_path / "run", stop_after(1)) == "stopped"
    both = start(tmp_path / "run", "slow", pause=1.0)
    until_saved(tmp_path / "run", 6, both)
    both[1].send_signal(signal.SIGTERM)
    codes, outputs = ends(both)
    assert codes == [75, 75], outputs
    assert 6 <= steps(tmp_path / "run" / "checkpoints")[-1] < 12
    assert loop.train(vae_config(**SAVES), tmp_path / "run") == "finished"
    assert_close(gen.load(tmp_path / "run").state, alone["vae"].state)


@pytest.mark.parametrize("arguments, message", [
    (("localhost:1", None, None), "missing: --processes, --process"),
    ((None, 2, 0), "missing: --coordinator"),
    (("localhost:1", 2, 2), "the processes 0 to 1"),
])
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        processes.start(*arguments)


def test_alone_where_nothing_is_found(monkeypatch):
    for name in ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "TPU_WORKER_HOSTNAMES"):
        monkeypatch.delenv(name, raising=False)
    processes.start()
    assert processes.leads() and not processes.several()
    assert processes.any_of(True) and not processes.any_of(False)
    assert processes.leaders({"steps": [1, 2]}) == {"steps": [1, 2]}


@pytest.mark.slow
def test_another_config_is_refused_in_both(tmp_path):
    """Before: both hung, deaf to SIGTERM."""
    codes, outputs = ends(start(tmp_path / "run", own=(["--config.seed=1"], ["--config.seed=2"])))
    assert codes == [1, 1], outputs
    for output in outputs:
        last = output.rstrip().splitlines()[-1]
        assert last.startswith("error: Process 1 has another config than process 0"), outputs
    assert not (tmp_path / "run/checkpoints").exists()


@pytest.mark.slow
@pytest.mark.parametrize("lacking", [False, True])
def test_two_processes_evaluate_as_one(tmp_path, lacking):
    """Samples and log-likelihoods are computed in parts by both, or by the leader where the other one cannot."""
    assert loop.train(vae_config(**EVALUATED), tmp_path / "alone") == "finished"
    codes, outputs = ends(start(tmp_path / "run", "evaluated", parts=("0", "lacking" if lacking else "0")))
    assert codes == [0, 0], outputs
    assert ("cannot compute its part of 'samples', so this one computes all" in outputs[0]) == lacking
    assert ("The leader computes 'log_likelihood' alone: not here" in outputs[1]) == lacking
    computed = [sorted(re.findall(r"Part (\d) of (\w+)\.", output)) for output in outputs]
    of = {name: [[int(i) for i, work in of_one if work == name] for of_one in computed] for name in WORKED}
    first = {"samples": [0, 2], "log_likelihood": [0, 2, 4, 6]}
    alone = {"samples": [0, 0, 1, 2], "log_likelihood": [0, 0, 1, 2, 3, 4, 5, 6]}  # the first round is in vain
    second = {"samples": [1, 2], "log_likelihood": [1, 3, 5, 6]}  # the last round has one part, which both compute
    assert of == {name: [alone[name], []] if lacking else [first[name], second[name]] for name in WORKED}
    ours, single = ([row for row in read_metrics(folder / "metrics.jsonl") if row["kind"] == "eval"][-1]
                    for folder in (tmp_path / "run", tmp_path / "alone"))
    assert ours.keys() == single.keys() >= {"log_likelihood_iw20", "recall_raw_1300_test"}
    np.testing.assert_allclose(list(ours.values())[2:], list(single.values())[2:], rtol=1e-3, atol=2e-3)


@pytest.mark.slow
def test_a_signal_to_a_helper_ends_an_evaluation_between_rounds(tmp_path):
    """What was not made is made when the run goes on."""
    more = ["--config.train.checkpoint_every=2"]
    both = start(tmp_path / "run", "evaluated", parts=("3", "3"), more=more)
    until_saved(tmp_path / "run", 4, both)
    both[1].send_signal(signal.SIGTERM)
    codes, outputs = ends(both)
    assert codes == [75, 75], outputs
    assert sum(output.count("Part ") for output in outputs) < 16
    assert not (tmp_path / "run" / "DONE").exists()
    assert ends(start(tmp_path / "run", "evaluated", more=more))[0] == [0, 0]
    rows = [row for row in read_metrics(tmp_path / "run" / "metrics.jsonl") if row["kind"] == "eval"]
    assert [row["step"] for row in rows if "log_likelihood_iw20" in row] == [4]
