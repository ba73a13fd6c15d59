"""Sweeps: their runs, what is done of them, what the rest costs, and training it pack by pack.

A sweep is what an experiment's `get_sweep(name)` returns, a list of overrides. Its runs are grouped into packs, each
trained by one process in one program; the packs are numbered, whatever is done already.
"""

import functools
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import logging
from ml_collections import ConfigDict

from gen import config as configs
from gen.data import Dataset, load
from gen.errors import UserError
from gen.schema import complete
from gen.signals import STOPPED, Deadline, Stop
from gen.storage import record
from gen.storage.checkpoints import steps as checkpoint_steps
from gen.training import loop, program, replicas
from gen.training.cost import step_flops, step_images
from gen.training.recorder import done

FAILED = "failed: "
"""Before a run's folder and its error, where the process of a pack prints them."""


class Point(NamedTuple):
    """A run of a sweep.

    Attributes:
      overrides: of the experiment's variant: the sweep's, and those of the command line.
      config: resolved.
      workdir: its folder, the same that `scripts/train.py` gives it.
    """

    overrides: dict[str, Any]
    config: ConfigDict
    workdir: Path

    @property
    def finished(self) -> bool:
        """Whether all its steps are trained, with this config; not where the record of its config cannot be read."""
        try:
            return done(self.workdir, self.config)
        except UserError as error:
            logging.warning("%s", error)
            return False

    @property
    def step(self) -> int:
        """The step that it goes on from: that of its newest checkpoint; 0 where there is none."""
        return max(checkpoint_steps(self.workdir / "checkpoints"), default=0)

    @property
    def left(self) -> int:
        """Steps still to train."""
        return 0 if self.finished else max(0, self.config.train.steps - self.step)

    @property
    def status(self) -> str:
        """ "done", "to resume" or "missing"."""
        return "done" if self.finished else "to resume" if self.step else "missing"


Packs = Sequence[Sequence[Point]]


class Cost(NamedTuple):
    """What is left to train: runs, steps, training examples, floating point operations of each pack's step, of all."""

    runs: int
    steps: int
    images: int
    step_flops: tuple[float, ...]
    flops: float


class Ended(NamedTuple):
    """How training packs ended: the errors of the runs that failed, by folder; whether they were stopped."""

    failed: dict[Path, str]
    stopped: bool


class Sweep(NamedTuple):
    """A sweep as a launcher takes it.

    Attributes:
      spec, name: of the experiment and of its sweep.
      overrides: of the command line.
      folder: that of all runs.
      packs: its runs.
      argv: the command that this sweep was read from.
      default: the experiment's config before all overrides.
    """

    spec: str
    name: str
    overrides: configs.Overrides
    folder: Path
    packs: Packs
    argv: tuple[str, ...]
    default: ConfigDict

    def command(self, k: int) -> list[str]:
        """The command that trains pack k."""
        return [*self.argv, f"--only={k}"]


def read(spec: str, name: str, overrides: configs.Overrides, folder: Path, most: int, script: Sequence[str]) -> Sweep:
    """Returns the sweep that a command line names; `script` is the command before its flags. See `points`, `packs`."""
    flags = [f"--config={spec}", *([f"--sweep={name}"] if name else []),
             *(f"--config.{key}={value}" for key, value in overrides.items()), f"--folder={folder}", f"--pack={most}"]
    all_packs = packs(points(spec, name, overrides, folder), most)
    return Sweep(spec, name, overrides, folder, all_packs, (*script, *flags), complete(configs.load(spec), {}))


def points(spec: str, name: str, overrides: configs.Overrides, folder: Path) -> list[Point]:
    """Returns the runs of the sweep `name` of the experiment `spec`, in its order, each with `overrides` too.

    Raises:
      UserError: there is no such sweep; the sweep sets a key of `overrides` itself; a run's config cannot be resolved;
        two runs are the same.
    """
    path, variant = configs.split_spec(spec)
    experiment = configs.load(spec)
    for key, table in getattr(configs.module(path), "TABLES", {}).items():
        for protocol, own in table.protocols.items():
            if name == f"{key}_{protocol}" and variant != own:
                raise UserError(f"The sweep {name!r} is of another variant: --config={path}{own and ':' + own}")
    found: dict[Path, Point] = {}
    for run in configs.load_sweep(spec, name):
        if both := [key for key in overrides if _clashes(key, run)]:
            raise UserError(f"--config.{both[0]}: the sweep {name!r} of {spec} sets it itself; choose another sweep.")
        workdir = configs.run_folder(folder / configs.experiment_name(spec), variant, run | overrides)
        if workdir in found:
            raise UserError(f"The sweep {name!r} of {spec} has the run {workdir.name} twice.")
        config = complete(experiment, run | overrides, record.has_begun(workdir))
        found[workdir] = Point(run | overrides, config, workdir)
    return list(found.values())


def _clashes(key: str, run: Iterable[str]) -> bool:
    return any(key == other or key.startswith(f"{other}.") or other.startswith(f"{key}.") for other in run)


def packs(runs: Sequence[Point], most: int) -> list[list[Point]]:
    """Returns the runs in packs that one program can train, at most `most` in each; what is done does not matter."""
    return [[runs[i] for i in group] for group in replicas.groups([run.config for run in runs], most)]


