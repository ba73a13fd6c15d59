"""What a run writes as it goes: `metrics.jsonl`, TensorBoard events, and its progress on the console."""

import io
import json
import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np
from absl import logging
from jaxtyping import UInt8
from ml_collections import ConfigDict
from tqdm import tqdm

from gen.errors import UserError
from gen.run_folder import METRICS, Row, rows
from gen.training.tensorboard import FOLDERS, Events, Kind
from gen.training.trackers import Guarded


class Writer:
    """Metrics and images of one run, in `workdir/metrics.jsonl` and in TensorBoard events (`Events`).

    A line of `metrics.jsonl` is `{"step": 100, "kind": "train", "loss": 0.5, ...}`. JSON has no NaN and no infinity:
    they are the strings "NaN", "Infinity" and "-Infinity", and floats again in `read_metrics`.

    Args:
      workdir: the run's folder.
      resume_step: step of the checkpoint that training goes on from, or None for training from the beginning;
        what was written after it is dropped here and hidden in TensorBoard.
      again: whether the evaluations and pictures of `resume_step` are made again, so that those there are dropped too.
      tracker: is sent the same, after it is in the files; first what is there that it lacks.
      config: of the run, which TensorBoard shows.

    Raises:
      UserError: from every method, when the disk is full or cannot be written.
    """

    def __init__(self, workdir: Path | str, resume_step: int | None = None, again: bool = False,
                 tracker: Guarded | None = None, config: ConfigDict | None = None):
        self._workdir, self._tracker = Path(workdir), tracker
        last = -1 if resume_step is None else resume_step
        first = last if again and resume_step is not None else last + 1
        with self._reported():
            self._workdir.mkdir(parents=True, exist_ok=True)
            truncate(self._workdir / METRICS, last, again)
            self._file = open(self._workdir / METRICS, "ab", buffering=0)  # noqa: SIM115
            self._events = Events(self._workdir, first)
            if config and resume_step is None:
                self._events.config(config)
            for _, row in rows(self._workdir) if first == last or tracker else ():
                self._again(row, first)

    def scalars(self, step: int, kind: Kind, values: Mapping[str, SupportsFloat]) -> None:
        """Writes one line of metrics; it is in the file when this returns."""
        values = {name: float(value) for name, value in values.items()}
        record = {"step": int(step), "kind": kind} | {name: jsonable(value) for name, value in values.items()}
        with self._reported():
            self._check_there()
            _write_all(self._file, json.dumps(record, allow_nan=False).encode() + b"\n")
            self._events.scalars(step, kind, values)
        if self._tracker:
            self._tracker.scalars(step, kind, values)

    def flush(self) -> None:
        """Puts all that was written into the files, so that a process that ends loses nothing of it."""
        with self._reported():
            self._events.flush()

    def image(self, step: int, name: str, image: UInt8[np.ndarray, "h w c"]) -> None:
        """Writes a picture (1, 3 or 4 channels) to TensorBoard."""
        with self._reported():
            self._events.image(step, name, np.asarray(image))
            self._events.flush()
        if self._tracker:
            self._tracker.image(step, name, np.asarray(image))

    def close(self) -> None:
        """Writes what is still buffered and closes the files."""
        if self._tracker:
            self._tracker.close()
        self._file.close()
        with self._reported():
            self._events.close()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        with suppress(UserError if error else ()):
            self.close()

    def _again(self, row: Row, first: int) -> None:
        """Sends a row of the file to TensorBoard, where it hides what has this step, and to a tracker that lacks it."""
        kind, step = row.get("kind"), row["step"]
        values = {name: value for name, value in row.items() if name != "step" and isinstance(value, int | float)}
        if kind in FOLDERS and step == first:
            self._events.scalars(step, kind, values)
        if kind in FOLDERS and self._tracker:
            self._tracker.scalars(step, kind, values)

    def _check_there(self) -> None:
        """Raises a UserError where the folder was deleted or moved: what is written would be lost."""
        with suppress(FileNotFoundError, NotADirectoryError):
            if os.path.samestat(os.stat(self._workdir / METRICS), os.fstat(self._file.fileno())):
                return
        raise UserError(f"{self._workdir} was deleted or moved while it was written to: training stops.")

    @contextmanager
    def _reported(self):
        try:
            yield
        except OSError as error:
            raise UserError(
                f"Cannot write metrics in {self._workdir}: {error.strerror}; "
                "what is there is intact; make room and run the same command again"
            ) from error


