"""The training loop: it drives any family from its config to a finished run folder, and resumes exactly.

Each dispatch runs `log_every` steps on the device. Its metrics are fetched after the next dispatch has been sent, so
the device never waits for the host, except where the state is needed: to evaluate, to draw samples, to save. Runs that
differ in leaves of their states alone train together in one program, each with a folder of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import get_args

from absl import logging

from gen.config import to_json
from gen.data import Dataset, load
from gen.distributed import processes
from gen.errors import UserError
from gen.evaluation.types import Share
from gen.families import TOLD, TrainState
from gen.signals import Interrupted, Stop, saving
from gen.storage.checkpoints import Restored
from gen.training import feed as feeds
from gen.training import program, replicas, sharding
from gen.training.due import Due, due, window
from gen.training.helpers import Helpers
from gen.training.recorder import Outcome, Recorder, Window, evaluation_subject
from gen.training.writers import Progress


def train(config, workdir: Path | str, stop: Stop = lambda: False, default=None, tracker: str = "") -> Outcome:
    """Trains the run that the config describes in `workdir`, from its newest checkpoint if there is one.

    Args:
      config: a resolved config (`gen.config.resolve`).
      workdir: the run's folder; made if missing.
      stop: asked after every dispatch and between the batches of an evaluation; True saves a checkpoint and ends. An
        evaluation that it cuts short is made when the run goes on.
      default: the experiment's config before overrides, for the report to show what differs.
      tracker: a key of `trackers.TRACKERS`, to which the run is told too; "" for none.

    Returns:
      "finished", or "stopped" if `stop` said so first.

    Raises:
      UserError: what the user can mend; see its message.
      Diverged: a metric is not finite; earlier checkpoints stay.
    """
    (outcome,) = train_together([config], [workdir], stop, default, tracker)
    if isinstance(outcome, UserError):
        raise outcome
    return outcome


def train_together(configs: Sequence, workdirs: Sequence[Path | str], stop: Stop = lambda: False, default=None,
                   tracker: str = "") -> list[Outcome | UserError]:
    """Trains runs that one program serves (`replicas.groups`), each in its folder, as `train` would each.

    A run that fails does not stop the others. Runs whose newest checkpoints differ in their step train one group after
    the other.

    Returns:
      For every run what `train` returns, or the error that it raises.
    """
    with processes.together():
        processes.agree({"config": "\n".join(map(to_json, configs)), "version of the code": processes.code()})
    dataset = load(configs[0].data)
    entries: list[Recorder | UserError] = []
    try:
        for config, workdir in zip(configs, map(Path, workdirs), strict=True) if processes.leads() else ():
            try:
                entries.append(Recorder(config, workdir, dataset, default, tracker))
            except UserError as error:
                entries.append(error)
        with processes.together():
            if processes.leaders(any(isinstance(entry, Recorder) and entry.going for entry in entries)):
                go_on(configs, entries, dataset, stop)
    finally:
        for entry in entries:
            if isinstance(entry, Recorder):
                entry.close()
    return _agreed([entry.outcome if isinstance(entry, Recorder) else entry for entry in entries])


def _agreed(outcomes: Sequence[Outcome | UserError]) -> list[Outcome | UserError]:
    """The leader's outcomes, in every process."""
    told = processes.leaders([str(outcome) for outcome in outcomes])
    return list(outcomes) or [text if text in get_args(Outcome) else UserError(text) for text in told]


def go_on(configs: Sequence, entries: Sequence[Recorder | UserError], dataset: Dataset, stop: Stop) -> None:
    """Trains from the newest checkpoints, those of the same step together."""
    with program.building():
        made = program.make(configs[0], dataset.spec)
        abstract = program.abstract_state(made, dataset.spec)
    recorders = {i: entry for i, entry in enumerate(entries) if isinstance(entry, Recorder) and entry.going}
    restored: dict[int, Restored | None] = {}
    for i, recorder in recorders.items():
        with recorder.guarded():
            restored[i] = recorder.restore(made, abstract, program.earlier_state(made, configs[i], dataset.spec))
    begun: dict[int, list[int]] = {}
    for i, there in restored.items():
        begun.setdefault(there.step if there else 0, []).append(i)
    for n, (step, members) in enumerate(processes.leaders(sorted(begun.items()))):
        if n and processes.any_of(stop()):
            return
        session = Session(dataset, [configs[i] for i in members], [recorders[i] for i in members if i in recorders],
                          stop)
        session.run([restored[i].state for i in members if restored.get(i)], step)


