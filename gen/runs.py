"""A run's folder: what is written when it starts, and the trained model that is read back from it."""

import importlib.metadata
import itertools
import json
import platform
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt8
from ml_collections import ConfigDict

from gen import config as configs
from gen import run_folder
from gen.config.messages import quoted
from gen.data import RANGES, Spec, decoder
from gen.distributions import Normal
from gen.errors import UserError, lookup, nearest
from gen.families import TrainState
from gen.figures.latents import interpolation_latents
from gen.files import Missing, Unreadable, user_path, write_atomically
from gen.machine import machine
from gen.resources import PACKAGE
from gen.schema import complete
from gen.training import checkpoints, numerics
from gen.training.program import Program, abstract_state, draw, earlier_state, make

Examples = Float[Array | np.ndarray, "b ..."] | UInt8[Array | np.ndarray, "b ..."]
Label = int | str | Int[Array | np.ndarray, "b"] | None

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")

WIDEST = 65_536
"""Of an example, along each axis."""

PLACE = ("data.path", "data.loading", "data.workers")
"""Keys that say where the data lie and how they are read, not what they are."""

FREE = ("train.steps", "train.log_every", "train.evaluate_every", "train.sample_every", "train.checkpoint_every",
        "train.keep", "train.best", "train.on_nan", "evaluators", "mesh", "generator_statistics", *PLACE)
"""Keys, or sections, that may differ when a run is resumed: they do not change what has been trained so far."""


def start(workdir: Path, config: ConfigDict, spec: Spec, default: ConfigDict | None = None) -> None:
    """Writes `config.json`: `identity`, the experiment's default, the data's spec, versions, machine, commit.

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
    }
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
    if config.data.name != "folder" or not _begun(workdir) or not (workdir / "config.json").exists():
        return
    then, now = _read(workdir).get("spec", {}).get("class_names", sorted(spec.class_names)), list(spec.class_names)
    if then != now:
        first = next((i for i, pair in enumerate(zip(then, now, strict=False)) if pair[0] != pair[1]), len(now))
        raise UserError(f"{workdir} holds a run whose labels from {first} on are other classes than those of "
                        f"{config.data.path} now: use the folder of then, or another --workdir.")


def differences(workdir: Path, config: ConfigDict) -> list[str]:
    """How the config of the run that has begun in `workdir` differs from `config`, but for keys that are `FREE`.

    Keys that came after the run have their defaults. Nothing differs where no run has begun.
    """
    lines = [line for begun in _begun(workdir) for line in configs.diff(_config(workdir, begun), config)]
    return [line for line in dict.fromkeys(lines) if not line.startswith(FREE)]


def _begun(workdir: Path) -> list[Mapping[str, Any]]:
    """What says of which run the checkpoints in `workdir` are (`identity`): `config.json`, and the newest that does.

    Empty where there is no checkpoint. Raises a UserError where `config.json` is damaged.
    """
    folder = workdir / "checkpoints"
    if not checkpoints.steps(folder):
        return []
    found = [_read(workdir)] if (workdir / "config.json").exists() else []
    return found + ([there] if (there := checkpoints.newest_run(folder)) else [])


def _config(workdir: Path, description: Mapping[str, Any]) -> ConfigDict:
    try:
        return complete(configs.from_json(json.dumps(description["config"])), {})
    except UserError as error:
        raise UserError(f"{workdir / 'config.json'} has a config that this version does not take: {error}") from error


def placed(config: ConfigDict) -> ConfigDict:
    """The config with the place of its data as an absolute path, which means the same in every working directory."""
    path = config.data.get("path")
    if not path:
        return config
    return configs.unflatten(configs.flatten(config) | {"data.path": str(user_path(path).absolute())}).lock()


def keep_evaluation(workdir: Path, results: Mapping[str, Any]) -> None:
    """Adds results to `evaluations.json`: others of the same step stay. What is damaged there is put aside, not lost.

    Raises a UserError or an OSError where the folder cannot be written.
    """
    path = workdir / "evaluations.json"
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


def _read(workdir: Path) -> Mapping[str, Any]:
    try:
        return run_folder.description(workdir)
    except Missing as error:
        raise UserError(f"{workdir} holds no run (there is no config.json in it): "
                        "train one with scripts/train.py, or name another --workdir.") from error
    except Unreadable as error:
        raise UserError(f"{workdir} cannot be read: {error} Restore it, or train in another --workdir.") from error


def _spec(workdir: Path, description: Mapping[str, Any]) -> Spec:
    found = description.get("spec")
    shape = found.get("shape") if isinstance(found, dict) else None
    known = isinstance(shape, list) and shape and all(type(n) is int and 0 < n <= WIDEST for n in shape)
    if not known or type(found.get("classes")) is not int or found.get("range") not in ("unit", "symmetric", "real"):
        raise UserError(f"{workdir / 'config.json'} does not say what the run's examples are: restore it.")
    names, shares = found.get("class_names", []), found.get("label_frequencies", [])
    if not all(isinstance(name, str) for name in names) or not all(isinstance(share, float) for share in shares):
        raise UserError(f"{workdir / 'config.json'} does not say what the run's labels are: restore it.")
    try:
        return Spec(**{**found, "shape": tuple(shape), "class_names": tuple(names),
                       "label_frequencies": tuple(shares)})
    except TypeError as error:
        raise UserError(f'{workdir / "config.json"} has another "spec" than this version knows: restore it.') from error


def conditional(config: ConfigDict) -> bool:
    """Whether the run's model was trained on labels."""
    return bool(config.get("conditional", False)) or "conditioning" in config


