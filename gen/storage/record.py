"""What a run's folder says of the run: `config.json` when it starts, whether it may go on, results of evaluations."""

import importlib.metadata
import itertools
import json
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
from absl import logging
from ml_collections import ConfigDict

from gen import config as configs
from gen import run_folder
from gen.data import USERS, Spec, stacked
from gen.errors import UserError
from gen.files import Missing, Unreadable, user_path, write_atomically
from gen.machine import machine
from gen.resources import PACKAGE
from gen.schema import complete
from gen.storage import checkpoints, lock, numerics

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")

WIDEST = 65_536
"""Of an example, along each axis."""

PLACE = ("data.path", "data.loading", "data.workers")
"""Keys that say where the data lie and how they are read, not what they are."""

FREE = ("train.steps", "train.log_every", "train.evaluate_every", "train.sample_every", "train.checkpoint_every",
        "train.keep", "train.best", "train.patience", "train.on_nan", "evaluators", "mesh", "generator_statistics",
        *PLACE)
"""Keys, or sections, that may differ when a run is resumed: they do not change what has been trained so far."""


def start(workdir: Path, config: ConfigDict, spec: Spec, default: ConfigDict | None = None,
          sizes: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Writes `config.json`: `identity`, the experiment's default, the data's spec, versions, machine, commit.

    `sizes` are further facts of the run: "parameters" by part, "examples" to train on.

    To call when all is checked (`refuse_other`): what is there is replaced.
    """
    path = workdir / "config.json"
    description = identity(config) | {
        "default": json.loads(configs.to_json(default)) if default else None,
        "spec": spec._asdict(),
        "versions": {"python": platform.python_version()} | {p: importlib.metadata.version(p) for p in PACKAGES},
        "platform": jax.default_backend(),
        "machine": machine(),
        "commit": git_commit(),
    } | dict(sizes)
    write_atomically(path, json.dumps(description, indent=2))


def identity(config: ConfigDict) -> dict[str, Any]:
    """What a run is, as JSON has it: its resolved config, and the settings outside it that change its numbers.

    It stands in `config.json` and in every checkpoint.
    """
    return {"config": json.loads(configs.to_json(config)), "numerics": numerics.settings()}


def refuse_other(workdir: Path, config: ConfigDict) -> None:
    """Raises a UserError if the run in `workdir` may not go on with `config`, or not with this process's settings.

    The message names what differs. Nothing is changed.
    """
    if begun := _begun(workdir):
        numerics.check(begun[-1].get("numerics", {}), workdir)
    if lines := differences(workdir, config):
        raise UserError(f"{workdir} holds a run with another config ({'; '.join(lines)}): "
                        "use that config, or another --workdir.")


def refuse_other_classes(workdir: Path, config: ConfigDict, spec: Spec) -> None:
    """Raises a UserError if the labels of the run in `workdir` are other classes than those of the data now.

    Runs from before names were stored had the names of a folder's classes in alphabetical order.
    """
    if config.data.name not in USERS or not _begun(workdir) or not (workdir / "config.json").exists():
        return
    then, now = read(workdir).get("spec", {}).get("class_names", sorted(spec.class_names)), list(spec.class_names)
    if then != now:
        first = next((i for i, pair in enumerate(zip(then, now, strict=False)) if pair[0] != pair[1]), len(now))
        raise UserError(f"{workdir} holds a run whose labels from {first} on are other classes than those of "
                        f"{config.data.path} now: use the data of then, or another --workdir.")


def differences(workdir: Path, config: ConfigDict) -> list[str]:
    """How the config of the run that has begun in `workdir` differs from `config`, but for keys that are `FREE`.

    Keys that came after the run have their defaults. Nothing differs where no run has begun.
    """
    lines = [line for begun in _begun(workdir) for line in configs.diff(config_of(workdir, begun), config)]
    return [line for line in dict.fromkeys(lines) if not line.startswith(FREE)]


def _begun(workdir: Path) -> list[Mapping[str, Any]]:
    """What says of which run the checkpoints in `workdir` are (`identity`): `config.json`, and the newest that does.

    Empty where there is no checkpoint. Raises a UserError where `config.json` is damaged.
    """
    folder = workdir / "checkpoints"
    if not checkpoints.steps(folder):
        return []
    found = [read(workdir)] if (workdir / "config.json").exists() else []
    return found + ([there] if (there := checkpoints.newest_run(folder)) else [])


def config_of(workdir: Path, description: Mapping[str, Any]) -> ConfigDict:
    """The config of a description, keys that came after it at their defaults. Raises a UserError for an unknown one."""
    try:
        return complete(configs.from_json(json.dumps(description["config"])), {}, begun=True)
    except UserError as error:
        raise UserError(f"{workdir / 'config.json'} has a config that this version does not take: {error} "
                        "For a part of your own, import its file first, or name the file in GEN_PARTS.") from error


def has_begun(workdir: Path) -> bool:
    """Whether the folder is that of a run."""
    return (workdir / "config.json").exists()


def placed(config: ConfigDict) -> ConfigDict:
    """The config with the place of its data as an absolute path, which means the same in every working directory."""
    path = config.data.get("path")
    if not path:
        return config
    return configs.unflatten(configs.flatten(config) | {"data.path": str(user_path(path).absolute())}).lock()


def keep_evaluation(workdir: Path, results: Mapping[str, Any]) -> None:
    """Adds results to `evaluations.json`: others of the same step stay, and those of a process that writes meanwhile.

    What is damaged there is put aside, not lost. Raises a UserError or an OSError where the folder cannot be written.
    """
    path = workdir / "evaluations.json"
    with lock.waiting(workdir, path.name):
        _add_evaluation(workdir, path, results)


def _add_evaluation(workdir: Path, path: Path, results: Mapping[str, Any]) -> None:
    found, whole = run_folder.evaluations(workdir)
    if not whole:
        names = (path.with_name(f"{path.name}.damaged{i or ''}") for i in itertools.count())
        aside = next(name for name in names if not name.exists())
        path.rename(aside)
        logging.warning("%s is put aside as %s.", path, aside.name)
    rows = {row["step"]: row for row in found}
    rows[results["step"]] = rows.get(results["step"], {}) | dict(results)
    write_atomically(path, json.dumps([rows[step] for step in sorted(rows)], indent=2))


def git_commit() -> str | None:
    """The commit of this project's checkout, "+" appended where files differ from it; None where there is none.

    An installed package stands in somebody else's repository, whose commit says nothing of it.
    """
    def git(*args: str) -> str:
        return subprocess.run(("git", *args), cwd=PACKAGE, capture_output=True, text=True, check=True).stdout

    if not (PACKAGE.parent / ".git").exists():
        return None

    try:
        return git("rev-parse", "HEAD").strip() + ("+" if git("status", "--porcelain").strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def read(workdir: Path) -> Mapping[str, Any]:
    """`config.json`. Raises a UserError if there is none, or one that cannot be read."""
    try:
        return run_folder.description(workdir)
    except Missing as error:
        raise UserError(f"{workdir} holds no run (there is no config.json in it): "
                        "train one with scripts/train.py, or name another --workdir.") from error
    except Unreadable as error:
        raise UserError(f"{workdir} cannot be read: {error} Restore it, or train in another --workdir.") from error


def spec_of(workdir: Path, description: Mapping[str, Any]) -> Spec:
    """The spec of the data of a description. Raises a UserError if it says something else."""
    found = description.get("spec")
    shape = found.get("shape") if isinstance(found, dict) else None
    known = isinstance(shape, list) and shape and all(type(n) is int and 0 < n <= WIDEST for n in shape)
    if not known or type(found.get("classes")) is not int or found.get("range") not in ("unit", "symmetric", "real"):
        raise UserError(f"{workdir / 'config.json'} does not say what the run's examples are: restore it.")
    names, shares = found.get("class_names", []), found.get("label_frequencies", [])
    if not all(isinstance(values, list) and all(isinstance(value, kind) for value in values)
               for values, kind in ((names, str), (shares, float))):
        raise UserError(f"{workdir / 'config.json'} does not say what the run's labels are: restore it.")
    config = description.get("config")
    data = config.get("data") if isinstance(config, dict) else None
    drawn = isinstance(data, dict) and data.get("name") == stacked.ON_THE_FLY
    if drawn and shares and not any(shares[stacked.DIGITS:]):  # once those of single digits were stored
        shares = stacked.triple_frequencies(shares[:stacked.DIGITS])
    try:
        return Spec(**{**found, "shape": tuple(shape), "class_names": tuple(names),
                       "label_frequencies": tuple(shares)})
    except TypeError as error:
        raise UserError(f'{workdir / "config.json"} has another "spec" than this version knows: restore it.') from error
