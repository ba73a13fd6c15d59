"""The training loop: it drives any family from its config to a finished run folder, and resumes exactly.

Each dispatch runs `log_every` steps on the device. Its metrics are fetched after the next dispatch has been sent, so
the device never waits for the host, except where the state is needed: to evaluate, to draw samples, to save.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import jax
import numpy as np
from absl import logging

from gen import evaluation, runs
from gen.config import check_train
from gen.data import Dataset, load
from gen.errors import UserError, nearest
from gen.evaluation import pictures as model_pictures
from gen.evaluation.diagnosis import diagnose
from gen.families import Metrics, TrainState
from gen.figures import sample_picture, scene
from gen.figures.animation import animate_run, sample_files
from gen.figures.grids import save_png
from gen.figures.report import write_report
from gen.rng import stream
from gen.training import lock, program
from gen.training.checkpoints import Checkpoints
from gen.training.writers import Progress, Writer

PICTURE_EXAMPLES = {"images": 64, "points": 2_500}
Outcome = Literal["finished", "stopped"]


class Diverged(UserError):
    """A loss or another training metric became NaN or infinite."""


class Window(NamedTuple):
    """The steps of one dispatch, `first` to `last`, their metrics and the diagnosis after them."""

    first: int
    last: int
    metrics: Metrics
    diagnosis: Metrics


def train(config, workdir: Path | str, stop: Callable[[], bool] = lambda: False, default=None) -> Outcome:
    """Trains the run that the config describes in `workdir`, from its newest checkpoint if there is one.

    Args:
      config: a resolved config (`gen.config.resolve`).
      workdir: the run's folder; made if missing.
      stop: asked after every dispatch; True saves a checkpoint and ends.
      default: the experiment's config before overrides, for the report to show what differs.

    Returns:
      "finished", or "stopped" if `stop` said so first.

    Raises:
      UserError: what the user can mend; see its message.
      Diverged: a metric is not finite; earlier checkpoints stay.
    """
    workdir = Path(workdir)
    dataset = load(config.data)
    check_train(config, len(dataset.train["x"]))
    evaluation.check(config)
    with lock.exclusive(workdir):
        runs.start(workdir, config, dataset.spec, default)
        if _done(workdir) == config.train.steps:
            logging.info("%s is finished at step %d; nothing to do.", workdir, config.train.steps)
            return "finished"
        with Checkpoints(workdir / "checkpoints", config.train.keep, best(config)) as checkpoints:
            return Session(config, workdir, dataset, checkpoints).run(stop)


def best(config) -> tuple[str, str] | None:
    """The config's `train.best`, "max elbo", as (name, mode); None where it is empty."""
    if not config.train.best:
        return None
    mode, _, name = config.train.best.partition(" ")
    if mode not in ("min", "max") or not name:
        raise UserError(f"config.train.best={config.train.best!r}: expected 'max METRIC' or 'min METRIC'.")
    return name, mode


def evaluate(program_: program.Program, state: TrainState, dataset: Dataset, config) -> dict[str, float]:
    """Averages the family's metrics over the test split, and runs the config's evaluators on fresh samples."""
    results = program.means(program_.evaluate(state, program.on_device(dataset.test)))
    subject = evaluation_subject(program_, state, dataset, config)
    for name, options in config.evaluators.items():
        results |= evaluation.EVALUATORS[name](subject, **options)
    return {name: float(value) for name, value in results.items()}


def evaluation_subject(program_: program.Program, state: TrainState, dataset: Dataset, config) -> evaluation.Subject:
    """What the evaluators look at: samples of this state, drawn once for all of them."""
    key = stream(state.key, "evaluation samples")
    sample = functools.cache(lambda n: program.draw(program_, state, key, n))
    return evaluation.Subject(sample, dataset, config, state, program_.family.methods)