def seed_key(seed: int) -> PRNGKeyArray:
    """The key of a seed. Raises a UserError for one that would be taken modulo 2**32, as another seed's."""
    if not 0 <= seed < 2**32:
        raise UserError(f"seed={seed}: a seed is at least 0 and below 2**32.")
    return jax.random.key(seed)


@dataclass(frozen=True)
class Run:
    """A trained model: the state of a checkpoint and the functions of its family, on numpy arrays in data units.

    Attributes:
      workdir, config, spec, program: of the run.
      state: the checkpoint's TrainState.
      step: the checkpoint's step.
    """

    workdir: Path
    config: ConfigDict
    spec: Spec
    program: Program
    state: TrainState
    step: int

    def sample(self, n: int, seed: int = 0, label: int | str | None = None) -> Float[np.ndarray, "n ..."]:
        """Draws n samples, of a conditional model all of `label` where it is given.

        Raises:
          UserError: the model is not conditional, or has no such label.
        """
        program = self.program if label is None else self.program._replace(sample=self._sampler(label))
        return draw(program, self.state, seed_key(seed), n)

    def _sampler(self, label: int | str) -> Callable[..., Array]:
        return lambda state, key, n: self.program.sample(state, key, n, label=self._labels(label, n))

    def _condition(self, label: Label, n: int) -> tuple[Int[Array, "n"], ...]:
        return () if label is None else (self._labels(label, n),)

    def _labels(self, label: Label, n: int) -> Int[Array, "n"]:
        if not conditional(self.config):
            raise UserError(f"This {self.config.family} was trained without labels: there is no label to choose.")
        if isinstance(label, str):
            label = self._named(label)
        for unknown in set(np.ravel(label).tolist()) - set(range(max(self.spec.classes, 1))):
            raise UserError(f"There is no label {unknown}: the data set has {self.spec.classes} labels from 0 on.")
        return jnp.broadcast_to(jnp.asarray(label, jnp.int32), (n,))

    def _named(self, label: str) -> int:
        """The label of this class name, or else of this number."""
        if label in self.spec.class_names:
            return self.spec.class_names.index(label)
        if label.isdecimal():
            return int(label)
        raise UserError(f"There is no class {quoted(label)!r}.{nearest(label, self.spec.class_names)}"
                        if self.spec.class_names else f"label={quoted(label)}: the classes of this run have no names; "
                        "give a number.")

    def _shown(self, x: Examples) -> Float[Array, "b ..."]:
        """Examples in data units; pixels of 8 bits are decoded into them. A UserError for other numbers."""
        if np.asarray(x).dtype == np.uint8 and self.spec.range in RANGES:
            low = RANGES[self.spec.range]
            return low + (1 - low) * jnp.asarray(x, jnp.float32) / 255
        if not np.issubdtype(np.asarray(x).dtype, np.floating):
            raise UserError(f"Examples of type {np.asarray(x).dtype}: give float32 in data units"
                            f"{', or pixels as uint8' if self.spec.range in RANGES else ''}.")
        return jnp.asarray(x)

    def encode(self, x: Examples, label: Label = None) -> Normal:
        """The posterior q(z|x) of a VAE; a conditional one needs the examples' labels, or the one of all."""
        return self.method("encode", self._shown(x), *self._condition(label, len(x)))

    def decode(self, z: Examples, label: Label = None) -> Float[np.ndarray, "b ..."]:
        """The examples of latents: E[x|z] of a VAE, G(z) of a GAN; labels as in `encode`."""
        return np.asarray(self.method("decode", z, *self._condition(label, len(z))))

    def reconstruct(self, x: Examples, label: Label = None) -> Float[np.ndarray, "b ..."]:
        """A VAE's E[x|z] at the centre of q(z|x); labels as in `encode`."""
        return np.asarray(self.method("reconstruct", self._shown(x), *self._condition(label, len(x))))

    def interpolate(self, n: int, steps: int, seed: int = 0, label: int | str | None = None
                    ) -> Float[np.ndarray, "n_steps ..."]:
        """Decodes n paths between latents, `steps` examples each, on great circles (`figures.latents.slerp`).

        A pair of latents is drawn for each path; path i is rows i * steps to (i + 1) * steps.

        Raises:
          UserError: the family has no latents to decode, the model is not conditional, or has no such label.
        """
        draw = lookup(self.program.family.methods, "latents", f"method of a {self.config.family}")
        a, b = jnp.split(draw(self.state, seed_key(seed), 2 * n), 2)
        z = interpolation_latents(a, b, steps)
        return self.decode(z, label)

    def method(self, name: str, *args):
        """Calls one of the family's methods on the run's state; raises a UserError if it has none of that name."""
        methods = self.program.family.methods
        if name not in methods:
            raise UserError(f"A {self.config.family} has no method {name!r}. There are: {', '.join(sorted(methods))}.")
        return jax.jit(methods[name])(self.state, *args)

    def decoded(self, raw: dict[str, np.ndarray]) -> dict[str, Array]:
        """Raw examples of the data set as the model sees them."""
        return decoder(self.config.data)(jax.device_put(raw), jax.random.key(0))


def load(workdir: Path | str, step: int | Literal["best"] | None = None) -> Run:
    """Reads a run back: its newest checkpoint, that of `step`, or the best one.

    Keys of the config that came after the run have their defaults.

    Raises:
      UserError: there is no run, or no such checkpoint, in the folder.
    """
    workdir = Path(workdir)
    description = _read(workdir)
    config = _config(workdir, description)
    spec = _spec(workdir, description)
    program = make(config, spec)
    restored = checkpoints.restore(
        workdir / "checkpoints", abstract_state(program, spec), step, earlier_state(program, spec))
    return Run(workdir, config, spec, program, restored.state, restored.step)
