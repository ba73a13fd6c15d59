"""The lecture: chapters that teach one idea each, with a computation or a training, a figure and a claim in numbers.

A chapter is one file, `experiments/lecture/<name>.py`. Its docstring is its text in Markdown: formulas between dollars,
code that runs, exercises with their answers. `{figure}`, alone on a line, is where the computation stands. `TITLE` is
its heading, `SHOWS` the functions of the library that it is about, `RUNS` the trainings that it needs, and `run` makes
the `Lesson`. The page of `make lecture`, the site and a notebook are made of this file: `page`, `markdown`, `notebook`.
"""

import json
import shlex
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jax
from jax.experimental.compilation_cache import compilation_cache

from gen import config as configs
from gen import resources, runs
from gen.data import load
from gen.errors import lookup
from gen.evaluation import Subject
from gen.figures.grids import save_png
from gen.figures.panels import pictures
from gen.files import write_atomically
from gen.runs import Run
from gen.schema import complete
from gen.training import loop, recorder

EXPERIMENTS = resources.folder("experiments")

LESSONS = {
    "densities": "Probability",
    "expectation": "Probability",
    "joint": "Probability",
    "inverse_cdf": "Probability",
    "monte_carlo": "Probability",
    "change_of_variables": "Probability",
    "kl_directions": "Probability",
    "distances": "Probability",
    "optimal_discriminator": "GAN",
    "mode_collapse": "GAN",
    "dead_generator": "GAN",
    "dirac": "GAN",
    "elbo_gap": "VAE",
    "gradient_estimators": "VAE",
    "posterior_collapse": "VAE",
    "deeper": "VAE",
    "hierarchy": "VAE",
    "blur": "VAE and GAN",
    "failures": "VAE and GAN",
    "diffusion": "Diffusion",
}
"""Name to part of the lecture, in its order."""


class Lesson(NamedTuple):
    """What a chapter's computation found.

    Attributes:
      figure: of matplotlib, made by `gen.figures.panels`.
      numbers: what was measured, by name.
      claim: the sentence that the numbers are to show.
      holds: whether they do.
    """

    figure: Any
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
    """The chapter's file as a module."""
    lookup(LESSONS, name, "lesson")
    return configs.module(EXPERIMENTS / "lecture" / f"{name}.py")


def give(names: Sequence[str], folder: Path) -> dict[str, Lesson]:
    """Runs lessons, and writes what each found into the folder as soon as it is there. Returns them by name.

    <name>.png and its three variants (`gen.figures.panels.pictures`), <name>.json, <name>.ipynb, and the page, which
    grows with every lesson: lecture.html, that of a lesson alone <name>.html.
    """
    from gen.lecture import notebook, page

    lessons, path = {}, folder / f"{'lecture' if len(names) != 1 else names[0]}.html"
    for done, name in enumerate(names, start=1):
        module, begin = read(name), time.perf_counter()
        with compiled_once():
            lesson = lessons[name] = module.run(folder / name)
        seconds = time.perf_counter() - begin
        print(f"{'holds ' if lesson.holds else 'FAILS '} {name} ({seconds:.0f} s): {lesson.claim}", flush=True)
        keep(name, lesson, seconds, folder)
        write_atomically(folder / f"{name}.ipynb", json.dumps(notebook.make(name, module), indent=1) + "\n")
        write_atomically(path, page.document(names[:done], names[done:], folder))
        if done == 1:
            print(f"Page, which grows with every lesson: {path}", flush=True)
    return lessons


@contextmanager
def compiled_once() -> Iterator[None]:
    """Programs that are compiled inside are kept until its end: a model that is read back, or differs in a float alone
    from the one before, finds its own there. A cache that the user has chosen stays.
    """
    if jax.config.jax_compilation_cache_dir:
        yield
        return
    with tempfile.TemporaryDirectory() as place:
        options = {"jax_compilation_cache_dir": place, "jax_persistent_cache_min_compile_time_secs": 0.2}
        before = {option: getattr(jax.config, option) for option in options}
        try:
            _configure(options)
            yield
        finally:
            _configure(before)


def _configure(options: Mapping[str, Any]) -> None:
    for option, value in options.items():
        jax.config.update(option, value)
    compilation_cache.reset_cache()


def keep(name: str, lesson: Lesson, seconds: float, folder: Path) -> None:
    """Writes the lesson's pictures, and what it claimed and measured."""
    narrow = getattr(read(name), "NARROW_COLUMNS", 1)
    for variant, picture in pictures(lesson.figure, narrow).items():
        save_png(picture, folder / f"{name}{variant}.png")
    found = {"claim": lesson.claim, "holds": lesson.holds, "seconds": round(seconds, 1),
             "numbers": {key: float(value) for key, value in lesson.numbers.items()}}
    write_atomically(folder / f"{name}.json", json.dumps(found, indent=1) + "\n")
