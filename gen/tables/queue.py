"""Lists of runs for a machine that is lent for a time, in order of value, and what works through them.

Each item is a process of its own, whose output is in a file. What it was in the midst of when its time was over goes on
when the same queue is worked through again.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from absl import logging

from gen import resources, sweeps
from gen.errors import lookup
from gen.files import write_atomically
from gen.signals import STOPPED, Deadline, Stop
from gen.tables.points import Entry, points
from gen.tables.results import obstacle

RATE = 15e12
"""FLOP/s that are assumed of one accelerator: under a quarter of what an H100 does in float32 without tensor cores."""
STEP_SECONDS = 5e-4
"""That a step is assumed to take beside its arithmetic: some hundred kernels."""
PROGRAM_SECONDS = 60.0
"""That each program is assumed to take to be compiled, and its runs to be evaluated, drawn and reported on."""

TOGETHER = 64
"""At most so many runs of a row train in one program."""


class Work(NamedTuple):
    """What training is left: floating point operations, steps of all programs, and how many programs there are."""

    flops: float
    steps: int
    programs: int

    @property
    def minutes(self) -> float:
        """What is expected of one accelerator, from what is assumed of it."""
        return (self.flops / RATE + self.steps * STEP_SECONDS + self.programs * PROGRAM_SECONDS) / 60


class Item(NamedTuple):
    """A command of a queue.

    Attributes:
      what: in words.
      command: after "python"; the folder `runs` in it is that of all runs.
      minutes: expected of one accelerator.
      flops: of its training; 0 where it trains nothing to speak of.
      whole: it cannot stop in the midst, so it waits for a time that is long enough.
    """

    what: str
    command: tuple[str, ...]
    minutes: float
    flops: float = 0.0
    whole: bool = False


def _table(name: str, work: Work) -> Item:
    """The table's full protocol."""
    return Item(f"the table `{name}` in full", ("scripts/reproduce.py", f"--table={name}", "--protocol=full",
                                                f"--pack={TOGETHER}", "--folder=runs"), work.minutes, work.flops)


WORK = {
    "pacgan_ring": Work(2.233e16, 1_600_000, 4),
    "pacgan_grid": Work(2.233e16, 1_600_000, 4),
    "stacked_mnist": Work(1.723e17, 1_500_000, 3),
    "burda_one_layer": Work(8.697e16, 49_200_000, 5),
    "burda_two_layers": Work(1.181e17, 49_200_000, 5),
    "vqvae": Work(4.088e14, 10_000, 1),
}
"""Table to the work of its full protocol, as `work` counts it."""

QUEUES: dict[str, Mapping[str, Item]] = {
    "accelerator": {
        "test": Item("the tests of the accelerator", ("-m", "tests.accelerator"), 5.0, whole=True),
        "benchmark": Item("the benchmark", ("scripts/benchmark.py", "--settings=gpu", "--out=runs/benchmark.jsonl",
                                            "--seconds=1", "--repeats=3", "--markdown"), 20.0),
        "classifier": Item("the classifier that stacked MNIST is counted with",
                           ("scripts/train_classifier.py", "--dataset=mnist"), 2.0, whole=True),
    } | {name: _table(name, work) for name, work in WORK.items()},
}
"""Name to its items, the most valuable first."""


def work(entry: Entry, protocol: str) -> Work:
    """Counts what a table has to train, from nothing."""
    found = Work(0.0, 0, 0)
    for runs in points(entry, protocol, None, Path(os.devnull)).values():
        packs = sweeps.packs([run for run in runs if obstacle(run)], TOGETHER)
        cost = sweeps.cost(packs)
        steps = sum(max(run.config.train.steps for run in pack) for pack in packs)
        found = Work(found.flops + cost.flops, found.steps + steps, found.programs + len(packs))
    return found


def markdown(queue: Mapping[str, Item]) -> str:
    """The list as a table, with what is expected of each item."""
    lines = ["| | what | command | FLOPs | minutes |", "| ---: | --- | --- | ---: | ---: |"]
    for i, item in enumerate(queue.values(), 1):
        flops = f"{item.flops:.1e}" if item.flops else ""
        lines.append(f"| {i} | {item.what} | `python {' '.join(item.command)}` | {flops} | {item.minutes:,.0f} |")
    return "\n".join(lines)


def run(name: str, folder: Path, stop: Stop) -> int:
    """Works through a queue; returns 0, 1 where an item failed, 75 where something is left for another time.

    An item that fails does not stop the others, and is tried again the next time. What is done is not done again:
    `folder`/queue/<name>/<item>.done says so, and <item>.log has what was printed.
    """
    items, place, failed, left = lookup(QUEUES, name, "queue"), _place(name, folder), [], False
    for key, item in items.items():
        done = place / f"{key}.done"
        if done.exists():
            continue
        if stop():
            return STOPPED
        if item.whole and isinstance(stop, Deadline) and stop.minutes() < item.minutes:
            print(f"{key}: left for a time of {item.minutes:.0f} minutes, which it takes in one piece.")
            left = True
            continue
        begun, code = time.monotonic(), _run(item, folder, place / f"{key}.log", stop)
        print(f"{key}: {_outcome(code)} after {(time.monotonic() - begun) / 60:.1f} minutes, see {place / key}.log",
              flush=True)
        if code == STOPPED:
            return STOPPED
        if code:
            failed.append(key)
        else:
            write_atomically(done, "")
    return STOPPED if left else int(bool(failed))


def _place(name: str, folder: Path) -> Path:
    return Path(folder) / "queue" / name


def _outcome(code: int) -> str:
    return {0: "done", STOPPED: "stopped"}.get(code, f"failed with exit code {code}")


def _argv(item: Item, folder: Path) -> list[str]:
    """The item's command for runs below `folder`; the scripts are those of this installation."""
    argv = [re.sub(r"=runs\b", lambda _: f"={folder}", part) for part in item.command]
    script = resources.folder("scripts") / Path(argv[0]).name
    return [sys.executable, str(script) if argv[0].startswith("scripts/") else argv[0], *argv[1:]]


def _run(item: Item, folder: Path, log: Path, stop: Stop) -> int:
    """Runs the item's command, its output added to `log`; returns its exit code."""
    limit = [f"--minutes={stop.minutes():.4f}"] if isinstance(stop, Deadline) and not item.whole else []
    log.parent.mkdir(parents=True, exist_ok=True)
    logging.info("%s: output in %s", item.what, log)
    with log.open("a") as file:
        process = subprocess.Popen([*_argv(item, folder), *limit], stdout=file, stderr=subprocess.STDOUT,
                                   start_new_session=True)
        told = False
        while process.poll() is None:
            if stop() and not told:
                process.terminate()
                told = True
            time.sleep(0.1)
    return STOPPED if told else process.returncode


def listing(name: str, folder: Path) -> list[str]:
    """A line for each item of a queue: whether it is done, and what it is."""
    items = lookup(QUEUES, name, "queue").items()
    return [f"{'done' if (_place(name, folder) / f'{key}.done').exists() else 'left'}  {key:<18} {item.what}"
            for key, item in items]
