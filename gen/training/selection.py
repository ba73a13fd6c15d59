"""Which checkpoint is the best, by a metric of the evaluations, and when a run ends because no better one comes."""

from collections.abc import Collection
from pathlib import Path

import jax
import numpy as np

from gen import evaluation
from gen.data import Dataset
from gen.errors import UserError, nearest
from gen.families import TrainState
from gen.run_folder import Rows, read_metrics
from gen.training import program

UNTHINNED = 2**22
"""Rows of metrics: as many as there are."""

VALIDATION = "validation_"
"""What the names of the validation split's metrics begin with."""


def best(config) -> tuple[str, str] | None:
    """The config's `train.best`, "max elbo", as (name, mode); None where it is empty.

    Raises a UserError for other text, and for `train.patience` without it.
    """
    if not config.train.best:
        if config.train.patience:
            raise UserError(f"config.train.patience={config.train.patience}: it waits for a better train.best; set "
                            "that too, to 'max METRIC' or 'min METRIC'.")
        return None
    mode, _, name = config.train.best.partition(" ")
    if mode not in ("min", "max") or not name:
        raise UserError(f"config.train.best={config.train.best!r}: expected 'max METRIC' or 'min METRIC'.")
    return name, mode


def check(config, made: program.Program, state: TrainState, dataset: Dataset) -> None:
    """Raises a UserError where no evaluation has the metric of `train.best`: to ask before training.

    `state`: the shapes of the run's TrainState.
    """
    wanted = best(config)
    if not wanted:
        return
    test = {name: jax.ShapeDtypeStruct(values.shape, values.dtype) for name, values in dataset.test.items()}
    metrics = list(jax.eval_shape(made.evaluate, state, test))
    metrics += [VALIDATION + name for name in metrics] if dataset.validation else []
    beginnings = tuple(begin for name in config.evaluators for begin in evaluation.METRICS.get(name, ("",)))
    if wanted[0] not in metrics and not wanted[0].startswith(beginnings):
        raise UserError(unknown(wanted[0], [*metrics, *beginnings]))


def unknown(name: str, known: Collection[str]) -> str:
    """What is said of a metric that no evaluation has."""
    return f"config.train.best: unknown evaluation metric {name!r}.{nearest(name, known)}"


def exhausted(config, workdir: Path) -> bool:
    """Whether `train.best` has not become better in the last `train.patience` evaluations of the run in `workdir`.

    Early stopping; evaluations that have the metric count. The first of equal values is the best.
    """
    patience, wanted = config.train.patience, best(config)
    return bool(patience and wanted) and waited(read_metrics(workdir, most=UNTHINNED), *wanted) >= patience


def waited(rows: Rows, name: str, mode: str) -> int:
    """How many evaluations of a metric came after its best one, in the rows of a run's metrics; 0 where there is none.

    A value that is not a number is never the best.
    """
    values = np.array([row[name] for row in rows if row.get("kind") == "eval" and row.get(name) is not None], float)
    good = np.nan_to_num(values if mode == "max" else -values, nan=-np.inf)
    return len(values) - 1 - int(good.argmax()) if len(values) else 0
