"""The training loop: it drives any family from its config to a finished run folder, and resumes exactly.

Each dispatch runs `log_every` steps on the device. Its metrics are fetched after the next dispatch has been sent, so
the device never waits for the host, except where the state is needed: to evaluate, to draw samples, to save. Runs that
differ in leaves of their states alone train together in one program, each with a folder of its own.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import logging

from gen.data import Dataset, load
from gen.errors import UserError
from gen.families import TrainState
from gen.training import feed as feeds
from gen.training import program, replicas, sharding
from gen.training.recorder import Outcome, Recorder, Window
from gen.training.writers import Progress

Stop = Callable[[], bool]


def train(config, workdir: Path | str, stop: Stop = lambda: False, default=None) -> Outcome:
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
    (outcome,) = train_together([config], [workdir], stop, default)
    if isinstance(outcome, UserError):
        raise outcome
    return outcome


def train_together(configs: Sequence, workdirs: Sequence[Path | str], stop: Stop = lambda: False, default=None
                   ) -> list[Outcome | UserError]:
    """Trains runs that one program serves (`replicas.groups`), each in its folder, as `train` would each.

    A run that fails does not stop the others. Runs whose newest checkpoints differ in their step train one group after
    the other.

    Returns:
      For every run what `train` returns, or the error that it raises.
    """
    dataset = load(configs[0].data)
    entries: list[Recorder | UserError] = []
    try:
        for config, workdir in zip(configs, map(Path, workdirs), strict=True):
            try:
                entries.append(Recorder(config, workdir, dataset, default))
            except UserError as error:
                entries.append(error)
        going = [entry for entry in entries if isinstance(entry, Recorder) and entry.going]
        if going:
            _train(going, dataset, stop)
    finally:
        for entry in entries:
            if isinstance(entry, Recorder):
                entry.close()
    return [entry.outcome if isinstance(entry, Recorder) else entry for entry in entries]


def _train(recorders: Sequence[Recorder], dataset: Dataset, stop: Stop) -> None:
    """Trains from the newest checkpoints, those of the same step together."""
    abstract = program.abstract_state(program.make(recorders[0].config, dataset.spec), dataset.spec)
    begun: dict[int, list[tuple[Recorder, TrainState | None]]] = {}
    for recorder in recorders:
        with recorder.guarded():
            restored = recorder.checkpoints.restore_latest(abstract)
            begun.setdefault(restored.step if restored else 0, []).append((recorder, restored and restored.state))
    for i, (step, members) in enumerate(sorted(begun.items())):
        if i and stop():
            return
        Session(dataset, [recorder for recorder, _ in members]).run([state for _, state in members], step, stop)


class Session:
    """One process's part of the runs of one program: it drives their state, which is passed, never kept."""

    def __init__(self, dataset: Dataset, recorders: Sequence[Recorder]):
        self.dataset, self.runs, config = dataset, recorders, recorders[0].config
        self.mesh = sharding.mesh(config, len(recorders))
        self.schedule = config.train
        self.program = program.make(config, dataset.spec, self.mesh)
        self.pack = replicas.pack(self.program, self.mesh, len(recorders))
        self.batch_size = config.train.batch_size * self.program.family.batches

    @property
    def going(self) -> bool:
        """Whether a run is left that has not failed."""
        return any(run.going for run in self.runs)

    def run(self, states: Sequence[TrainState | None], step: int, stop: Stop) -> None:
        """Trains to the last step, or to the dispatch after which `stop()` is true; None is the state of a new run."""
        for run in self.runs:
            with run.guarded():
                run.begin(self.program, step)
        state = self.pack.join(self.initial(states, step))
        feed = feeds.feed(self.pack, self.dataset, self.runs[0].config, self.mesh, self.batch_size, step)
        images = self.batch_size * len(self.runs)
        with Progress(self.schedule.steps, images, step) as self.progress, feed as self.advance:
            if step == 0:
                self.each(state, lambda run, own: run.pictures(own, 0))
            stopped = False
            while self.going and not stopped and step < self.schedule.steps:
                state, step, stopped = self.stretch(state, step, stop)
                with self.progress.paused():
                    self.each(state, functools.partial(self.record, step=step, stopped=stopped))
        if step >= self.schedule.steps:
            self.each(state, lambda run, _: run.finish(step))

    def initial(self, states: Sequence[TrainState | None], step: int) -> list[TrainState]:
        """The restored states, or new ones."""
        if step:
            logging.info("Resuming %s from step %d.", ", ".join(str(run.workdir) for run in self.runs), step)
            return list(states)
        return [replicas.initial(self.program, run.config, self.dataset.train) for run in self.runs]

    def stretch(self, state: TrainState, step: int, stop: Stop) -> tuple[TrainState, int, bool]:
        """Trains until something besides training is due. Returns (state, step, stopped)."""
        last, pending, stopped = self.schedule.steps, None, False
        while True:
            steps = min(self.schedule.log_every, last - step)
            state, metrics, diagnosis = self.advance(state, steps)
            window = Window(step, step + steps, metrics, diagnosis)
            step += steps
            if pending:
                self.log(pending)
            pending, stopped = window, stop()
            due = any(self.at(event, step) for event in ("evaluate", "sample", "checkpoint"))
            if stopped or step == last or due or not self.going:
                self.log(pending)
                return state, step, stopped

    def at(self, event: str, step: int) -> bool:
        """True if the event's period, or the run, ends at this step; a period of 0 is never."""
        period = self.schedule[f"{event}_every"]
        return period > 0 and (step % period == 0 or step == self.schedule.steps)

    def log(self, window: Window) -> None:
        """Fetches the metrics of a dispatch and has every run write its own."""
        rate = self.progress.images_per_second
        parts = zip(self.runs, self.pack.fetch(window.metrics), self.pack.fetch(window.diagnosis), strict=True)
        for run, metrics, diagnosis in parts:
            with run.guarded():
                if run.going:
                    run.log(window._replace(metrics=metrics, diagnosis=diagnosis), rate and rate / len(self.runs))
        self.progress.update(window.last, self.runs[0].latest)

    def each(self, state: TrainState, act: Callable[[Recorder, TrainState], None]) -> None:
        """Calls `act` for every run that has not failed, with its own state."""
        for run, own in zip(self.runs, self.pack.split(state), strict=True):
            with run.guarded():
                if run.going:
                    act(run, own)

    def record(self, run: Recorder, state: TrainState, step: int, stopped: bool) -> None:
        """Evaluates, draws samples and saves where it is time to."""
        results = None
        if self.at("evaluate", step):
            results = run.evaluate(state, step)
            shown = "  ".join(f"{name} {value:.4g}" for name, value in results.items())
            self.progress.message(f"step {step}  test{f' of {run.workdir}' if len(self.runs) > 1 else ''}  {shown}")
            run.warn(step, results)
        if self.at("sample", step):
            run.pictures(state, step)
        if stopped or self.at("checkpoint", step):
            run.checkpoints.save(step, state, results)
