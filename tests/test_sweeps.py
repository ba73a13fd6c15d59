"""Sweeps: their runs and packs, what is done, what they cost, and that a failure or a crash ends nothing else."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gen import commands, sweeps
from gen import config as configs
from gen.errors import UserError
from gen.launchers import Options
from gen.storage.checkpoints import steps
from tests.environment import ROOT, environment

TINY = str(ROOT / "tests" / "tiny.py")


@pytest.mark.slow
def test_a_finished_run_of_another_config_is_not_done(tmp_path):
    (pack,) = sweeps.packs(sweeps.points(TINY, "two", {"train.steps": "2"}, tmp_path), 8)
    assert sweeps.train(pack, lambda: False) == sweeps.Ended({}, False)
    assert all(run.finished for run in pack)
    path = pack[0].workdir / "config.json"
    path.write_text(path.read_text().replace('"latents": 2', '"latents": 3'))
    assert [run.finished for run in pack] == [False, True]
    failed = sweeps.train(pack, lambda: False).failed
    assert list(failed) == [pack[0].workdir] and "latents: 3 -> 2" in failed[pack[0].workdir]


def finish(run: sweeps.Point) -> None:
    """Marks a run as done; the mark counts where its last step is saved."""
    run.workdir.mkdir(parents=True)
    (run.workdir / "DONE").write_text(json.dumps({"step": run.config.train.steps}))
    assert not run.finished
    (run.workdir / "checkpoints" / str(run.config.train.steps)).mkdir(parents=True)


def test_points_have_the_folders_of_their_own_commands(tmp_path):
    runs = sweeps.points(f"{TINY}:x", "sizes", {"train.steps": "6"}, tmp_path)
    assert [run.overrides for run in runs] == [
        {"latents": latents, "seed": seed, "train.steps": "6"} for latents in (2, 3) for seed in (0, 1)]
    assert [run.config.train.steps for run in runs] == [6] * 4
    assert runs[3].workdir == tmp_path / "tests" / "tiny" / "x-latents=3-seed=1-train.steps=6"
    text = {"latents": "3", "seed": "1", "train.steps": "6"}
    assert runs[3].workdir.name == configs.run_name("x", text)


def test_packs_keep_their_numbers_whatever_is_done(tmp_path):
    runs = sweeps.points(TINY, "sizes", {}, tmp_path)
    packs = sweeps.packs(runs, 8)
    assert packs == [runs[:2], runs[2:]] and sweeps.packs(runs, 1) == [[run] for run in runs]
    finish(runs[0])
    finish(runs[1])
    assert sweeps.packs(runs, 8) == packs and sweeps.unfinished(packs) == [1]


@pytest.mark.slow
def test_the_cost_is_of_what_is_left(tmp_path):
    packs = sweeps.packs(sweeps.points(TINY, "sizes", {}, tmp_path), 8)
    whole = sweeps.cost(packs)
    assert whole[:3] == (4, 4 * 12, 4 * 12 * 16) and len(whole.step_flops) == 2
    assert whole.flops == pytest.approx(2 * 12 * sum(whole.step_flops))
    finish(packs[0][0])
    finish(packs[0][1])
    (packs[1][0].workdir / "checkpoints" / "8").mkdir(parents=True)
    left = sweeps.cost(packs)
    assert left[:3] == (2, 12 + 4, (12 + 4) * 16) and left.flops == pytest.approx(16 * whole.step_flops[1])
    assert [run.status for run in packs[0] + packs[1]] == ["done", "done", "to resume", "missing"]
    assert "4 runs in 2 packs: 2 done, 1 to resume, 1 missing." in sweeps.describe(packs)


@pytest.mark.parametrize("spec, name, overrides, message", [
    (TINY, "seven", {}, "Unknown sweep 'seven'"),
    (str(ROOT / "experiments" / "gan" / "dirac.py"), "", {}, "has no function get_sweep(name)"),
    (TINY, "two", {"seed": "3"}, "--config.seed: the sweep 'two' of"),
    (TINY, "typo", {}, "Did you mean 'latents'?"),
    (TINY, "twice", {}, "has the run default-latents=2 twice"),
    (str(ROOT / "experiments" / "gan" / "pacgan_ring.py"), "pacgan_ring_cpu", {}, "is of another variant: --config="),
])
def test_a_sweep_that_cannot_be_is_one_line(spec, name, overrides, message, tmp_path):
    with pytest.raises(UserError) as error:
        sweeps.points(spec, name, overrides, tmp_path)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.slow
def test_a_failed_run_is_named_and_the_rest_of_its_pack_finishes(tmp_path, capsys):
    (pack,) = sweeps.packs(sweeps.points(TINY, "diverging", {}, tmp_path), 8)
    ended = sweeps.train(pack, lambda: False)
    assert list(ended.failed) == [pack[1].workdir] and not ended.stopped
    assert [run.finished for run in pack] == [True, False, True]
    assert sweeps.exit_code(ended) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"failed: {pack[1].workdir}: ") and " is nan at step " in line


PROCESS = """
import json, os, signal, sys, time
workdir, act = sys.argv[1:3]
if act == "crash":
    os.kill(os.getpid(), signal.SIGKILL)
