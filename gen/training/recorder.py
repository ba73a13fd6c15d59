"""What one run writes while it trains: metrics, evaluations, pictures, checkpoints, its report."""

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple

import jax
import numpy as np
from absl import logging
from jaxtyping import Bool, Float, Int

from gen import evaluation
from gen.config import check_train
from gen.config.messages import failure
from gen.data import Dataset, Spec
from gen.errors import UserError
from gen.evaluation import pictures as model_pictures
from gen.evaluation.diagnosis import diagnose
from gen.evaluation.types import DRAWN, Share
from gen.families import Metrics, TrainState, cautions
from gen.figures import data_picture, sample_picture, scene
from gen.figures.animation import animate_run
from gen.figures.grids import save_png
from gen.figures.report import write_report
from gen.files import place_within, write_atomically
from gen.rng import stream
from gen.run_folder import finished_step, sample_files
from gen.signals import Ask, Interrupted, no_question
from gen.storage import checkpoints, exchange, lock, record
from gen.storage.checkpoints import Checkpoints, Earlier, Restored
from gen.training import program, selection, trackers
from gen.training.due import TEST, Due
from gen.training.replicas import Fetched
from gen.training.selection import VALIDATION
from gen.training.writers import Writer

Outcome = Literal["finished", "stopped"]
PICTURE_EXAMPLES = {"images": 64, "points": 2_500}
ROWS, WIDEST = 8, 16
"""Of a picture of a conditional model's images: rows, and the most columns, one for each label."""


class Diverged(UserError):
    """A loss or another training metric became NaN or infinite."""


class Window(NamedTuple):
    """The steps of one dispatch, `first` to `last`, their metrics and the diagnosis after them."""

    first: int
    last: int
    metrics: Metrics | Fetched
    diagnosis: Metrics | Fetched


def evaluations(program_: program.Program, state: TrainState, dataset: Dataset, config, ask: Ask = no_question,
                share: Share | None = None) -> dict[str, Callable[[], dict[str, float]]]:
    """What there is to evaluate, by name: the family's metrics on the test split (`TEST`), and the evaluators.

    With the former come those of the validation split, if there is one: `validation_elbo` beside `elbo`. `ask` is
    called between batches; what it raises ends the evaluation. `share`: has other processes compute some of them.
    """
    subject = evaluation_subject(program_, state, dataset, config, ask, share)

    def apply(name: str) -> dict[str, float]:
        options = {key: value for key, value in config.evaluators[name].items() if key != "every"}
        return {metric: float(value) for metric, value in evaluation.EVALUATORS[name](subject, **options).items()}

    def splits() -> dict[str, float]:
        results = {}
        for prefix, split in ((VALIDATION, dataset.validation), ("", dataset.test)):
            means = program.means(program_.evaluate(state, program.on_device(split))) if split else {}
            results |= {prefix + name: value for name, value in means.items()}
        return results

    return {TEST: splits} | {name: functools.partial(apply, name) for name in config.evaluators}


def evaluate(program_: program.Program, state: TrainState, dataset: Dataset, config) -> dict[str, float]:
    """Averages the family's metrics over the test split, and runs the config's evaluators on fresh samples."""
    results = {}
    for apply in evaluations(program_, state, dataset, config).values():
        results |= apply()
    return results