class Session:
    """One process's part of a run: what is open while it trains. The state is passed, never kept."""

    def __init__(self, config, workdir: Path, dataset: Dataset, checkpoints: Checkpoints):
        self.config, self.workdir, self.dataset, self.checkpoints = config, workdir, dataset, checkpoints
        self.program = program.make(config, dataset.spec)
        self.data = program.on_device(dataset.train)
        self.latest: dict[str, float] = {}
        self.warned: set[str] = set()

    def run(self, stop: Callable[[], bool]) -> Outcome:
        """Trains to the last step, or to the dispatch after which `stop()` is true."""
        state, step = self.initial()
        batch_size = self.config.train.batch_size * self.program.family.batches
        with Writer(self.workdir, step) as self.writer, Progress(
                self.config.train.steps, batch_size, step) as self.progress:
            if step == 0:
                self.pictures(state, step)
            while step < self.config.train.steps:
                state, step, stopped = self.stretch(state, step, stop)
                with self.progress.paused():
                    results = self.due(state, step)
                    if stopped or self.at("checkpoint", step):
                        self.checkpoints.save(step, state, results)
                if stopped and step < self.config.train.steps:
                    return "stopped"
        self.finish(step)
        return "finished"

    def initial(self) -> tuple[TrainState, int]:
        """The newest checkpoint, or a new state."""
        abstract = program.abstract_state(self.program, self.dataset.spec)
        restored = self.checkpoints.restore_latest(abstract)
        if restored:
            logging.info("Resuming %s from step %d.", self.workdir, restored.step)
            return restored.state, restored.step
        return self.program.init(self.config.seed, self.data), 0

    def stretch(self, state: TrainState, step: int, stop: Callable[[], bool]) -> tuple[TrainState, int, bool]:
        """Trains until something besides training is due. Returns (state, step, stopped)."""
        last, pending, stopped = self.config.train.steps, None, False
        while True:
            steps = min(self.config.train.log_every, last - step)
            state, metrics = self.program.train(state, self.data, steps)
            window = Window(step, step + steps, metrics, self.program.diagnose(state, self.data))
            step += steps
            if pending:
                self.log(pending)
            pending, stopped = window, stop()
            if stopped or step == last or any(self.at(event, step) for event in ("evaluate", "sample", "checkpoint")):
                self.log(pending)
                return state, step, stopped

    def at(self, event: str, step: int) -> bool:
        """True if the event's period, or the run, ends at this step; a period of 0 is never."""
        period = self.config.train[f"{event}_every"]
        return period > 0 and (step % period == 0 or step == self.config.train.steps)

    def log(self, window: Window) -> None:
        """Fetches the metrics of a dispatch and writes their averages; raises Diverged if one is not finite."""
        steps = window.last - window.first
        metrics = {name: np.asarray(values)[:steps] for name, values in jax.device_get(window.metrics).items()}
        for i in range(steps):
            for name, values in metrics.items():
                if not np.isfinite(values[i]):
                    raise Diverged(
                        f"{name} is {values[i]} at step {window.first + i + 1} of {self.workdir}: training stopped. "
                        "Earlier checkpoints are intact; try a smaller learning rate, or another objective.")
        diagnosis = {name: float(value) for name, value in jax.device_get(window.diagnosis).items()}
        means = program.means(metrics) | diagnosis
        self.latest = means
        self.progress.update(window.last, means)
        rate = self.progress.images_per_second
        self.writer.scalars(window.last, "train", means | ({"images_per_s": rate} if rate else {}))

    def due(self, state: TrainState, step: int) -> dict[str, float] | None:
        """Evaluates and draws samples where it is time to. Returns the evaluation's results."""
        results = None
        if self.at("evaluate", step):
            results = evaluate(self.program, state, self.dataset, self.config)
            if best(self.config) and best(self.config)[0] not in results:
                name = best(self.config)[0]
                raise UserError(f"config.train.best: unknown evaluation metric {name!r}.{nearest(name, results)}")
            self.writer.scalars(step, "eval", results)
            self.progress.message(f"step {step}  test  " + "  ".join(f"{k} {v:.4g}" for k, v in results.items()))
            self.warn(step, self.latest | results)
        if self.at("sample", step):
            self.pictures(state, step)
        return results

    def warn(self, step: int, metrics: dict[str, float]) -> None:
        """Logs what the metrics show of a failure, once each kind."""
        for warning in diagnose(metrics):
            kind = warning.partition(":")[0]
            if kind not in self.warned:
                self.warned.add(kind)
                logging.warning("step %d: %s", step, warning)

    def pictures(self, state: TrainState, step: int) -> None:
        """Writes samples on fixed latents; at step 0 real examples, at the end reconstructions and latents too."""
        folder, spec = self.workdir / "samples", self.dataset.spec
        folder.mkdir(exist_ok=True)
        n = PICTURE_EXAMPLES["images" if len(spec.shape) == 3 else "points"]
        pictures = {"samples": (f"{step}.png", self.program.sample(state, stream(state.key, "pictures"), n))}
        real = self.dataset.test["x"][:n]
        if step == 0:
            pictures["real"] = ("real.png", real)
        shown = scene(self.config, self.program.family.methods, state, real)
        for name, (file, examples) in pictures.items():
            picture = sample_picture(np.asarray(examples), spec, **shown)
            save_png(picture, folder / file)
            self.writer.image(step, name, picture)
        if step == self.config.train.steps:
            subject = evaluation_subject(self.program, state, self.dataset, self.config)
            for name, picture in model_pictures.write(subject, self.workdir).items():
                self.writer.image(step, name, picture)

    def finish(self, step: int) -> None:
        """Marks the run as finished once its last checkpoint is on the disk; writes its animation and its report."""
        self.checkpoints.wait()
        if len(sample_files(self.workdir)) > 1:
            animate_run(self.workdir)
        write_report([self.workdir], self.workdir / "report.html")
        runs.write_atomically(self.workdir / "DONE", json.dumps({"step": step}))


def _done(workdir: Path) -> int | None:
    """The step at which the run finished, if it did."""
    path = workdir / "DONE"
    return json.loads(path.read_text())["step"] if path.exists() else None
