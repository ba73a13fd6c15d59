"""Trackers of experiments beside the run's own files: what they are sent, and that losing one never stops training.

A tracker is any object with the three methods of `Tracker`; `TRACKERS` maps names to functions that open one. The run's
number there is kept in the run's folder, so that a run that goes on is the same run there too.
"""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from absl import logging
from jaxtyping import UInt8

from gen.config import flatten
from gen.errors import UserError, lookup, reason
from gen.files import Missing, read_json, write_atomically

FILE = "tracker.json"
PROJECT = "gen"


@runtime_checkable
class Tracker(Protocol):
    """What a run is told to."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Metrics by name, "train/loss", of a step."""

    def image(self, step: int, name: str, image: UInt8[np.ndarray, "h w c"]) -> None:
        """A picture."""

    def close(self) -> None:
        """Nothing comes after this."""


def named(workdir: Path) -> str:
    """The end of the folder's path, which says the experiment and what differs."""
    return "/".join(workdir.absolute().parts[-3:])


class Wandb:
    """Weights & Biases, with the package wandb; WANDB_MODE=offline keeps the run on this machine.

    Its steps only grow: what a run that goes on repeats is not written twice.
    """

    def __init__(self, workdir: Path, config: Mapping[str, Any], number: str | None):
        import wandb

        self.package = wandb
        self.run = wandb.init(project=PROJECT, name=named(workdir), id=number, resume="allow",
                              config=dict(config), dir=str(workdir), reinit="create_new")
        self.number = self.run.id

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

    def __init__(self, workdir: Path, config: Mapping[str, Any], number: str | None):
        from mlflow import MlflowClient
        from mlflow.entities import Metric

        self.client, self.metric = MlflowClient(), Metric
        self.number = number or self._begun(named(workdir), config)
        self.client.update_run(self.number, status="RUNNING")

    def _begun(self, name: str, config: Mapping[str, Any]) -> str:
        known = self.client.get_experiment_by_name(PROJECT)
        experiment = known.experiment_id if known else self.client.create_experiment(PROJECT)
        number = self.client.create_run(experiment, run_name=name).info.run_id
        for key, value in config.items():
            self.client.log_param(number, key, value)
        return number

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
"""By name, (the run's folder, its config with dotted keys, its number there or None) -> tracker with a `number`."""


class Guarded:
    """A tracker whose failures are a warning, once; after it nothing more is sent."""

    def __init__(self, name: str, open_: Callable[[], Tracker]):
        self.name, self.tracker = name, None
        self.tracker = self._try(open_)

    def scalars(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        """Sends metrics under "kind/name"."""
        self._send(lambda t: t.scalars(step, {f"{kind}/{name}": float(value) for name, value in values.items()}))

    def image(self, step: int, name: str, image: UInt8[np.ndarray, "h w c"]) -> None:
        """Sends a picture."""
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

    Raises a UserError for an unknown name, or where its package is missing.
    """
    make = lookup(TRACKERS, name, "tracker")
    known = _numbers(workdir)

    def begin() -> Tracker:
        try:
            tracker = make(workdir, flatten(config), known.get(name))
        except ImportError as error:
            raise UserError(f"--tracker={name} needs a package: pip install 'gen[{name}]'") from error
        write_atomically(workdir / FILE, json.dumps(known | {name: tracker.number}))
        return tracker

    return Guarded(name, begin)


def _numbers(workdir: Path) -> dict[str, str]:
    """Tracker to the run's number there."""
    try:
        found = read_json(workdir / FILE, workdir)
    except Missing:
        return {}
    return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}