def cost(all_packs: Packs) -> Cost:
    """Returns what is left of the packs.

    Raises:
      UserError: a run cannot be trained at all (its parts do not fit together, or not its data).
    """
    dataset = functools.cache(lambda text: load(configs.from_json(text)))
    left = {k: sum(run.left for run in pack) for k, pack in enumerate(all_packs)}
    steps = {k: _step_cost(all_packs[k][0].config, dataset) for k, n in left.items() if n}
    return Cost(
        runs=sum(not run.finished for pack in all_packs for run in pack),
        steps=sum(left.values()),
        images=sum(left[k] * images for k, (images, _) in steps.items()),
        step_flops=tuple(flops for _, flops in steps.values()),
        flops=sum(left[k] * flops for k, (_, flops) in steps.items()),
    )


def _step_cost(config: ConfigDict, dataset: Callable[[str], Dataset]) -> tuple[int, float]:
    """Training examples and floating point operations of a step."""
    data = dataset(configs.to_json(config.data))
    configs.check_train(config, len(data.train["x"]))
    made = program.make(config, data.spec)
    program.check_length(made, config)
    return step_images(made, config), step_flops(made, config, data.spec, data.train)


def describe(all_packs: Packs) -> str:
    """Returns the list of runs, one a line with its pack and what is done, and the cost of what is left."""
    runs = [run for pack in all_packs for run in pack]
    count = {status: sum(run.status == status for run in runs) for status in ("done", "to resume", "missing")}
    lines = [f"{k:>4}  {run.status:<9}  {run.step:>9,} of {run.config.train.steps:,} steps  {run.workdir}"
             for k, pack in enumerate(all_packs) for run in pack]
    left = cost(all_packs)
    least, greatest = min(left.step_flops, default=0.0), max(left.step_flops, default=0.0)
    step = f"{least:.3g}" if least == greatest else f"{least:.3g} to {greatest:.3g}"
    return "\n".join([
        "pack  status     steps, folder", *lines,
        f"{len(runs)} runs in {len(all_packs)} packs: {', '.join(f'{n} {status}' for status, n in count.items())}.",
        f"Left: {left.runs} runs, {left.steps:,} steps, {left.images:,} training examples, {left.flops:.3g} FLOPs "
        f"({step} a step).",
    ])


def unfinished(all_packs: Packs) -> list[int]:
    """Returns the numbers of the packs with runs that are not done."""
    return [k for k, pack in enumerate(all_packs) if not all(run.finished for run in pack)]


def train(pack: Sequence[Point], stop: Stop, default: ConfigDict | None = None) -> Ended:
    """Trains the runs of a pack that are not done, in this process and in one program; whatever fails is reported."""
    runs = [run for run in pack if not run.finished]
    if not runs:
        return Ended({}, False)
    try:
        outcomes = loop.train_together([run.config for run in runs], [run.workdir for run in runs], stop, default)
    except UserError as error:
        outcomes = [error] * len(runs)
    except Exception as error:
        traceback.print_exc()
        outcomes = [f"{type(error).__name__}: {error}"] * len(runs)
    failed = {run.workdir: _one_line(outcome) for run, outcome in zip(runs, outcomes, strict=True)
              if outcome not in ("finished", "stopped") and not run.finished}
    return Ended(failed, "stopped" in outcomes)


def exit_code(ended: Ended) -> int:
    """Prints each failed run and its error, in a line; returns 0, 1 where a run failed, 75 where it stopped."""
    for workdir, error in ended.failed.items():
        print(f"{FAILED}{workdir}: {error}", flush=True)
    return STOPPED if ended.stopped else int(bool(ended.failed))


def run(all_packs: Packs, command: Callable[[int], list[str]], stop: Stop) -> Ended:
    """Trains what is not done, one pack after another, each in a process `command(number of the pack)` of its own.

    The process trains its pack as `train` does and exits with `exit_code`; given `--parent=PID` it dies with this
    one, and given `--minutes=N` it stops in time. A pack that fails, or whose process crashes, does not end the others.
    A signal (`stop`) is passed on.
    """
    failed: dict[Path, str] = {}
    for k in unfinished(all_packs):
        if stop():
            return Ended(failed, True)
        logging.info("Pack %d of %d.", k, len(all_packs))
        code, printed = _wait(command(k), stop)
        if code == STOPPED or (code == -signal.SIGTERM and stop()):  # one that still began dies of what was passed on
            return Ended(failed, True)
        failed |= {run.workdir: _reason(run, code, printed) for run in all_packs[k] if not run.finished}
    return Ended(failed, False)


def _wait(argv: Sequence[str], stop: Stop) -> tuple[int, list[str]]:
    """Runs a process in a session of its own; returns its exit code and what it printed, which is printed here too."""
    limit = [f"--minutes={stop.minutes():.4f}"] if isinstance(stop, Deadline) else []
    process = subprocess.Popen([*argv, f"--parent={os.getpid()}", *limit], stdout=subprocess.PIPE, text=True,
                               errors="surrogateescape", start_new_session=True)
    told = False
    while True:
        try:
            printed, _ = process.communicate(timeout=0.1)
            break
        except subprocess.TimeoutExpired:
            if stop() and not told:
                process.terminate()
                told = True
    sys.stdout.write(printed)
    sys.stdout.flush()
    return process.returncode, printed.splitlines()


def _reason(run: Point, code: int, printed: Sequence[str]) -> str:
    """Why a run is not done after its pack's process ended."""
    prefix = f"{FAILED}{run.workdir}: "
    said = [line.removeprefix(prefix) for line in printed if line.startswith(prefix)]
    crash = f"its process ended with {f'signal {-code}' if code < 0 else f'exit code {code}'}; see the output above"
    return (said or [crash])[-1]


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