class Session:
    """One process's part of the runs of one program: it drives their state, which is passed, never kept.

    Only the leader of several processes has recorders. What all have to agree on, whether to go on, is said by it.
    """

    def __init__(self, dataset: Dataset, configs: Sequence, recorders: Sequence[Recorder], stop: Stop):
        self.dataset, self.configs, self.runs, self.stop, config = dataset, configs, recorders, stop, configs[0]
        self.config = config
        self.mesh = sharding.mesh(config, len(configs))
        self.program = program.make(config, dataset.spec, self.mesh)
        self.own = program.make(config, dataset.spec) if processes.several() else self.program
        self.pack = replicas.pack(self.program, self.mesh, len(configs))
        self.batch_size = config.train.batch_size * self.program.family.batches
        self.interrupted = False

    def going(self) -> bool:
        """Whether a run is left that has not failed; every process asks at the same points."""
        return processes.leaders(any(run.going for run in self.runs))

    def run(self, states: Sequence[TrainState], step: int) -> None:
        """Trains to the last step, or to where `stop()` is true in one of the processes.

        Args:
          states: the restored ones that this process has; none of runs that begin.
          step: where they are.
        """
        for run in self.runs:
            if step:
                logging.info("Resuming %s from step %d.", run.workdir, step)
            with run.guarded():
                run.begin(self.own, step)
        state = self.pack.join(processes.leaders_arrays(list(states) or self.initial()))
        feed = feeds.feed(self.pack, self.dataset, self.config, self.mesh, self.batch_size, step)
        images, last = self.batch_size * len(self.configs), self.config.train.steps
        shown = TOLD.get(self.config.family, ())
        with Progress(last, images, step, shown=shown) as self.progress, feed as self.advance:
            if step == 0 and self.config.train.sample_every:
                self.each(state, lambda run, own: run.pictures(own, 0))
            stopped = step > 0 and self.record(state, step, False)
            while not stopped and step < last and self.going():
                state, step, stopped = self.stretch(state, step)
                stopped = self.record(state, step, stopped)
        if step >= last and not stopped and not processes.any_of(self.stop()):
            self.each(state, lambda run, _: run.finish(step))

    def initial(self) -> list[TrainState]:
        """The states of new runs."""
        return [replicas.initial(self.own, config, self.dataset.train) for config in self.configs]

    def stretch(self, state: TrainState, step: int) -> tuple[TrainState, int, bool]:
        """Trains until something besides training is due. Returns (state, step, stopped)."""
        pending, stopped = None, False
        while True:
            steps = window(self.config, step)
            state, metrics, diagnosis = self.advance(state, steps)
            trained = Window(step, step + steps, metrics, diagnosis)
            step += steps
            if pending:
                self.log(pending)
            pending, stopped = trained, processes.any_of(self.stop())
            if stopped or any(due(self.config, step)) or not self.going():
                self.log(pending)
                return state, step, stopped

    def log(self, window: Window) -> None:
        """Fetches the metrics of a dispatch and has every run write its own."""
        rate = self.progress.images_per_second
        parts = self.pack.fetch(window.metrics), self.pack.fetch(window.diagnosis)
        for run, metrics, diagnosis in zip(self.runs, *parts, strict=False):
            with run.guarded():
                if run.going:
                    run.log(window._replace(metrics=metrics, diagnosis=diagnosis), rate and rate / len(self.runs))
        if self.runs:
            self.progress.update(window.last, self.runs[0].latest)

    def each(self, state: TrainState, act: Callable[[Recorder, TrainState], None]) -> None:
        """Calls `act` for every run that has not failed, with its own state."""
        self.each_of(self.pack.split(state), act)

    def each_of(self, owns: Sequence[TrainState], act: Callable[[Recorder, TrainState], None]) -> None:
        """The same with the states at hand."""
        for run, own in zip(self.runs, owns, strict=False):
            with run.guarded():
                if run.going:
                    act(run, own)

    def record(self, state: TrainState, step: int, stopped: bool) -> bool:
        """Saves what is to be saved, and only then makes evaluations and pictures, unless training is to stop.

        Whatever costs time comes after the checkpoint of its step: what ends the process meanwhile costs no training.
        Returns whether to stop. What has not been made then is made when the run goes on.
        """
        now = due(self.config, step)
        with self.progress.paused():
            if stopped or now.checkpoint:
                self.save(state, step)
            if not stopped and (now.evaluations or now.pictures):
                self.evaluate(state, step, now)
                if processes.any_of(self.interrupted):
                    self.save(state, step)
                    return True
        return stopped

    def save(self, state: TrainState, step: int) -> None:
        """Saves every run, in the background unless a deadline has to know how long that takes."""
        with saving(self.stop) as timed:
            self.each(state, lambda run, own: run.save(step, own))
            for run in self.runs if timed else ():
                with run.guarded():
                    run.checkpoints.wait()

    def evaluate(self, state: TrainState, step: int, now: Due) -> None:
        """Makes what is due of every run; processes without runs compute parts of it for the leader."""
        owns = self.pack.split(state)
        if not processes.several():
            self.each_of(owns, lambda run, own: self.complete(run, own, step, now))
            return
        subjects = [evaluation_subject(self.own, own, self.dataset, config, self.ask)
                    for own, config in zip(owns, self.configs, strict=True)]
        with Helpers(subjects, self.stop) as helpers:
            self.each_of(owns, lambda run, own: self.complete(run, own, step, now, helpers.of(self.runs.index(run))))

    def complete(self, run: Recorder, state: TrainState, step: int, now: Due, share: Share | None = None) -> None:
        """Makes what is due and not there yet, until somebody wants to stop; ends the run if it is to end early."""
        if self.interrupted:
            return
        if run.completed != step:
            try:
                results = run.complete(state, step, now, self.ask, share)
            except Interrupted:
                self.interrupted = True
                return
            self.tell(run, step, results)
        if step < self.config.train.steps and run.exhausted():
            self.end(run, state, step)

    def tell(self, run: Recorder, step: int, results: Mapping[str, float]) -> None:
        """Shows the results of evaluations, and warns of what they show."""
        if results:
            shown = "  ".join(f"{name} {value:.4g}" for name, value in results.items())
            self.progress.message(f"step {step}  test{f' of {run.workdir}' if len(self.runs) > 1 else ''}  {shown}")
            run.warn(step, results)

    def end(self, run: Recorder, state: TrainState, step: int) -> None:
        """Finishes a run before its last step, because `train.patience` is exhausted; the others go on."""
        if not due(self.config, step).checkpoint:
            run.save(step, state)
        run.last_pictures(state, step)
        self.progress.message(f"step {step}  {run.workdir} ends: {self.config.train.best!r} has not become better in "
                              f"{self.config.train.patience} evaluations")
        run.finish(step)

    def ask(self) -> None:
        """Raises Interrupted where this process is to stop."""
        if self.stop():
            raise Interrupted
