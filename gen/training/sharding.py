"""Many devices: one mesh with the axes "replica" and "data", and where the arrays of a run lie on it.

The batch is split over "data", runs that train together over "replica". XLA adds the sums over devices, so that the
program stays that of one device: statistics of batch norm are those of the whole batch, and the training is the same up
to float32 rounding. The state is on every device, or with `mesh.fsdp` each array is split along its largest dimension
(Zhao et al. 2023, PyTorch FSDP; XLA gathers what a step needs).
"""

from contextlib import AbstractContextManager, nullcontext

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree
from ml_collections import ConfigDict

from gen.errors import UserError

Shape = tuple[int, ...]


def mesh(config: ConfigDict, replicas: int = 1) -> Mesh:
    """The mesh of `replicas` runs that train together with this config. See `extent`."""
    devices = jax.devices()
    rows, columns = extent(config, replicas, len(devices), devices[0].platform == "cpu" and jax.process_count() == 1)
    if jax.process_count() > 1 and rows * columns < len(devices):
        raise UserError(f"config.mesh.data={config.mesh.data}: {jax.process_count()} processes have {len(devices)} "
                        f"devices, of which {rows * columns} would be used: let them divide the runs and the batch.")
    return jax.make_mesh((rows, columns), ("replica", "data"), axis_types=(AxisType.Auto,) * 2,
                         devices=devices[:rows * columns])


def extent(config: ConfigDict, replicas: int, devices: int, one_cpu: bool) -> tuple[int, int]:
    """How many devices the replicas are spread over, and each of their batches.

    `mesh.data` devices share a batch. 0 is as many accelerators as there are for each share of the replicas, but one
    CPU: its cores share every operation already, and a second device for the same cores made steps 1.5 times as long.

    Raises:
      UserError: there are not so many devices, or they do not divide the batch.
    """
    data, batch = config.mesh.data, config.train.batch_size
    if not 0 <= data <= devices:
        there = "is one device" if devices == 1 else f"are {devices} devices"
        raise UserError(f"config.mesh.data={data}: there {there}; 0 takes what there is.")
    if data and batch % data:
        raise UserError(f"config.mesh.data={data} does not divide config.train.batch_size={batch}.")
    rows = _divisor(replicas, devices // max(data, 1))
    return rows, data or (1 if one_cpu else _divisor(batch, devices // rows))


def _divisor(n: int, most: int) -> int:
    """The greatest divisor of n that is at most `most`."""
    return max(d for d in range(1, most + 1) if n % d == 0)


def split_batch(mesh: Mesh | None, batch: PyTree) -> PyTree:
    """Splits the examples, the first axis of every array, over the data axis. Inside compiled functions."""
    if mesh is None or mesh.shape["data"] == 1:
        return batch
    return jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, PartitionSpec("data")))


def sharing(mesh: Mesh | None) -> AbstractContextManager:
    """While a step is traced inside: tells the family that devices share its batch (`gen.families.common.shared`)."""
    told = not jax.sharding.get_abstract_mesh().empty
    alone = mesh is None or mesh.shape["data"] == 1
    return nullcontext() if told or alone else jax.sharding.use_abstract_mesh(mesh.abstract_mesh)


def place_state(mesh: Mesh | None, state: PyTree, fsdp: bool) -> PyTree:
    """Keeps the arrays of one run's state where they belong. Inside compiled functions."""
    if mesh is None or mesh.shape["data"] == 1:
        return state
    return jax.tree.map(
        lambda leaf: jax.lax.with_sharding_constraint(leaf, state_sharding(mesh, leaf.shape, fsdp)), state)


def state_sharding(mesh: Mesh, shape: Shape, fsdp: bool) -> NamedSharding:
    """Where an array of one run's state lies: on every device, or split over the data axis."""
    return NamedSharding(mesh, spec(shape, mesh.shape["data"] if fsdp else 0))


def spec(shape: Shape, size: int) -> PartitionSpec:
    """Splits the largest dimension that `size` devices divide; none where there is no such, or `size` is 0."""
    divided = [axis for axis, length in enumerate(shape) if size and length % size == 0 and length >= size]
    if not divided:
        return PartitionSpec()
    largest = max(divided, key=lambda axis: shape[axis])
    return PartitionSpec(*("data" if axis == largest else None for axis in range(len(shape))))
