"""Training from Python, without the command line."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ml_collections import ConfigDict

from gen import config as configs
from gen.runs import Run, load
from gen.schema import complete
from gen.training import loop

NO_OVERRIDES: Mapping[str, Any] = MappingProxyType({})


def train(config: str | Mapping[str, Any] | ConfigDict, workdir: Path | str,
          overrides: Mapping[str, Any] = NO_OVERRIDES) -> Run:
    """Trains an experiment to its end in the folder `workdir`, and returns the trained run.

    What is in the folder goes on from its newest checkpoint; a finished run is read back and nothing is trained.

    Args:
      config: an experiment's file, "experiments/vae/digits.py" or with ":variant", or its config as a (nested) dict.
      workdir: the run's folder; made if missing.
      overrides: dotted keys to values, what `--config.KEY=VALUE` is on the command line: {"train.steps": 500}.

    Raises:
      UserError: what the user can mend: a key or value that is wrong, a folder that holds another run, data that are
        not prepared, a metric that is not finite.
    """
    experiment = configs.load(config) if isinstance(config, str) else ConfigDict(config)
    loop.train(complete(experiment, overrides), workdir, default=complete(experiment, {}))
    return load(workdir)
