"""The lecture: short computations and trainings that show one idea each, with a figure and a claim in numbers.

A lesson is a file `experiments/lecture/<name>.py`. Its docstring has the idea and the formulas; `TITLE` is its heading,
`SHOWS` the functions of the library that it is about, `RUNS` the trainings that it needs, and `run` makes the `Lesson`.
"""

import inspect
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from gen import config as configs
from gen import resources, runs
from gen.data import load
from gen.errors import lookup
from gen.evaluation import Subject
from gen.figures.grids import save_png
from gen.figures.report import document
from gen.figures.sections import data_uri, escape, shown
from gen.files import write_atomically
from gen.runs import Run
from gen.schema import complete
from gen.training import loop, recorder

EXPERIMENTS = resources.folder("experiments")

LESSONS = {
    "inverse_cdf": "Probability",
    "monte_carlo": "Probability",
    "kl_directions": "Probability",
    "distances": "Probability",
    "change_of_variables": "Probability",
    "optimal_discriminator": "GAN",
    "mode_collapse": "GAN",
    "dead_generator": "GAN",
    "elbo_gap": "VAE",
    "gradient_estimators": "VAE",
    "posterior_collapse": "VAE",
    "blur": "GAN and VAE",
    "diffusion": "Diffusion",
}
"""Name to part of the lecture, in its order."""


class Lesson(NamedTuple):
    """What a lesson found.

    Attributes:
      picture: its figure.
      numbers: what was measured, by name.
      claim: the sentence that the numbers are to show.
      holds: whether they do.
    """

    picture: UInt8[np.ndarray, "h w 3"]
    numbers: Mapping[str, float]
    claim: str
    holds: bool


class Training(NamedTuple):
    """A run of an experiment: its file below experiments/, with its variant, and overrides."""

    experiment: str
    overrides: Mapping[str, Any] = {}

    def command(self) -> str:
        """What trains the same run alone."""
        changes = (f"--config.{key}={_flag(value)}" for key, value in self.overrides.items())
        return shlex.join(["python", "scripts/train.py", f"--config=experiments/{self.experiment}", *changes])


def short(steps: int, log_every: int, evaluate_every: int = 0) -> dict[str, Any]:
    """Overrides for a run of these periods without pictures, saved at its end."""
    return {"train.steps": steps, "train.log_every": log_every, "train.evaluate_every": evaluate_every,
            "train.sample_every": 0, "train.checkpoint_every": steps, "train.best": ""}


def _flag(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def trained(trainings: Mapping[str, Training], folder: Path, **changes: Any) -> dict[str, Run]:
    """Trains each in a folder of its label, those that are finished not again; returns the models by label.

    `changes` are overrides for all, with "__" for the dot.
    """
    found = {}
    for label, training in trainings.items():
        config = configs.load(str(EXPERIMENTS / training.experiment))
        overrides = dict(training.overrides) | {key.replace("__", "."): value for key, value in changes.items()}
        workdir = folder / label.lower().replace(" ", "_")
        loop.train(complete(config, overrides), workdir, default=complete(config, {}))
        found[label] = runs.load(workdir)
    return found


def subject(run: Run) -> Subject:
    """The model as evaluators take it."""
    return recorder.evaluation_subject(run.program, run.state, load(run.config.data), run.config)


def read(name: str) -> ModuleType:
    """The lesson's file as a module."""
    lookup(LESSONS, name, "lesson")
    return configs.module(EXPERIMENTS / "lecture" / f"{name}.py")


def give(names: Sequence[str], folder: Path) -> dict[str, Lesson]:
    """Runs lessons; writes <folder>/<name>.png of each and a page of them all. Returns them by name.

    The page is lecture.html, that of a lesson alone <name>.html.
    """
    modules, lessons, sections = {name: read(name) for name in names}, {}, {}
    for name, module in modules.items():
        begin = time.perf_counter()
        lesson = lessons[name] = module.run(folder / name)
        seconds = time.perf_counter() - begin
        print(f"{'holds ' if lesson.holds else 'FAILS '} {name} ({seconds:.0f} s): {lesson.claim}", flush=True)
        picture = save_png(lesson.picture, folder / f"{name}.png")
        sections[module.TITLE] = section(name, module, lesson, picture, seconds)
    page = folder / f"{'lecture' if len(names) != 1 else names[0]}.html"
    write_atomically(page, document("Generative models", sections))
    print(f"Page: {page}")
    return lessons


def section(name: str, module: ModuleType, lesson: Lesson, picture: Path, seconds: float) -> str:
    """A lesson as HTML: idea, figure, claim, numbers, functions, commands."""
    trainings = getattr(module, "RUNS", {}).values()
    commands = [f"python scripts/lecture.py --only={name}", *(training.command() for training in trainings)]
    verdict = "holds" if lesson.holds else "does not hold"
    numbers = "".join(f'<tr><th scope="row">{escape(key)}</th><td class="number">{shown(float(value))}</td></tr>'
                      for key, value in lesson.numbers.items())
    return "".join((
        f'<div class="lesson">{prose(module.__doc__)}',
        f'<figure><img src="{data_uri(picture, picture.parent)}" alt="{escape(module.TITLE)}"></figure>',
        f'<p class="claim"><b>Claim.</b> {escape(lesson.claim)} <b>It {verdict}.</b></p>',
        f'<div class="scroll"><table>{numbers}</table></div>',
        f"<h3>In the library</h3><ul>{''.join(map(_function, module.SHOWS))}</ul>",
        f"<h3>Commands</h3><pre>{escape(chr(10).join(commands))}</pre>",
        f'<p class="soft">{escape(LESSONS[name])}; {seconds:.0f} s here.</p></div>',
    ))


def _function(function: Callable) -> str:
    name, (summary, *_) = f"{function.__module__}.{function.__qualname__}", inspect.getdoc(function).split("\n\n")
    return f"<li><code>{escape(name)}</code>: {escape(summary)}</li>"


def prose(docstring: str) -> str:
    """A docstring as HTML: paragraphs, and indented ones, formulas, as they are."""
    blocks = inspect.cleandoc(docstring).split("\n\n")
    return "".join(f"<pre>{escape(inspect.cleandoc(block))}</pre>" if block.startswith(" ") else
                   f"<p>{escape(block)}</p>" for block in blocks)
