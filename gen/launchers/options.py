"""What launchers are told beside the sweep."""

import importlib
import types
from typing import NamedTuple

from gen.errors import UserError


class Options(NamedTuple):
    """Options of the launchers.

    Attributes:
      slurm: "KEY=VALUE" of submitit each, e.g. "partition=gpu", "time=600" (minutes), "gpus_per_node=1".
      metric: what optuna's search is for, "max elbo"; "" is the experiment's `train.best`.
      trials: how many trials that search has in all.
      minutes: the age of this process before which it ends, all saved; None for any.
    """

    slurm: tuple[str, ...] = ()
    metric: str = ""
    trials: int = 20
    minutes: float | None = None


def optional(package: str, extra: str) -> types.ModuleType:
    """Imports a package that only the extra `extra` installs; a UserError where it is missing."""
    try:
        return importlib.import_module(package)
    except ImportError as e:
        raise UserError(f"--launcher={extra} needs {package}: pip install {package}.") from e
