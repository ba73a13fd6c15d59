"""Real processes that are killed, stopped and starved: nothing is lost."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import gen
from gen.errors import UserError
from gen.storage.checkpoints import steps
from gen.training import loop
from tests.environment import ROOT, environment, users_environment
from tests.helpers import CONFIGS, assert_same_bits, vae_config

KILLED = ("vae", "gan")
FAMILIES = pytest.mark.parametrize("family", KILLED)
OVERRIDES = {"train__steps": 40, "train__log_every": 2, "train__evaluate_every": 8, "train__checkpoint_every": 4}

TRAIN = """
import sys
from pathlib import Path
from gen import commands
from tests.helpers import MODELS
{before}
for workdir in sys.argv[1:]:
    code = commands.train(MODELS["{family}"](**{overrides}), Path(workdir))
sys.exit(code)
"""

DIE_WHILE_WRITING = """
import os, signal
from orbax.checkpoint._src.path import atomicity
finalize, count = atomicity.AtomicRenameTemporaryPath.finalize, [0]
async def die(self, *args, **kwargs):
    count[0] += 1
    if count[0] > 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return await finalize(self, *args, **kwargs)
atomicity.AtomicRenameTemporaryPath.finalize = die
"""

SLOWLY = """
import time
from gen.training.loop import Session
record = Session.record
def slow(self, *args, **kwargs):
    time.sleep(0.3)
    return record(self, *args, **kwargs)
Session.record = slow
"""


KILLS = 20
LONG = OVERRIDES | {"train__steps": 400, "train__keep": 2}
TRAIN_AT_EVERY_LINE = f"""
import os, sys, time
import gen, matplotlib.pyplot
from gen import commands
from gen.training.loop import Session
from tests.helpers import vae_config
def telling(method):
    def tell(self, *args, **kwargs):
        os.write(1, b"%d begins\\n" % os.getpid())
        return method(self, *args, **kwargs)
    return tell
Session.run, Session.record = telling(Session.run), telling(Session.record)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        os._exit(commands.train(vae_config(**{LONG}), sys.argv[1]))
    os.write(1, b"ended %d\\n" % os.waitpid(child, 0)[1])
"""


def start(family: str, *workdirs: Path, before: str = "", env: dict[str, str] | None = None) -> subprocess.Popen:
    """Trains in a process of its own, one run after the other."""
    code = TRAIN.format(before=before, family=family, overrides=OVERRIDES)
    return subprocess.Popen([sys.executable, "-c", code, *map(str, workdirs)], env=env or environment(), cwd=ROOT,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def until(condition, process: subprocess.Popen, seconds: float = 120) -> None:
    """Waits until the condition holds; fails if the process ends first."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "the run did not get there in time"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The final states of runs that nothing interrupted."""
    states = {}
    for family in KILLED:
        workdir = tmp_path_factory.mktemp(family)
        loop.train(CONFIGS[family](**OVERRIDES), workdir)
        states[family] = gen.load(workdir).state
    return states


@pytest.mark.slow
@pytest.mark.parametrize("family", [*KILLED, "hierarchy"])
def test_kill_9_then_the_same_command_gives_the_same_bits(family, tmp_path):
    """With the optimized programs of users, another process going on where the first was killed."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = start(family, killed, before=SLOWLY, env=users_environment())
    until(lambda: len(steps(killed / "checkpoints")) == 2, process)
    process.kill()
    process.wait()
    assert not (killed / "DONE").exists()
    process = start(family, killed, whole, env=users_environment())
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert_same_bits(gen.load(killed).state, gen.load(whole).state)


@pytest.mark.slow
@FAMILIES
def test_kill_9_during_a_checkpoint_write(uninterrupted, family, tmp_path):
    process = start(family, tmp_path, before=DIE_WHILE_WRITING)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, output
    assert list((tmp_path / "checkpoints").glob("*tmp*")), "the write was not under way"
    loop.train(CONFIGS[family](**OVERRIDES), tmp_path)
    assert_same_bits(gen.load(tmp_path).state, uninterrupted[family])
    assert not list((tmp_path / "checkpoints").glob("*tmp*"))


@pytest.mark.slow
def test_kill_9_at_20_random_moments(tmp_path):
    """What is lost: nothing but the steps since the newest checkpoint, which are trained again.

    Importing takes longer than training: the processes to kill are forked after the imports, before JAX has threads.
    A process begins with a line, and says one at every second step; a checkpoint is written at every fourth. So one
    killed after six lines or more has written one whole, however slow the machine.
    """
    delays, unfinished, reached = random.Random(0), 0, []
    command = [sys.executable, "-W", "ignore", "-c", TRAIN_AT_EVERY_LINE, tmp_path / "killed"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=ROOT,
                          env=environment()) as zygote:
        for n in range(KILLS):
            zygote.stdin.write("start\n")
            for _ in range(1 + n % 8):
                pid = int(zygote.stdout.readline().split()[0])
            time.sleep(delays.uniform(0, 0.3))
            os.kill(pid, signal.SIGKILL)
            while (line := zygote.stdout.readline()).endswith("begins\n"):
                pass
            assert line == f"ended {int(signal.SIGKILL)}\n"
            unfinished += any((tmp_path / "killed" / "checkpoints").glob("*tmp*"))
            reached.append(max(steps(tmp_path / "killed" / "checkpoints"), default=0))
        zygote.stdin.close()
    assert unfinished >= 2, "no kill hit a checkpoint that was being written"
    assert reached == sorted(reached) and len(set(reached)) > KILLS // 4, reached
    for folder in ("killed", "whole"):
        loop.train(vae_config(**LONG), tmp_path / folder)
    assert_same_bits(gen.load(tmp_path / "killed").state, gen.load(tmp_path / "whole").state)


@pytest.mark.slow
def test_sigterm_saves_exits_with_75_and_the_same_command_goes_on(uninterrupted, tmp_path):
    process = start("vae", tmp_path, before=SLOWLY)
    until(lambda: steps(tmp_path / "checkpoints"), process)
    process.terminate()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 75, output
    assert "the state is saved" in output
    loop.train(vae_config(**OVERRIDES), tmp_path)
    assert_same_bits(gen.load(tmp_path).state, uninterrupted["vae"])


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_full_disk_stops_the_run_and_leaves_the_older_checkpoint(uninterrupted, small_disk):
    workdir, config = small_disk / "run", vae_config(**OVERRIDES)
    ballast = small_disk / "ballast"

    def fill_after_a_checkpoint():
        if steps(workdir / "checkpoints") and not ballast.exists():
            free = os.statvfs(small_disk)
            with contextlib.suppress(OSError):  # a checkpoint that is being written takes its part meanwhile
                ballast.write_bytes(b"x" * (free.f_bavail * free.f_bsize - 8_192))
        return False

    with pytest.raises(UserError, match="disk full|No space left|make room|free space") as error:
        loop.train(config, workdir, fill_after_a_checkpoint)
    assert "\n" not in str(error.value)
    ballast.unlink()
    assert steps(workdir / "checkpoints")
    loop.train(config, workdir)
    assert_same_bits(gen.load(workdir).state, uninterrupted["vae"])
