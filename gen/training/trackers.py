"""Trackers of experiments beside the run's own files: what they are sent, and that losing one never stops training.

A tracker is any object with the methods of `Tracker`; `TRACKERS` maps names to functions that open one. The run's
number there is kept in the run's folder, so that a run that goes on is the same run there too. What a killed run
repeats from its newest checkpoint on, the tracker knows already: it is not told again, and has every step once. What it
lacks of the steps before, it is told from the run's files.
"""

import json
import secrets
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from absl import logging
from jaxtyping import UInt8

from gen.config import flatten
from gen.errors import UserError, extra, lookup, reason
from gen.files import Missing, read_json, write_atomically
from gen.run_folder import rows, sample_files

FILE = "tracker.json"
PROJECT = "gen"

BLOCK = 32_768
"""Bytes of a block of LevelDB's logs."""

REPEATED = ("samples", "real")
"""The pictures that a run that goes on draws again."""

Told = Mapping[str, int]
"""The last step of what a tracker was told: of the metrics "train" and "eval", and of the pictures in `REPEATED`."""


@runtime_checkable
class Tracker(Protocol):
    """What a run is told to; `number` is the run's there."""

    number: str

    def told(self, files: Told) -> Told:
        """What is there; `files` is what the run's files have, for a tracker that cannot say."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Metrics by name, "train/loss", of a step."""

    def image(self, step: int, name: str, image: UInt8[np.ndarray, "h w c"]) -> None:
        """A picture."""

    def close(self) -> None:
        """Nothing comes after this."""


def named(workdir: Path) -> str:
    """The end of the folder's path, which says the experiment and what differs."""
    return "/".join(workdir.absolute().parts[-3:])


def last(entries: Iterable[tuple[int, Iterable[str]]]) -> dict[str, int]:
    """The last step of each kind of metrics and of each picture, from steps and the names that they have."""
    found: dict[str, int] = {}
    for step, names in entries:
        for kind in {name.partition("/")[0] for name in names}:
            found[kind] = max(step, found.get(kind, step))
    return found