if act == "fail":
    print(f"failed: {workdir}: no luck")
    sys.exit(1)
if act == "wait":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    open(workdir + ".waits", "w").close()
    time.sleep(60)
os.makedirs(workdir + "/checkpoints/12")
json.dump({"step": 12}, open(workdir + "/DONE", "w"))
"""


def stand_ins(runs, acts):
    """A stand-in for the process of each pack."""
    return lambda k: [sys.executable, "-S", "-c", PROCESS, str(runs[k].workdir), acts[k]]


def test_a_crash_and_a_failure_of_a_pack_do_not_end_the_others(tmp_path):
    runs = sweeps.points(TINY, "sizes", {}, tmp_path)
    ended = sweeps.run([[run] for run in runs], stand_ins(runs, ["crash", "finish", "fail", "finish"]), lambda: False)
    assert ended == sweeps.Ended({
        runs[0].workdir: "its process ended with signal 9; see the output above", runs[2].workdir: "no luck"}, False)
    assert [run.finished for run in runs] == [False, True, False, True]


def test_a_signal_is_passed_on_and_ends_the_sweep(tmp_path):
    runs = sweeps.points(TINY, "sizes", {}, tmp_path)
    waits = Path(f"{runs[1].workdir}.waits")
    ended = sweeps.run([[run] for run in runs], stand_ins(runs, ["finish", "wait", "finish", "finish"]), waits.exists)
    assert ended == sweeps.Ended({}, True)
    assert [run.finished for run in runs] == [True, False, False, False]


def test_a_process_that_dies_of_the_signal_before_it_can_catch_it_has_stopped_not_failed(tmp_path):
    runs = sweeps.points(TINY, "sizes", {}, tmp_path)
    asked = iter([False])
    ended = sweeps.run([[run] for run in runs], lambda k: [sys.executable, "-S", "-c", "import time; time.sleep(60)"],
                       lambda: next(asked, True))
    assert ended == sweeps.Ended({}, True)


def start(folder: Path) -> subprocess.Popen:
    """The command of a user, whose runs evaluate slowly."""
    argv = [sys.executable, str(ROOT / "scripts" / "sweep.py"), f"--config={TINY}", f"--folder={folder}", "--pack=6",
            "--launcher=local"]
    return subprocess.Popen(argv, env=environment() | {"GEN_TESTS_PAUSE": "0.3"}, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)


def kill_when(process: subprocess.Popen, condition) -> None:
    deadline = time.monotonic() + 200
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.01)
    process.kill()
    process.wait()


@pytest.mark.slow
def test_twelve_runs_killed_twice_are_all_trained_once(tmp_path):
    """kill -9 in the first pack, again in the second one; then the same command finishes."""
    packs = sweeps.packs(sweeps.points(TINY, "", {}, tmp_path), 6)
    for pack in packs:
        process = start(tmp_path)
        kill_when(process, lambda pack=pack: all(steps(run.workdir / "checkpoints") for run in pack))
    assert sweeps.unfinished(packs) == [1]
    times = {run.workdir: os.stat(run.workdir / "DONE").st_mtime_ns for run in packs[0]}
    process = start(tmp_path)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    assert "6 done, 6 to resume, 0 missing" in output and "12 of 12 runs are done." in output
    assert times == {workdir: os.stat(workdir / "DONE").st_mtime_ns for workdir in times}
    for run in packs[0] + packs[1]:
        rows = [json.loads(line) for line in (run.workdir / "metrics.jsonl").read_text().splitlines()]
        assert [row["step"] for row in rows if row["kind"] == "train"] == [2, 4, 6, 8, 10, 12]


@pytest.mark.slow
def test_print_lists_the_runs_and_trains_nothing(tmp_path, capsys):
    folder = tmp_path / "runs"
    read = sweeps.read(TINY, "sizes", {"train.steps": "6"}, folder, 8, ["python", "sweep.py"])
    assert commands.sweep(read, "print", Options()) == 0 and not folder.exists()
    printed = capsys.readouterr().out
    assert "4 runs in 2 packs: 0 done, 0 to resume, 4 missing." in printed
    assert "Left: 4 runs, 24 steps, 384 training examples, " in printed
    command = f"python sweep.py --config={TINY} --sweep=sizes --config.train.steps=6 --folder={folder} --pack=8"
    assert printed.splitlines()[-2:] == [f"  {command} --only={k}" for k in (0, 1)]
    with pytest.raises(UserError, match="--only=2: the sweep has the packs 0 to 1"):
        commands.train_pack(read, 2, None)
