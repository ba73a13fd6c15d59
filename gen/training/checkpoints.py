"""Checkpoints of a training state: written in the background, verified when read, the newest and the best kept.

A checkpoint is the folder `<step>/` with two items: `state`, the leaves of the state by path, and `meta`, a digest of
every leaf with the metrics of the step. Folders appear whole (written under another name, then renamed), and the
digests find what changed on the disk afterwards.
"""

import errno
import json
import math
import shutil
import zlib
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from jaxtyping import PyTree
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, LatestN

from gen.errors import UserError

Best = tuple[str, Literal["min", "max"]]
"""Name of the metric by which a checkpoint is the best, and whether less or more of it is better."""

_UNFINISHED = "*.orbax-checkpoint-tmp*"
_SHOWN = 3

logging.get_absl_logger().addFilter(lambda record: "/orbax/" not in record.pathname)


class Damaged(Exception):
    """A checkpoint that is not what was saved; the message says what is wrong with it."""


class Restored(NamedTuple):
    """A state that was read back, the step it was saved at and the metrics saved with it."""

    state: PyTree
    step: int
    metrics: dict[str, float]


def steps(directory: Path | str) -> list[int]:
    """Returns the steps of the checkpoints in `directory`, ascending; none where the directory does not exist."""
    directory = Path(directory)
    if not directory.is_dir():
        return []
    return sorted(int(path.name) for path in directory.iterdir() if path.name.isdigit() and path.is_dir())


def restore(directory: Path | str, abstract_state: PyTree, step: int | Literal["best"] | None = None) -> Restored:
    """Reads a checkpoint for inference and changes nothing on the disk.

    Args:
      directory: where `Checkpoints` wrote.
      abstract_state: the state's `jax.eval_shape`, with shardings where it is not for the default device.
      step: a step, or "best" by the metric that training kept, or None for the newest that is undamaged.

    Raises:
      UserError: no checkpoint there, not at that step, damaged, or of another model.
    """
    directory = Path(directory)
    found = steps(directory)
    if not found:
        raise UserError(f"No checkpoint in {directory}: train there first, or name another run.")
    if step is None:
        return _newest(directory, abstract_state)[0]
    step = _best_step(directory) if step == "best" else step
    if step not in found:
        raise UserError(f"No checkpoint of step {step} in {directory}; there are: {', '.join(map(str, found))}.")
    try:
        return _read(directory, step, abstract_state)
    except Damaged as error:
        raise UserError(
            f"The checkpoint of step {step} in {directory} is damaged: {error}; choose another step of "
            f"{', '.join(map(str, found))}."
        ) from error


