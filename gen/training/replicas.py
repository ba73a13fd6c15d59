"""Runs that train together in one compiled program: they differ in the leaves of their TrainStates alone.

On an accelerator the replicas are one `vmap`; on a CPU, where a vmap saves no arithmetic, they take turns inside the
program (`lax.map`), so that each computes what it would alone. Where there are several devices, the axis of the
replicas is sharded over them (`gen.training.sharding`).
"""

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int, PyTree
from ml_collections import ConfigDict

from gen import config as configs
from gen.data import load
from gen.data.streaming import Column, streamed
from gen.distributed import processes
from gen.families import Metrics, TrainState
from gen.schedules import NEUTRAL
from gen.training import program
from gen.training.program import Program, Raw

Fetched = dict[str, np.ndarray | np.generic]
"""Metrics on the host."""


class Pack(NamedTuple):
    """The functions of a session with one run or several.

    Attributes:
      place: raw training data -> the same where `train` wants it.
      join: the runs' states -> the state of them all.
      split: the state of them all -> the runs' states, where this process can compute with them.
      train, diagnose: as of `Program`, on the state of them all; the state is donated to `train`.
      fetch: metrics of `train` or `diagnose` -> the runs' metrics, on the host.
    """

    place: Callable[[Raw], Raw]
    join: Callable[[Sequence[TrainState]], TrainState]
    split: Callable[[TrainState], list[TrainState]]
    train: Callable[[TrainState, Raw, int], tuple[TrainState, Metrics]]
    diagnose: Callable[[TrainState, Raw], Metrics]
    fetch: Callable[[Metrics], list[Fetched]]


def pack(made: Program, mesh: Mesh, n: int) -> Pack:
    """The functions for n runs of one program on a mesh (`sharding.mesh`).

    A state of several runs has a leading axis of length n on every leaf.
    """
    return _alone(made, mesh) if n == 1 else _together(made, mesh, n)


def _alone(made: Program, mesh: Mesh) -> Pack:
    return Pack(
        place=lambda raw: processes.place(raw, _home(mesh)),
        join=lambda states: processes.place(states[0], _home(mesh)),
        split=lambda state: [state if mesh.size == 1 else _own(state, mesh)],
        train=made.train,
        diagnose=made.diagnose,
        fetch=lambda metrics: [_fetched(metrics, mesh)],
    )


def _together(made: Program, mesh: Mesh, n: int) -> Pack:
    sharded, replicated = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (("replica",), ()))

    @jax.jit
    def replica(states: TrainState, i: Int[Array, ""]) -> TrainState:
        return jax.tree.map(lambda leaf: leaf[i], states)

    def split(states: TrainState) -> list[TrainState]:
        return [_own(replica(states, i), mesh) for i in range(n)]

    def fetch(metrics: Metrics) -> list[Fetched]:
        values = _fetched(metrics, mesh)
        return [{name: value[i] for name, value in values.items()} for i in range(n)]

    return Pack(
        place=lambda raw: processes.place(raw, replicated),
        join=lambda states: processes.place(jax.tree.map(lambda *leaves: jnp.stack(leaves), *states), sharded),
        split=split,
        train=jax.jit(_each(made.train, mesh), donate_argnums=0),
        diagnose=jax.jit(_each(made.diagnose, mesh)),
        fetch=fetch,
    )


def _home(mesh: Mesh) -> jax.Device | NamedSharding:
    """Where a single run's state is: on every device that shares its batches."""
    return mesh.devices.flat[0] if mesh.shape["data"] == 1 else NamedSharding(mesh, PartitionSpec())


def _own(state: TrainState, mesh: Mesh) -> TrainState:
    """A single run's state for this process to evaluate and save: whole on each of its devices."""
    return processes.gathered(state, mesh) if processes.several() else jax.device_put(state, _home(mesh))


def _fetched(metrics: Metrics, mesh: Mesh) -> Fetched:
    return jax.device_get(processes.gathered(metrics, mesh) if processes.several() else metrics)


def _each(function: Callable, mesh: Mesh) -> Callable:
    """`function(state, ...)` for every replica, the further arguments being shared; a device has an equal share."""

    def in_turns(states: TrainState, *shared: PyTree):
        return jax.lax.map(lambda state: function(state, *shared), states)

    def at_once(states: TrainState, *shared: PyTree):
        return jax.vmap(lambda state: function(state, *shared))(states)

    def share(states: TrainState, *shared: PyTree):
        return jax.lax.platform_dependent(states, *shared, cpu=in_turns, default=at_once)

    def all_replicas(states: TrainState, *shared: PyTree):
        axes = PartitionSpec("replica"), *(PartitionSpec() for _ in shared)
        own = jax.shard_map(share, mesh=mesh, in_specs=axes, out_specs=axes[0], axis_names={"replica"}, check_vma=False)
        return own(states, *shared)

    return all_replicas


def initial(made: Program, config: ConfigDict, data: Raw | dict[str, Column]) -> TrainState:
    """The first state of the run that `config` describes, `made` being the program of a run of its pack."""
    state = made.init(config.seed, data)
    values = configs.flatten(config)
    return state.replace(hypers={key: jnp.float32(values[key]) for key in state.hypers})


def groups(all_configs: Sequence[ConfigDict], most: int) -> list[list[int]]:
    """The indices of the runs that can train together, in order, at most `most` in a group.

    They differ only in the seed and in floats that are leaves of the TrainState (`hypers`). A value of 0, or of
    `schedules.NEUTRAL`, may leave a term out of the program, so that it goes together only with its like. Runs of a
    streamed data set train alone, each in an order of its own.
    """
    leaves: dict[str, frozenset[str] | None] = {}
    found: dict[str, list[list[int]]] = {}
    for i, config in enumerate(all_configs):
        values = configs.flatten(config) | {"seed": None}
        structure = _key({k: isinstance(v, float) or v for k, v in values.items()})
        if structure not in leaves:
            leaves[structure] = _leaves(config)
        alone = leaves[structure] is None
        key = _key({k: v != NEUTRAL.get(k, 0) if k in (leaves[structure] or ()) else v for k, v in values.items()})
        members = found.setdefault(key, [[]])
        if len(members[-1]) == (1 if alone else most):
            members.append([])
        members[-1].append(i)
    return sorted((group for members in found.values() for group in members), key=lambda group: group[0])


def _leaves(config: ConfigDict) -> frozenset[str] | None:
    """The keys of the floats that may differ; None where the data set is streamed."""
    dataset = load(config.data)
    if streamed(dataset.train):
        return None
    spec = dataset.spec
    return frozenset(program.abstract_state(program.make(config, spec), spec).hypers)


def _key(values: dict) -> str:
    return json.dumps(values, sort_keys=True, default=str)
