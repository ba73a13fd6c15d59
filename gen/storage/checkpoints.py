"""Checkpoints of a training state: written in the background, verified when read, the newest and the best kept.

A checkpoint is the folder `<step>/` with two items, `state` (the leaves of the state by path) and `meta` (what the
leaves are, and of which run), and the digests of their files. Folders appear whole (written under another name, then
renamed), and the digests find what changed on the disk afterwards. The metrics of the step, which are known later, are
a sealed file beside them.
"""

import functools
import math
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, SupportsFloat

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from absl import logging
from jaxtyping import PyTree
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, LatestN

from gen.distributed import processes
from gen.errors import UserError
from gen.rng import key_as, plain
from gen.storage.alias import plain_path
from gen.storage.integrity import (
    Damaged,
    check_same_model,
    is_disk_full,
    is_intact,
    leaf_types,
    read_sealed,
    verify,
    write_digests,
    write_sealed,
)

Best = tuple[str, Literal["min", "max"]]
"""Name of the metric by which a checkpoint is the best, and whether less or more of it is better."""

Earlier = Callable[[Collection[str]], tuple[PyTree, Callable[[PyTree], PyTree]] | None]
"""Paths of the leaves of a checkpoint -> None, or where it is of an earlier version the abstract state of then, and
what makes today's state of it."""

_LEADER = ocp.options.MultiprocessingOptions(primary_host=0, active_processes={0}, barrier_sync_key_prefix="leader")
"""Of several processes one reads and writes (`gen.distributed.processes`)."""
_UNFINISHED = ".orbax-checkpoint-tmp"
_METRICS = "metrics.json"
_SIGN = {"min": -1, "max": 1}

logging.get_absl_logger().addFilter(lambda record: "/orbax/" not in record.pathname)


class Restored(NamedTuple):
    """A state that was read back, the step it was saved at and its metrics; None before they were added."""

    state: PyTree
    step: int
    metrics: dict[str, float] | None


def steps(directory: Path | str) -> list[int]:
    """Returns the steps of the checkpoints in `directory`, ascending; none where the directory does not exist."""
    directory = Path(directory)
    if not directory.is_dir():
        return []
    return sorted(int(path.name) for path in directory.iterdir() if re.fullmatch("[0-9]+", path.name) and path.is_dir())


def restore(directory: Path | str, abstract_state: PyTree, step: int | Literal["best"] | None = None,
            earlier: Earlier | None = None) -> Restored:
    """Reads a checkpoint for inference and changes nothing on the disk.

    Args:
      directory: where `Checkpoints` wrote.
      abstract_state: the state's `jax.eval_shape`, with shardings where it is not for the default device.
      step: a step, or "best" by the metric that training kept, or None for the newest that is undamaged.
      earlier: what reads checkpoints of earlier versions.

    Raises:
      UserError: no checkpoint there, not at that step, damaged, or of another model.
    """
    directory = Path(directory)
    found = steps(directory)
    if not found:
        raise UserError(f"No checkpoint in {directory}: train there first, or name another run.")
    if step is None:
        return _newest(directory, abstract_state, earlier)[0]
    step = _best_step(directory) if step == "best" else step
    if step not in found:
        raise UserError(f"No checkpoint of step {step} in {directory}; there are: {', '.join(map(str, found))}.")
    try:
        return _read(directory, step, abstract_state, earlier)
    except Damaged as error:
        raise UserError(
            f"The checkpoint of step {step} in {directory} is damaged: {error}; choose another step of "
            f"{', '.join(map(str, found))}."
        ) from error


def newest_run(directory: Path | str) -> Mapping[str, Any] | None:
    """The `run` of the newest checkpoint in `directory` that says of which run it is; None where none does."""
    for step in reversed(steps(directory)):
        if found := _metas(Path(directory), [step]).get(step, {}).get("run"):
            return found
    return None


def newest_intact(directory: Path | str) -> int:
    """The newest step whose files are what was written; -1 where there is none."""
    directory = Path(directory)
    return next((step for step in reversed(steps(directory)) if is_intact(directory / str(step))), -1)