class Checkpoints:
    """Saves the training state in the background and restores the newest that is undamaged.

    The last `keep` checkpoints stay and, where `best` is given, the best one. One process at a time may write to a
    directory (`gen.training.lock`). Use as a context manager: leaving it waits for the files.

    Raises:
      UserError: `directory` cannot be written.
    """

    def __init__(self, directory: Path | str, keep: int, best: Best | None = None):
        self.directory = Path(directory).absolute()
        self._keep, self._best = keep, best
        self._writing: int | None = None
        with self._reported():
            self.directory.mkdir(parents=True, exist_ok=True)
            _remove_unfinished(self.directory)
            self._manager = self._open()

    def save(self, step: int, state: PyTree, metrics: Mapping[str, float] | None = None) -> None:
        """Saves `state` as the checkpoint of `step`; returns before the files are written.

        The state is copied first, so that it may be donated at once. A step that is there already stays as it is.

        Raises:
          UserError: this checkpoint or the one before could not be written, e.g. the disk is full.
        """
        self.wait()
        if step in self._manager.all_steps():
            return
        leaves = _by_path(_copy(state))
        meta = _meta(leaves, _finite(metrics or {}), self._best)
        self._metrics[step] = meta["metrics"]
        self._writing = step
        with self._reported():
            self._manager.save(
                step, args=ocp.args.Composite(state=ocp.args.StandardSave(leaves), meta=ocp.args.JsonSave(meta))
            )

    def restore_latest(self, abstract_state: PyTree) -> Restored | None:
        """Returns the newest undamaged checkpoint, or None where there is no checkpoint at all.

        Newer ones that are damaged are reported and renamed to `<step>.damaged`. The arrays may be donated.

        Args:
          abstract_state: the state's `jax.eval_shape`, with shardings where it is not for the default device.

        Raises:
          UserError: all checkpoints are damaged, or the checkpoint is of another model.
        """
        self.wait()
        if not steps(self.directory):
            return None
        restored, damaged = _newest(self.directory, abstract_state)
        if damaged:
            self._manager.close()
            for step in damaged:
                _put_aside(self.directory / str(step))
            self._manager = self._open()
        return restored

    def wait(self) -> None:
        """Waits until the last save is on the disk; raises what `save` raises."""
        with self._reported():
            self._manager.wait_until_finished()
        self._writing = None

    def close(self) -> None:
        """Waits for the last save and ends the background threads; raises what `save` raises."""
        try:
            self.wait()
        finally:
            self._manager.close()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        try:
            self.close()
        except UserError as failure:
            if error is None:
                raise
            logging.error("%s", failure)

    def _open(self) -> ocp.CheckpointManager:
        self._metrics = {step: _metrics(self.directory, step) for step in steps(self.directory)}
        policies = [LatestN(self._keep)] + ([_KeepBest(self._metrics, self._best)] if self._best else [])
        options = ocp.CheckpointManagerOptions(
            preservation_policy=AnyPreservationPolicy(policies), lightweight_initialize=True
        )
        return ocp.CheckpointManager(self.directory, options=options)

    @contextmanager
    def _reported(self):
        """Turns a failed write into a UserError and removes what it left behind."""
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            _remove_unfinished(self.directory)
            raise UserError(_failed_write(error, self.directory, self._writing)) from error


@dataclass
class _KeepBest:
    """Preservation policy: the best checkpoint by a metric; steps without the metric are not candidates."""

    metrics: Mapping[int, Mapping[str, float]]
    best: Best

    def should_preserve(self, checkpoints, *, context) -> list[bool]:
        del context
        there = {info.step: self.metrics.get(info.step, {}) for info in checkpoints}
        best = _best_of(there, self.best)
        return [info.step == best for info in checkpoints]


def _best_of(metrics: Mapping[int, Mapping[str, float]], best: Best) -> int | None:
    name, mode = best
    sign = {"min": -1, "max": 1}[mode]
    values = {step: sign * values[name] for step, values in metrics.items() if name in values}
    return max(values, key=values.__getitem__) if values else None


def _best_step(directory: Path) -> int:
    metas = {}
    for step in steps(directory):
        with suppress(Damaged):
            metas[step] = _read_meta(directory, step)
    named = [meta["best"] for meta in metas.values() if meta["best"]]
    best = _best_of({step: meta["metrics"] for step, meta in metas.items()}, tuple(named[-1])) if named else None
    if best is None:
        raise UserError(f"No checkpoint in {directory} was saved with the metric that makes it the best; name a step.")
    return best


def _newest(directory: Path, abstract_state: PyTree) -> tuple[Restored, list[int]]:
    """Returns the newest undamaged checkpoint and the damaged steps after it, each reported in one line."""
    damaged = {}
    for step in reversed(steps(directory)):
        try:
            return _read(directory, step, abstract_state), list(damaged)
        except Damaged as error:
            logging.warning("Checkpoint of step %d in %s is damaged and skipped: %s", step, directory, error)
            damaged[step] = error
    raise UserError(
        f"All checkpoints in {directory} are damaged (steps {', '.join(map(str, damaged))}): "
        "put back a copy of one, or delete that directory to train from the beginning."
    )


def _read(directory: Path, step: int, abstract_state: PyTree) -> Restored:
    meta = _read_meta(directory, step)
    abstract = {path: _placed(leaf) for path, leaf in _by_path(abstract_state).items()}
    _check_same_model(meta["leaves"], abstract, f"the checkpoint of step {step} in {directory}")
    with _damage():
        handler = ocp.StandardCheckpointHandler()
        leaves = handler.restore(directory.absolute() / str(step) / "state", args=ocp.args.StandardRestore(abstract))
    for path, leaf in leaves.items():
        if _digest(leaf) != meta["leaves"][path]["crc32"]:
            raise Damaged(f"the bytes of {path} are not those that were saved")
    state = jax.tree.unflatten(jax.tree.structure(abstract_state), [leaves[path] for path in abstract])
    return Restored(_copy(state), step, meta["metrics"])


