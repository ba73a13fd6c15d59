"""What TensorBoard shows of a run: events in the run's folder, and those of its evaluations in `test/` below it.

TensorBoard draws values of one name in one chart, with a line for each folder. So a metric of training and the same
metric of the test data are in one chart. Charts stand in the groups of the report, pictures in a group of their own.
"""

import re
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8
from ml_collections import ConfigDict
from tensorboardX import summary
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import RecordWriter

from gen import config as configs
from gen.figures.meanings import meaning

Kind = Literal["train", "eval"]

FOLDERS: dict[Kind, str] = {"train": "", "eval": "test"}
"""Of the events of each kind of metrics, below the run's folder."""

PICTURES = "pictures"
"""The group of all pictures."""


def tag(name: str) -> str:
    """The name of a metric's chart, after its group."""
    return f"{meaning(name).group}/{name}"


class Events:
    """The event files of one session of a run, which begins at the step `first`.

    TensorBoard hides what earlier sessions wrote of this step and of later ones.
    """

    def __init__(self, workdir: Path, first: int):
        self._files: dict[Kind, RecordWriter] = {}
        for kind, name in FOLDERS.items():
            folder = workdir / name
            folder.mkdir(exist_ok=True)
            self._files[kind] = RecordWriter(str(folder / next_name(folder)))
            self._write(kind, 0, file_version="brain.Event:2")
            self._write(kind, first, session_log=SessionLog(status=SessionLog.START))

    def config(self, config: ConfigDict) -> None:
        """Writes the whole config as a text, and each of its keys as a hyperparameter."""
        self._write("train", 0, summary=summary.text("config", f"```\n{configs.to_json(config)}\n```"))
        _, start, _ = summary.hparams(
            {key: plain(value) for key, value in configs.flatten(config).items()}, {})
        self._write("train", 0, summary=start)

    def scalars(self, step: int, kind: Kind, values: Mapping[str, float]) -> None:
        """Writes metrics of a step."""
        found = [Summary.Value(tag=tag(name), simple_value=value) for name, value in values.items()]
        self._write(kind, step, summary=Summary(value=found))

    def image(self, step: int, name: str, image: UInt8[np.ndarray, "h w c"]) -> None:
        """Writes a picture (1, 3 or 4 channels)."""
        self._write("train", step, summary=summary.image(f"{PICTURES}/{name}", image, dataformats="HWC"))

    def flush(self) -> None:
        """Puts all that was written into the files."""
        for file in self._files.values():
            file.flush()

    def close(self) -> None:
        """Writes what is still buffered and closes the files, all of them even where one fails."""
        with ExitStack() as closing:
            for file in self._files.values():
                closing.callback(file.close)

    def _write(self, kind: Kind, step: int, **content: Any) -> None:
        self._files[kind].write(Event(step=int(step), wall_time=time.time(), **content).SerializeToString())


def plain(value: Any) -> bool | int | float | str:
    """A value of a config as a hyperparameter: the parts of a list are in one text."""
    if isinstance(value, bool | int | float | str):
        return value
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def next_name(folder: Path) -> str:
    """A name with the time, or after those there if the clock has gone back: TensorBoard reads in the names' order."""
    names = [re.fullmatch(r"events\.out\.tfevents\.(\d+\.\d{6})", path.name) for path in folder.iterdir()]
    written = [float(name[1]) + 1e-3 for name in names if name]
    return f"events.out.tfevents.{max([time.time(), *written]):.6f}"
