"""A deadline: all that takes as long as what was seen before ends in time, saved, and goes on to the same bits."""

import math
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gen
from gen import sweeps
from gen.errors import UserError
from gen.launchers import LAUNCHERS, Options
from gen.signals import LEAVING, STOPPED, UNKNOWN_SAVE, Deadline, age, saving
from gen.storage.checkpoints import Checkpoints, steps
from gen.training import loop
from tests.environment import ROOT, environment, users_environment
from tests.helpers import assert_same_bits, vae_config

TINY = f"{ROOT}/tests/tiny.py"
DIGITS = "experiments/vae/digits.py:smoke"


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now

    def passes(self, seconds):
        self.now += seconds
        return self


def test_it_stops_a_gap_and_a_save_and_the_leaving_early():
    clock = Clock()
    stop = Deadline(100.0, clock=clock)
    while not stop():
        clock.passes(3)
    assert clock.now - 1_000 == 3 * math.ceil((100 - 3 - UNKNOWN_SAVE - LEAVING) / 3)


def test_the_first_save_is_timed_and_is_in_no_gap():
    clock = Clock()
    stop = Deadline(100.0, clock=clock)
    stop()
    clock.passes(2)
    for seconds, timed in ((7.0, True), (50.0, False)):
        with saving(stop) as first:
            assert first is timed
            clock.passes(seconds)
    clock.passes(1)
    assert not stop() and stop.longest == 3 and stop.save == 7
    clock.passes(10)
    assert not stop() and stop.longest == 10
    clock.passes(30 - 10 - 7 - LEAVING)
    assert stop()


def test_the_time_before_the_first_question_is_no_gap():
    clock = Clock()
    stop = Deadline(100.0, clock=clock)
    clock.passes(60)
    assert not stop() and stop.longest == 0


@given(gaps=st.lists(st.floats(0, 20), min_size=1, max_size=30), save=st.floats(0, 10), seconds=st.floats(0, 300))
def test_what_takes_no_longer_than_before_ends_in_time(gaps, save, seconds):
    """Unless the first question comes too late already: no more than a question is then asked."""
    clock = Clock()
    stop = Deadline(seconds, clock=clock)
    asked = 0
    for gap in [20.0, *gaps, *[20.0] * 20]:
        asked += 1
        if stop():
            break
        clock.passes(gap)
    clock.passes(save + LEAVING)
    assert asked <= 2 or clock.now <= stop.end + 1e-9


def test_a_signal_stops_at_once():
    assert Deadline(1e6, other=lambda: True)()


def test_a_process_that_is_waited_for_ends_before():
    clock = Clock()
    stop = Deadline(120.0, clock=clock)
    assert stop.minutes() == pytest.approx((120 - LEAVING) / 60)
    clock.passes(200)
    assert stop.minutes() == 0


def test_the_age_is_that_of_the_process():
    """Its start is known to a tick of the system's clock, a hundredth of a second."""
    begun, tick = time.monotonic(), 1 / os.sysconf("SC_CLK_TCK")
    code = "import time; time.sleep(0.5); from gen.signals import age; print(age())"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert 0.5 <= float(done.stdout) <= time.monotonic() - begun + tick
    assert age() > 0


@pytest.mark.slow
def test_a_run_stops_in_time_and_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    """Each question costs a second, each write of a checkpoint two."""
    clock, wait = Clock(), Checkpoints.wait
    monkeypatch.setattr(Checkpoints, "wait", lambda self: (wait(self), clock.passes(2))[0])

    class Asked(Deadline):
        def __call__(self):
            clock.passes(1)
            return super().__call__()

    config = vae_config(train__steps=24, train__checkpoint_every=2, train__evaluate_every=0, train__best="")
    stop = Asked(44.0, clock=clock)
    assert loop.train(config, tmp_path / "run", stop) == "stopped"
    assert clock.now <= stop.end and stop.save >= 2
    assert 2 < gen.load(tmp_path / "run").step < 24
    assert loop.train(config, tmp_path / "run") == loop.train(config, tmp_path / "whole") == "finished"
    assert_same_bits(gen.load(tmp_path / "run").state, gen.load(tmp_path / "whole").state)


@pytest.mark.slow
def test_time_that_ends_at_the_last_step_leaves_the_report_for_the_next_time(tmp_path):
    config = vae_config()
    answers = iter([False] * 40)

    def stop():
        return next(answers, True) or steps(tmp_path / "checkpoints")[-1:] == [12]

    assert loop.train(config, tmp_path, stop) == "stopped"
    assert not (tmp_path / "DONE").exists() and gen.load(tmp_path).step == 12
    assert loop.train(config, tmp_path) == "finished"
    assert (tmp_path / "report.html").exists()


PROCESS = "import sys; print([a for a in sys.argv if a.startswith('--minutes=')]); sys.exit(75)"


def test_a_sweeps_processes_are_told_what_is_left(tmp_path, capfd):
    packs = [[run] for run in sweeps.points(TINY, "two", {}, tmp_path)]
    ended = sweeps.run(packs, lambda k: [sys.executable, "-S", "-c", PROCESS], Deadline(600.0))
    assert ended.stopped
    (line,) = capfd.readouterr().out.splitlines()
    assert 9.5 < float(line.strip("[]'").partition("=")[2]) <= 10 - LEAVING / 60 + 1e-4


def test_jobs_of_slurm_have_limits_of_their_own(tmp_path):
    sweep = sweeps.read(TINY, "two", {}, tmp_path, 1, ("python", "scripts/sweep.py"))
    with pytest.raises(UserError, match="--slurm=time=MINUTES"):
        LAUNCHERS["slurm"](sweep, Options(minutes=5.0))


def command(script, *flags):
    begun = time.monotonic()
    done = subprocess.run([sys.executable, str(ROOT / "scripts" / script), *flags], cwd=ROOT, capture_output=True,
                          text=True, env=users_environment(), timeout=300)
    return done, (time.monotonic() - begun) / 60


@pytest.mark.slow
def test_a_command_ends_before_its_minutes_and_the_same_command_goes_on(tmp_path):
    """As users run it: more steps than it has time for; then to a step beyond, as a run that nothing stopped."""
    def train(folder, steps, *flags):
        return command("train.py", f"--config={DIGITS}", "--config.train.evaluate_every=0",
                       "--config.train.sample_every=0", f"--config.train.steps={steps}",
                       f"--workdir={tmp_path / folder}", *flags)

    stopped, minutes = train("run", 30_000_000, "--minutes=1.5")
    assert stopped.returncode == STOPPED, stopped.stderr
    assert minutes < 1.5
    step = gen.load(tmp_path / "run").step
    assert step > 0
    for folder in ("run", "whole"):
        done, _ = train(folder, step + 100)
        assert done.returncode == 0, done.stderr
    assert_same_bits(gen.load(tmp_path / "run").state, gen.load(tmp_path / "whole").state)


@pytest.mark.slow
def test_a_sweep_ends_before_its_minutes(tmp_path):
    done, minutes = command("sweep.py", f"--config={TINY}", "--launcher=local", f"--folder={tmp_path}", "--minutes=1.5",
                            "--config.train.steps=100000000", "--sweep=two")
    assert done.returncode == STOPPED and minutes < 1.5, done.stderr
    runs = sweeps.points(TINY, "two", {"train.steps": "100000000"}, tmp_path)
    assert [run.status for run in runs] == ["to resume"] * 2
