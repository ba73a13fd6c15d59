"""Ways to train a sweep, by name: `launch(sweep, options) -> exit code`, called once its runs are listed."""

from collections.abc import Callable

from gen.launchers.local import local
from gen.launchers.options import Options
from gen.launchers.search import search
from gen.launchers.slurm import slurm
from gen.sweeps import Sweep

LAUNCHERS: dict[str, Callable[[Sweep, Options], int]] = {
    "print": lambda sweep, options: 0,
    "local": local,
    "slurm": slurm,
    "optuna": search,
}

__all__ = ["LAUNCHERS", "Options"]