def read_metrics(path: Path | str) -> list[dict[str, Any]]:
    """Returns all records of a `metrics.jsonl`, oldest first; a last line that is still being written is left out."""
    return [row for _, row in rows(Path(path).parent)]


def truncate(path: Path | str, step: int, again: bool = False) -> None:
    """Drops, atomically, the records after `step` and unreadable lines; nothing happens where there is no file.

    With `again` the evaluations of `step` are dropped too.
    """
    path = Path(path)
    if not path.exists():
        return
    partial = path.with_name(f"{path.name}.partial")
    try:
        with open(partial, "wb") as file:
            file.writelines(line for line, row in rows(path.parent)
                            if row["step"] < step + (not again or row.get("kind") != "eval"))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


class Progress:
    """Rate, remaining time and key metrics: a bar on a terminal, log lines elsewhere.

    The rate is measured between the first and the last report of the last `WINDOW` seconds. The first dispatch, which
    compiles, ends with the first report and is never inside.

    Args:
      total_steps: steps of the whole run.
      batch_size: images per step.
      initial_step: step that training starts from.
      stream: where the bar goes when it is a terminal.
      clock: seconds, increasing.
      shown: the metrics that are shown, where they are there; else the first ones.
    """

    WINDOW = 30.0
    LOG_EVERY = 10.0
    SHOWN = 2
    CELLS = 24

    def __init__(
        self,
        total_steps: int,
        batch_size: int,
        initial_step: int = 0,
        stream: io.TextIOBase | None = None,
        clock: Callable[[], float] = time.monotonic,
        shown: Sequence[str] = (),
    ):
        self._total, self._batch_size, self._clock, self._shown = total_steps, batch_size, clock, shown
        self._reports: deque[tuple[float, int]] = deque()
        self._logged = -math.inf
        self._paused = 0.0
        stream = stream or sys.stderr
        self._bar = None
        if stream.isatty():
            layout = f"{{percentage:3.0f}}%|{{bar:{self.CELLS}}}| {{n_fmt}}/{{total_fmt}}{{postfix}}"
            self._bar = tqdm(
                total=total_steps, initial=initial_step, file=stream, bar_format=layout, dynamic_ncols=True
            )

    @property
    def images_per_second(self) -> float | None:
        """Rate over the recent window; None before the second report, and while the clock is behind the first."""
        if len(self._reports) < 2:
            return None
        (start, first), (end, last) = self._reports[0], self._reports[-1]
        return (last - first) * self._batch_size / (end - start) if end > start else None

    def update(self, step: int, metrics: Mapping[str, SupportsFloat]) -> None:
        """Reports that `step` is done, with a few of `metrics`."""
        now = self._clock() - self._paused
        self._reports.append((now, step))
        while len(self._reports) > 2 and now - self._reports[0][0] > self.WINDOW:
            self._reports.popleft()
        if self._bar is not None:
            self._bar.set_postfix_str(self._line(step, metrics), refresh=False)
            self._bar.update(step - self._bar.n)
        elif now - self._logged >= self.LOG_EVERY or step >= self._total:
            self._logged = now
            logging.info("step %d/%d  %s", step, self._total, self._line(step, metrics))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time inside (evaluation, pictures, checkpoints) does not count for the rate."""
        start = self._clock()
        try:
            yield
        finally:
            self._paused += self._clock() - start

    def message(self, text: str) -> None:
        """A line of its own: above the bar on a terminal, a log line elsewhere."""
        if self._bar is not None:
            self._bar.write(text, file=self._bar.fp)
        else:
            logging.info("%s", text)

    def close(self) -> None:
        """Leaves the bar as it is and ends its line."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        self.close()

    def _line(self, step: int, metrics: Mapping[str, SupportsFloat]) -> str:
        names = [name for name in self._shown if name in metrics] or list(metrics)[: self.SHOWN]
        parts = [f"{name} {float(metrics[name]):.4g}" for name in names]
        rate = self.images_per_second
        if rate:
            parts[:0] = [f"{rate:,.0f} images/s", f"eta {_duration((self._total - step) * self._batch_size / rate)}"]
        return "  ".join(parts)


def jsonable(value: float) -> float | str:
    """The value, or the string that stands for NaN or an infinity in JSON."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _write_all(file, data: bytes) -> None:
    remaining = memoryview(data)
    while remaining:
        remaining = remaining[file.write(remaining) :]


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