def logged(data: bytes) -> Iterator[bytes]:
    """The records of a log of LevelDB's format, in which W&B keeps a run, up to the first that is not whole.

    Blocks of 32,768 bytes, the first after 7 bytes of W&B's; a record is in pieces, none of which crosses a block:
    their checksum, length and kind (1 a whole record, 2 the first piece, 3 a middle one, 4 the last).
    """
    at, pieces = 7, b""
    while at + 7 <= len(data):
        left = BLOCK - at % BLOCK
        if left < 7:
            at += left
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        if kind not in (1, 2, 3, 4) or at + 7 + length > len(data):
            return
        pieces += data[at + 7:at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield pieces
            pieces = b""


class Wandb:
    """Weights & Biases, with the package wandb; WANDB_MODE=offline keeps the run on this machine."""

    def __init__(self, workdir: Path, config: Mapping[str, Any], number: str | None):
        import wandb

        self.package, self.workdir = wandb, workdir
        self.run = wandb.init(project=PROJECT, name=named(workdir), id=number, resume="allow",
                              config=dict(config), dir=str(workdir), reinit="create_new")
        self.number = self.run.id

    def told(self, files: Told) -> Told:
        """As `Tracker`: offline from the files of W&B, which lack what came last before a kill.

        On the server every step up to the last one counts as told, because W&B takes none of them again.
        """
        if not self.run.offline:
            return dict.fromkeys(("train", "eval", *REPEATED), self.run.starting_step - 1)
        from wandb.proto.wandb_internal_pb2 import Record

        stores = sorted(self.workdir.glob(f"wandb/offline-run-*-{self.number}/run-{self.number}.wandb"))
        rows = (Record.FromString(entry).history for store in stores for entry in logged(store.read_bytes()))
        return last((row.step.num, [item.key or item.nested_key[0] for item in row.item]) for row in rows if row.item)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """As `Tracker`."""
        self.run.log(dict(values), step=step)

    def image(self, step: int, name: str, image: UInt8[np.ndarray, "h w c"]) -> None:
        """As `Tracker`."""
        self.run.log({name: self.package.Image(image[..., 0] if image.shape[-1] == 1 else image)}, step=step)

    def close(self) -> None:
        """As `Tracker`."""
        self.run.finish()


class Trackio:
    """Trackio, with the package trackio: its runs stay on this machine, in TRACKIO_DIR where that is set.

    A run there is known by its name; the number makes it one of its own.
    """

    def __init__(self, workdir: Path, config: Mapping[str, Any], number: str | None):
        import trackio

        self.package = trackio
        self.number = number or f"{named(workdir)}-{secrets.token_hex(4)}"
        self.run = trackio.init(PROJECT, self.number, config=dict(config), resume="allow", embed=False,
                                auto_log_gpu=False, auto_log_cpu=False)

    def told(self, files: Told) -> Told:
        """As `Tracker`, from the store, which lacks what came in the last half second before a kill."""
        from trackio.sqlite_storage import SQLiteStorage

        return last((row["step"], row) for row in SQLiteStorage.get_logs(PROJECT, self.number)) or files

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """As `Tracker`."""
        self.run.log(dict(values), step=step)

    def image(self, step: int, name: str, image: UInt8[np.ndarray, "h w c"]) -> None:
        """As `Tracker`."""
        shown = np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image
        self.run.log({name: self.package.Image(shown)}, step=step)

    def close(self) -> None:
        """As `Tracker`."""
        self.run.finish()


class MLflow:
    """MLflow, with the package mlflow; MLFLOW_TRACKING_URI says where its store is, on this machine by default."""

    AT_ONCE = 100
    """Parameters that the store takes in one call."""

    def __init__(self, workdir: Path, config: Mapping[str, Any], number: str | None):
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        self.client, self.metric, self.param = MlflowClient(), Metric, Param
        self.number = number or self._begun(named(workdir), config)
        self.client.update_run(self.number, status="RUNNING")

    def _begun(self, name: str, config: Mapping[str, Any]) -> str:
        known = self.client.get_experiment_by_name(PROJECT)
        experiment = known.experiment_id if known else self.client.create_experiment(PROJECT)
        number = self.client.create_run(experiment, run_name=name).info.run_id
        params = [self.param(key, str(value)) for key, value in config.items()]
        for first in range(0, len(params), self.AT_ONCE):
            self.client.log_batch(number, params=params[first:first + self.AT_ONCE])
        return number

    def told(self, files: Told) -> Told:
        """As `Tracker`, of metrics from the store."""
        names = self.client.get_run(self.number).data.metrics
        stored = last((row.step, (name,)) for name in names
                      for row in self.client.get_metric_history(self.number, name))
        return {name: step for name, step in files.items() if name in REPEATED} | stored

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """As `Tracker`."""
        now = int(1_000 * time.time())
        self.client.log_batch(self.number, [self.metric(name, value, now, step) for name, value in values.items()])

    def image(self, step: int, name: str, image: UInt8[np.ndarray, "h w c"]) -> None:
        """As `Tracker`."""
        self.client.log_image(self.number, image, key=name, step=step)

    def close(self) -> None:
        """As `Tracker`."""
        self.client.set_terminated(self.number)


TRACKERS: dict[str, Callable[[Path, Mapping[str, Any], str | None], Tracker]] = {
    "wandb": Wandb, "trackio": Trackio, "mlflow": MLflow}
"""By name, (the run's folder, its config with dotted keys, its number there or None) -> tracker."""


class Begun(NamedTuple):
    """A run of a tracker, as the run's folder has it: its number, and what was told when it went on last."""

    number: str
    told: Told


class Guarded:
    """A tracker whose failures are a warning, once; after it nothing more is sent. It is told nothing twice."""

    def __init__(self, name: str, open_: Callable[[], tuple[Tracker, Told]]):
        self.name, self.tracker, self.told = name, None, {}
        self.tracker, self.told = self._try(open_) or (None, {})

    def scalars(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        """Sends metrics under "kind/name", if this step's are not there."""
        if step > self.told.get(kind, -1):
            self._send(lambda t: t.scalars(step, {f"{kind}/{name}": float(value) for name, value in values.items()}))

    def image(self, step: int, name: str, image: UInt8[np.ndarray, "h w c"]) -> None:
        """Sends a picture, if it is not there."""
        if step > self.told.get(name, -1):
            self._send(lambda t: t.image(step, name, image))

    def close(self) -> None:
        """Ends the run there."""
        self._send(lambda t: t.close())

    def _send(self, act: Callable[[Tracker], None]) -> None:
        if self.tracker is not None:
            self._try(lambda: act(self.tracker))

    def _try(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except UserError:
            raise
        except Exception as error:  # of the network, the account, the disk: each package has types of its own
            logging.warning("The tracker %s is left out from here on, and the run goes on: %s", self.name,
                            reason(error))
            self.tracker = None
            return None


def opened(name: str, workdir: Path, config: Any) -> Guarded:
    """The tracker of this name for the run in `workdir`, the same run there as before where it goes on.

    To call before what is repeated is dropped from the run's files, which say what the tracker was told. Raises a
    UserError for an unknown name, or where its package is missing.
    """
    make = lookup(TRACKERS, name, "tracker")
    begun = _begun(workdir)
    before = begun.get(name)

    def begin() -> tuple[Tracker, Told]:
        try:
            tracker = make(workdir, flatten(config), before and before.number)
        except ImportError as error:
            raise UserError(f"--tracker={name} needs a package: {extra(name)}.") from error
        told = tracker.told(last([*in_files(workdir), *((step, (kind,)) for kind, step in before.told.items())])
                            if before else {})
        write_atomically(workdir / FILE, json.dumps({key: run._asdict() for key, run in begun.items()}
                                                    | {name: {"number": tracker.number, "told": dict(told)}}))
        return tracker, told

    return Guarded(name, begin)


def in_files(workdir: Path) -> list[tuple[int, tuple[str, ...]]]:
    """The steps of the run's files, each with its kind of metrics or the names of its pictures."""
    metrics = [(row["step"], (str(row.get("kind")),)) for _, row in rows(workdir)]
    return metrics + [(step, REPEATED if step == 0 else REPEATED[:1]) for step in sample_files(workdir)]


def _begun(workdir: Path) -> dict[str, Begun]:
    """Tracker to the run there; one that was begun before `Begun.told` was kept is a number alone."""
    try:
        found = read_json(workdir / FILE, workdir)
    except Missing:
        return {}
    known = {}
    for name, value in found.items() if isinstance(found, dict) else ():
        run = {"number": value} if isinstance(value, str) else value
        if isinstance(run, dict) and isinstance(run.get("number"), str):
            told = run.get("told", {})
            steps = told.items() if isinstance(told, dict) else ()
            known[name] = Begun(run["number"], {key: step for key, step in steps if isinstance(step, int)})
    return known
