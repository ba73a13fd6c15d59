"""What training costs, known before anything is computed."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from gen.data import Spec, indexer, streaming
from gen.networks import onednn
from gen.training.program import Program, abstract_state
from gen.training.sharding import state_sharding

Examples = Mapping[str, np.ndarray | jax.Array | streaming.Column]


def step_images(made: Program, config: ConfigDict) -> int:
    """Training examples that a step takes: a batch for the update, and one for each further critic step."""
    return config.train.batch_size * made.family.batches


def step_flops(made: Program, config: ConfigDict, spec: Spec, train: Examples) -> float:
    """Floating point operations of one step on the training set `train`, of which shapes and types alone are used.

    XLA's count for the program as it is written: decoding, all networks forward and backward, the optimizers. Nothing
    is compiled; what the compiler then removes or adds is a few percent where matrices dominate.
    """
    state, n = abstract_state(made, spec), len(train["x"])
    indices = jax.eval_shape(
        lambda key: indexer(config.data)(key, 0, 1, step_images(made, config), n), state.key)
    batch = {key: jax.ShapeDtypeStruct((indices.shape[1], *x.shape[1:]), x.dtype) for key, x in train.items()}
    with onednn.without():  # XLA does not know how many operations a foreign function takes
        return made.step.lower(state, batch).cost_analysis()["flops"]


def device_memory(made: Program, mesh: Mesh, config: ConfigDict, spec: Spec, train: Examples) -> int:
    """Bytes that training takes on each device of `mesh`: the state, the resident data and the step's temporaries.

    Of a streamed set the block that trains counts, not the next, which is put there meanwhile. The program is compiled
    for it, with nothing on the devices.
    """
    def placed(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=state_sharding(mesh, leaf.shape, config.mesh.fsdp))

    state = jax.tree.map(placed, abstract_state(made, spec))
    everywhere = NamedSharding(mesh, PartitionSpec())
    data = {key: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=everywhere) for key, x in train.items()}
    if streaming.streamed(train):
        data = _block(train, step_images(made, config), config.train.log_every, mesh)
    steps = jax.ShapeDtypeStruct((), jnp.int32, sharding=everywhere)
    memory = made.train.lower(state, data, steps).compile().memory_analysis()
    return (memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
            + memory.temp_size_in_bytes)


def _block(train: Mapping[str, streaming.Column], batch_size: int, log_every: int, mesh: Mesh) -> streaming.Block:
    """Shapes of a block of streamed examples."""
    steps = streaming.block_steps(train["x"].records.fields, batch_size, log_every)
    split = NamedSharding(mesh, PartitionSpec(None, "data"))
    return streaming.Block({key: jax.ShapeDtypeStruct((steps, batch_size, *x.shape[1:]), x.dtype, sharding=split)
                            for key, x in train.items()})