class Checkpoints:
    """Saves the training state in the background and restores the newest that is undamaged.

    The last `keep` checkpoints stay and, where `best` is given, the best one. One process at a time may write to a
    directory (`gen.storage.lock`). Use as a context manager: leaving it waits for the files. `run`, plain data as JSON
    has them, is saved with every checkpoint and says which run it is of (`newest_run`).

    Raises:
      UserError: `directory` cannot be written.
    """

    def __init__(self, directory: Path | str, keep: int, best: Best | None = None,
                 run: Mapping[str, Any] | None = None):
        self.directory = Path(directory).absolute()
        self._keep, self._best, self._run = keep, best, run or {}
        self._writing: int | None = None
        with self._reported():
            self.directory.mkdir(parents=True, exist_ok=True)
            _remove_unfinished(self.directory)
            with ExitStack() as stack:
                self._plain = stack.enter_context(plain_path(self.directory))
                self._manager = self._open()
                self._alias = stack.pop_all()

    def save(self, step: int, state: PyTree) -> None:
        """Saves `state` as the checkpoint of `step`; returns before the files are written.

        The state is copied first, so that it may be donated at once. A step that is there already stays as it is.

        Raises:
          UserError: this checkpoint or the one before could not be written, e.g. the disk is full.
        """
        self.wait()
        if step in self._manager.all_steps():
            return
        leaves = _by_path(state)
        meta = {"leaves": leaf_types(leaves), "best": self._best, "run": self._run}
        leaves = jax.tree.map(plain, leaves)
        leaves = jax.device_get(leaves) if processes.several() else _copy(leaves)
        self._writing = step
        with self._reported():
            self._manager.save(
                step, args=ocp.args.Composite(state=ocp.args.StandardSave(leaves), meta=ocp.args.JsonSave(meta))
            )

    def add(self, step: int, metrics: Mapping[str, SupportsFloat]) -> None:
        """Adds metrics to the checkpoint of `step`, if there is one, and drops what is no longer the best.

        Before, the checkpoint is the newest but never the best: a process that ends in between loses the metrics alone.

        Raises:
          UserError: what `save` raises.
        """
        self.wait()
        there = self._manager.all_steps()
        if step not in there:
            return
        self._metrics[step] = _finite(metrics)
        with self._reported():
            write_sealed(self.directory / str(step) / _METRICS, self._metrics[step])
            known = {other: self._metrics.get(other, {}) for other in there}
            kept = {*sorted(there)[-self._keep:], self._best and _best_of(known, self._best)}
            for old in known.keys() - kept:
                self._manager.delete(old)

    def restore_latest(self, abstract_state: PyTree, earlier: Earlier | None = None) -> Restored | None:
        """Returns the newest undamaged checkpoint, or None where there is no checkpoint at all.

        Newer ones that are damaged are reported and renamed to `<step>.damaged`. The arrays may be donated.

        Args:
          abstract_state: the state's `jax.eval_shape`, with shardings where it is not for the default device.
          earlier: what reads checkpoints of earlier versions.

        Raises:
          UserError: all checkpoints are damaged, or the checkpoint is of another model.
        """
        self.wait()
        if not steps(self.directory):
            return None
        restored, damaged = _newest(self.directory, abstract_state, earlier)
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
        with self._reported():
            try:
                self._manager.wait_until_finished()
            finally:
                self._manager.close()
                self._alias.close()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        try:
            self.close()
        except UserError as failure:
            if error is None:
                raise
            if not isinstance(error, UserError):
                logging.error("%s", failure)

    def _open(self) -> ocp.CheckpointManager:
        found = steps(self.directory)
        self._metrics = {step: _metrics(self.directory, step, meta) or {}
                         for step, meta in _metas(self.directory, found).items()}
        policies = [LatestN(self._keep)] + ([_KeepBest(self._metrics, self._best)] if self._best else [])
        options = ocp.CheckpointManagerOptions(
            preservation_policy=AnyPreservationPolicy(policies),
            lightweight_initialize=True,
            create=False,
            multiprocessing_options=_LEADER,
            async_options=ocp.AsyncOptions(post_finalization_callback=self._write_digests),
        )
        return ocp.CheckpointManager(self._plain, options=options)

    def _write_digests(self) -> None:
        """Runs in the background when both items are written and their folder is about to get its name."""
        (folder,) = self.directory.glob(f"{self._writing}{_UNFINISHED}*")
        write_digests(folder, items=("meta", "state"))

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Turns a failed write into a UserError and removes what it left behind."""
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            _remove_unfinished(self.directory)
            if not isinstance(error, OSError) and not is_disk_full(error):
                raise
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
    values = {step: _SIGN[mode] * values[name] for step, values in metrics.items() if name in values}
    return max(values, key=values.__getitem__) if values else None


def _best_step(directory: Path) -> int:
    metas = _metas(directory, steps(directory))
    named = [meta["best"] for meta in metas.values() if meta["best"]]
    metrics = {step: _metrics(directory, step, meta) or {} for step, meta in metas.items()}
    best = _best_of(metrics, tuple(named[-1])) if named else None
    if best is None:
        raise UserError(f"No checkpoint in {directory} was saved with the metric that makes it the best; name a step.")
    return best


def _newest(directory: Path, abstract_state: PyTree, earlier: Earlier | None) -> tuple[Restored, list[int]]:
    """Returns the newest undamaged checkpoint and the damaged steps after it, each reported in one line."""
    damaged = {}
    for step in reversed(steps(directory)):
        try:
            return _read(directory, step, abstract_state, earlier), list(damaged)
        except Damaged as error:
            logging.warning("Checkpoint of step %d in %s is damaged and skipped: %s", step, directory, error)
            damaged[step] = error
    raise UserError(
        f"All checkpoints in {directory} are damaged (steps {', '.join(map(str, damaged))}): "
        "put back a copy of one, or delete that directory to train from the beginning."
    )


def _read(directory: Path, step: int, abstract_state: PyTree, earlier: Earlier | None = None) -> Restored:
    folder = directory.absolute() / str(step)
    verify(folder)
    meta = _meta(folder)
    if earlier and (then := earlier(meta["leaves"])):
        abstract, completed = then
        there = _read(directory, step, abstract)
        return there._replace(state=completed(there.state))
    wanted = _by_path(abstract_state)
    check_same_model(meta["leaves"], leaf_types(wanted), f"the checkpoint of step {step} in {directory}")
    stored = jax.eval_shape(functools.partial(jax.tree.map, plain), wanted)
    abstract = {path: _placed(leaf) for path, leaf in stored.items()}
    with plain_path(folder) as plainly:
        leaves = ocp.StandardCheckpointHandler(multiprocessing_options=_LEADER).restore(
            plainly / "state", args=ocp.args.StandardRestore(abstract))
    # Earlier versions wrote keys as such; they come back as keys.
    leaves = [key_as(leaf, leaves[path]) for path, leaf in wanted.items()]
    state = _copy(jax.tree.unflatten(jax.tree.structure(abstract_state), leaves))
    return Restored(state, step, _metrics(directory, step, meta))


def _metrics(directory: Path, step: int, meta: Mapping[str, Any]) -> dict[str, float] | None:
    """The metrics of a step; None where they have not been added, or are damaged."""
    try:
        added = read_sealed(directory / str(step) / _METRICS)
    except Damaged as error:
        logging.warning("The metrics of the checkpoint of step %d in %s are left out: %s", step, directory, error)
        return None
    return added if added is not None else meta.get("metrics") or None  # earlier versions wrote them with the state


def _metas(directory: Path, among: Iterable[int]) -> dict[int, dict[str, Any]]:
    """The meta items of these steps, of the checkpoints where it is undamaged."""
    metas = {}
    for step in among:
        folder = directory.absolute() / str(step)
        with suppress(Damaged):
            verify(folder, "meta/")
            metas[step] = _meta(folder)
    return metas


def _meta(folder: Path) -> dict[str, Any]:
    with plain_path(folder) as plainly:
        return ocp.JsonCheckpointHandler(multiprocessing_options=_LEADER).restore(plainly / "meta")


def _by_path(state: PyTree) -> dict[str, Any]:
    leaves = jax.tree.leaves_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def _placed(leaf) -> jax.ShapeDtypeStruct:
    sharding = getattr(leaf, "sharding", None) or jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


@jax.jit
def _copy(state: PyTree) -> PyTree:
    """New buffers with the same values: a saved state may be donated, a restored one is XLA's own to donate."""
    return jax.tree.map(jnp.copy, state)


def _finite(metrics: Mapping[str, SupportsFloat]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if math.isfinite(float(value))}


def _put_aside(path: Path) -> None:
    aside = path.with_name(f"{path.name}.damaged")
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)


def _remove_unfinished(directory: Path) -> None:
    for path in directory.glob(f"*{_UNFINISHED}*"):
        shutil.rmtree(path, ignore_errors=True)


def _failed_write(error: BaseException, directory: Path, step: int | None) -> str:
    what = f"opening {directory}" if step is None else f"writing checkpoint of step {step} in {directory}"
    intact = newest_intact(directory)
    there = "there is no earlier checkpoint" if intact < 0 else f"the checkpoint of step {intact} is intact"
    if is_disk_full(error):
        return f"Disk full while {what}; {there}; free space and run the same command again."
    line = (str(error) or type(error).__name__).splitlines()[0]
    return f"Error while {what}: {line[:200]}; {there}."