def _read_meta(directory: Path, step: int) -> dict[str, Any]:
    with _damage():
        sealed = ocp.JsonCheckpointHandler().restore(directory.absolute() / str(step) / "meta")
        crc32 = sealed.pop("crc32")
    if crc32 != _seal(sealed):
        raise Damaged("its meta item is not what was saved")
    return sealed


def _metrics(directory: Path, step: int) -> dict[str, float]:
    try:
        return _read_meta(directory, step)["metrics"]
    except Damaged:
        return {}


@contextmanager
def _damage():
    """Whatever goes wrong in reading is damage, but for a lack of memory or of permission."""
    try:
        yield
    except (MemoryError, PermissionError):
        raise
    except Exception as error:
        if "RESOURCE_EXHAUSTED" in str(error) or "PERMISSION_DENIED" in str(error):
            raise
        raise Damaged(_first_line(error)) from error


def _meta(leaves: Mapping[str, jax.Array], metrics: dict[str, float], best: Best | None) -> dict[str, Any]:
    """The meta item: what every leaf is, the metrics, and a digest of the item itself."""
    described = {path: {"type": _type(leaf), "crc32": _digest(leaf)} for path, leaf in leaves.items()}
    meta = {"leaves": described, "metrics": metrics, "best": list(best) if best else None}
    return meta | {"crc32": _seal(meta)}


def _seal(meta: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(meta, sort_keys=True).encode())


def _digest(leaf: jax.Array) -> int:
    data = jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
    return zlib.crc32(np.ascontiguousarray(data).view(np.uint8).reshape(-1)) if data.size else 0


def _type(leaf) -> str:
    return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"


def _check_same_model(saved: Mapping[str, Mapping], abstract: Mapping[str, Any], where: str) -> None:
    """Raises a UserError that names the first leaves in which the checkpoint and the model differ."""
    now = {path: _type(leaf) for path, leaf in abstract.items()}
    then = {path: leaf["type"] for path, leaf in saved.items()}
    absent = "absent"
    differing = [
        f"{path} is {then.get(path, absent)} there and {now.get(path, absent)} here"
        for path in dict.fromkeys([*now, *then])
        if now.get(path) != then.get(path)
    ]
    if differing:
        more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        raise UserError(
            f"The model is not that of {where}: {'; '.join(differing[:_SHOWN])}{more}. "
            "Use the config of that run, or start in a new directory."
        )


def _by_path(state: PyTree) -> dict[str, Any]:
    leaves = jax.tree.leaves_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def _placed(leaf) -> jax.ShapeDtypeStruct:
    sharding = getattr(leaf, "sharding", None) or jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


@jax.jit
def _copy(state: PyTree) -> PyTree:
    """New buffers with the same values: a saved state may be donated, a restored one is XLA's own to donate."""
    return jax.tree.map(jnp.copy, state)


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if math.isfinite(float(value))}


def _put_aside(path: Path) -> None:
    aside = path.with_name(f"{path.name}.damaged")
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)


def _remove_unfinished(directory: Path) -> None:
    for path in directory.glob(_UNFINISHED):
        shutil.rmtree(path, ignore_errors=True)


def _failed_write(error: BaseException, directory: Path, step: int | None) -> str:
    intact = [other for other in steps(directory) if other != step]
    what = "opening" if step is None else f"writing checkpoint of step {step} in"
    there = f"the checkpoint of step {intact[-1]} is intact" if intact else "there is no earlier checkpoint"
    if _is_disk_full(error):
        return (
            f"disk full while {what} {directory}: {_first_line(error)}; {there}; "
            "free space and run the same command again"
        )
    return f"error while {what} {directory}: {_first_line(error)}; {there}"


def _is_disk_full(error: BaseException | None) -> bool:
    if error is None:
        return False
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return True
    texts = "No space left on device", "Disk quota exceeded"
    return any(text in str(error) for text in texts) or _is_disk_full(error.__cause__ or error.__context__)


def _first_line(error: BaseException, width: int = 200) -> str:
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line if len(line) <= width else line[: width - 3] + "..."