def evaluation_subject(program_: program.Program, state: TrainState, dataset: Dataset, config, ask: Ask = no_question,
                       share: Share | None = None) -> evaluation.Subject:
    """What the evaluators look at: samples of this state, drawn once for all of them."""
    key = stream(state.key, "evaluation samples")

    @functools.cache
    def sample(n: int) -> Float[np.ndarray, "n ..."]:
        if share:
            return np.concatenate(share("samples", -(-n // DRAWN), {"n": n}))[:n]
        return program.draw(program_, state, key, n, ask=ask)

    def batch(n: int, i: int) -> Float[np.ndarray, "_ ..."]:
        return program.drawn_batch(program_, state, key, n, i)

    return evaluation.Subject(sample, dataset, config, state, program_.family.methods, ask, batch, share)


class Recorder:
    """One run's folder while it trains, held for this process. The state is passed, never kept.

    Attributes:
      outcome: "stopped" while the run goes on; how it ended after that.
      latest: averages of the last training metrics.
      completed: the step whose evaluations and pictures were made last.

    Nothing of the run changes before `begin`.

    Raises:
      UserError: the config does not fit the data set, the folder is in use, holds another run or cannot be written.
    """

    def __init__(self, config, workdir: Path, dataset: Dataset, default=None, tracker: str = ""):
        config, default = record.placed(config), default and record.placed(default)
        self.config, self.workdir, self.dataset, self.default, self.tracker = config, workdir, dataset, default, tracker
        self.latest: dict[str, float] = {}
        self.warned: set[str] = set()
        check_train(config, len(dataset.train["x"]))
        evaluation.check(config, dataset)
        selection.best(config)
        self.completed: int | None = None
        if exchange.exported(workdir):
            raise UserError(f"{workdir} is an exported model, which cannot train on: choose another --workdir.")
        with ExitStack() as stack:
            stack.enter_context(lock.exclusive(workdir))
            finished = done(workdir, config) and checkpoints.newest_intact(self.folder) >= finished_step(workdir)
            self.outcome: Outcome | UserError = "finished" if finished else "stopped"
            if not finished:
                record.refuse_other(workdir, config)
                record.refuse_other_classes(workdir, config, dataset.spec)
                for line in cautions(config):
                    logging.warning("%s: %s", workdir, line)
            elif not (workdir / "config.json").exists():
                record.start(workdir, config, dataset.spec, default)
            self.stack = stack.pop_all()

    @property
    def folder(self) -> Path:
        """Where the checkpoints are."""
        return self.workdir / "checkpoints"

    @property
    def going(self) -> bool:
        """Whether the run has steps to train and has not failed."""
        return self.outcome == "stopped"

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """What fails for the user or the disk inside ends this run and no other."""
        try:
            yield
        except UserError as error:
            self.outcome = error
        except OSError as error:
            self.outcome = UserError(f"{error.filename or self.workdir}: cannot be written: {error.strerror}.")

    def close(self) -> None:
        """Waits for the files and releases the folder."""
        failure = None if isinstance(self.outcome, str) else self.outcome
        with self.guarded() if failure is None else suppress(UserError):
            self.stack.__exit__(type(failure) if failure else None, failure, None)

    def restore(self, made: program.Program, abstract: TrainState, earlier: Earlier | None) -> Restored | None:
        """Makes the last checks, and reads the newest checkpoint that is undamaged; None where there is none at all.

        Raises:
          UserError: an evaluator does not fit the model, or the checkpoint is of another one.
        """
        program.check_length(made, self.config)
        evaluation.check_model(self.config, made.family.methods, self.dataset)
        selection.check(self.config, made, abstract, self.dataset)
        identity = record.identity(self.config)
        self.parameters = {name: sum(leaf.size for leaf in jax.tree.leaves(part))
                           for name, part in abstract.params.items()}
        self.checkpoints = self.stack.enter_context(
            Checkpoints(self.folder, self.config.train.keep, selection.best(self.config), identity))
        restored = self.checkpoints.restore_latest(abstract, earlier)
        if restored and restored.metrics is not None:
            self.completed = restored.step
        return restored

    def begin(self, program_: program.Program, step: int) -> None:
        """Writes `config.json` and opens the files of a run that goes on from `step`, all checks being passed."""
        self.program = program_
        sizes = {"parameters": self.parameters, "examples": len(self.dataset.train["x"])}
        record.start(self.workdir, self.config, self.dataset.spec, self.default, sizes)
        tracker = trackers.opened(self.tracker, self.workdir, self.config) if self.tracker else None
        self.writer = self.stack.enter_context(
            Writer(self.workdir, step or None, self.completed != step, tracker, self.config))

    def save(self, step: int, state: TrainState) -> None:
        """Saves the state, once what was written until then is in the files."""
        self.writer.flush()
        self.checkpoints.save(step, state)

    def log(self, window: Window, rate: float | None) -> None:
        """Writes the averages of a dispatch's metrics, on the host; raises Diverged if one is not finite.

        `rate` is in images per second.
        """
        steps = window.last - window.first
        metrics = {name: np.asarray(values)[:steps] for name, values in window.metrics.items()}
        skipped = metrics.pop("skipped", np.zeros(steps)) > 0
        self._check_finite(window, metrics, skipped)
        self.latest = {} if skipped.all() else program.means(
            {name: values[~skipped] for name, values in metrics.items()})
        self.latest |= {name: float(value) for name, value in window.diagnosis.items()}
        self.latest |= {"skipped": float(skipped.sum())} if "skipped" in window.metrics else {}
        self.writer.scalars(window.last, "train", self.latest | ({"images_per_s": rate} if rate else {}))

    def _check_finite(self, window: Window, metrics: Metrics | Fetched, skipped: Bool[np.ndarray, "steps"]) -> None:
        where = f"{self.workdir}: training stopped. Earlier checkpoints are intact; try a smaller learning rate"
        if skipped.all() and len(skipped) > 1:
            raise Diverged(f"None of the updates {window.first + 1} to {window.last} was finite in {where}.")
        for i in np.flatnonzero(~skipped):
            for name, values in metrics.items():
                if not np.isfinite(values[i]):
                    raise Diverged(f"{name} is {values[i]} at step {window.first + i + 1} of {where}, or another "
                                   "objective; with --config.train.on_nan=skip and the same --workdir "
                                   "single updates are dropped.")

    def complete(self, state: TrainState, step: int, due: Due, ask: Ask, share: Share | None = None
                 ) -> dict[str, float]:
        """Makes the evaluations and pictures of a step and adds the results, which it returns, to its checkpoint.

        Raises:
          Interrupted: by `ask` or `share`, between batches.
        """
        results = self.evaluate(state, step, due.evaluations, ask, share) if due.evaluations else {}
        if due.pictures:
            self.pictures(state, step)
        self.writer.flush()
        self.checkpoints.add(step, results)
        self.completed = step
        return results

    def exhausted(self) -> bool:
        """Whether `train.patience` ends the run after the evaluations that are in its files."""
        return selection.exhausted(self.config, self.workdir)

    def evaluate(self, state: TrainState, step: int, names: Sequence[str], ask: Ask, share: Share | None = None
                 ) -> dict[str, float]:
        """Makes the evaluations of these names, writes and returns the results; one that fails is left out."""
        results, failed = {}, set(names)
        known = evaluations(self.program, state, self.dataset, self.config, ask, share)
        for i, name in enumerate(names):
            if i and names[i - 1] != TEST:
                ask()
            with self.attempted(f"the evaluation {name!r}", step):
                results |= known[name]()
                failed.remove(name)
        if results:
            self.writer.scalars(step, "eval", results)
        wanted = selection.best(self.config)
        if wanted and wanted[0] not in results and not failed and len(names) == len(known):
            raise UserError(selection.unknown(wanted[0], results))
        return results

    @contextmanager
    def attempted(self, what: str, step: int) -> Iterator[None]:
        """What fails inside is a warning: it costs neither the checkpoint nor the run."""
        try:
            yield
        except Interrupted:
            raise
        except Exception as error:
            logging.warning("%s: at step %d %s failed, and the run goes on: %s", self.workdir, step, what,
                            error if isinstance(error, UserError) else failure(error))

    def warn(self, step: int, results: dict[str, float]) -> None:
        """Logs what training's last metrics and an evaluation's results show of a failure, once each kind."""
        for warning in diagnose(self.latest | results):
            kind = warning.partition(":")[0]
            if kind not in self.warned:
                self.warned.add(kind)
                logging.warning("step %d: %s", step, warning)

    def pictures(self, state: TrainState, step: int) -> None:
        """Writes samples on fixed latents; at step 0 real examples, at the end reconstructions and latents too."""
        with self.attempted("the pictures", step):
            self._draw(state, step)

    def _draw(self, state: TrainState, step: int) -> None:
        folder, spec = self.workdir / "samples", self.dataset.spec
        folder.mkdir(exist_ok=True)
        n = PICTURE_EXAMPLES["images" if len(spec.shape) == 3 else "points"]
        real = self.dataset.test["x"][:n]
        shown = scene(self.config, self.program.family.methods, state, real)
        labels = columns(self.config, spec)
        draw = stream(state.key, "pictures")
        if labels is None:
            samples = self.program.sample(state, draw, n)
        else:
            samples, shown = self.program.sample(state, draw, len(labels), label=labels), {"rows": ROWS}
        pictures = {"samples": (f"{step}.png", sample_picture(np.asarray(samples), spec, **shown))}
        if step == 0:
            pictures["real"] = ("real.png", data_picture(real, spec, shown.get("log_density")))
        for name, (file, picture) in pictures.items():
            save_png(picture, place_within(folder / file, self.workdir))
            self.writer.image(step, name, picture)
        if step == self.config.train.steps:
            self.last_pictures(state, step)

    def last_pictures(self, state: TrainState, step: int) -> None:
        """Writes the pictures of the model that the last step has beside samples."""
        with self.attempted("the pictures", step):
            subject = evaluation_subject(self.program, state, self.dataset, self.config)
            for name, picture in model_pictures.write(subject, self.workdir).items():
                self.writer.image(step, name, picture)

    def finish(self, step: int) -> None:
        """Marks the run as finished once its last checkpoint can be read; writes its animation and its report.

        Raises:
          UserError: the last checkpoint cannot be written, or is not what was written.
        """
        self.checkpoints.wait()
        if checkpoints.newest_intact(self.folder) < step:
            raise UserError(f"The checkpoint of step {step} in {self.folder} is damaged: run the same command again.")
        with self.attempted("the animation", step):
            if len(sample_files(self.workdir)) > 1:
                animate_run(self.workdir)
        with self.attempted("the report", step):
            write_report([self.workdir], self.workdir / "report.html")
        write_atomically(self.workdir / "DONE", json.dumps({"step": step}))
        self.outcome = "finished"


def columns(config, spec: Spec) -> Int[np.ndarray, "n"] | None:
    """The labels of a picture's samples, a column for each; None without labels, or with too many for columns."""
    given = config.get("conditional", False) or "conditioning" in config
    if not given or len(spec.shape) != 3 or not 0 < spec.classes <= WIDEST:
        return None
    return np.tile(np.arange(spec.classes, dtype=np.int32), ROWS)


def done(workdir: Path, config) -> bool:
    """Whether the run that the config describes is finished and saved in `workdir`, or a longer one is.

    At its last step, or before where `train.patience` is exhausted.
    """
    step, saved = finished_step(workdir), max(checkpoints.steps(workdir / "checkpoints"), default=-1)
    if step is None or saved < step or record.differences(workdir, config):
        return False
    return step >= config.train.steps or selection.exhausted(config, workdir)
