"""What training draws its batches from: the whole set on the devices, or blocks of a stream, put there in time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gen.data import Dataset, streaming
from gen.data.batches import order
from gen.errors import UserError
from gen.families import Metrics, TrainState
from gen.training.replicas import Pack

Advance = Callable[[TrainState, int], tuple[TrainState, Metrics, Metrics]]
"""(state, steps) -> (state, metrics [at least steps], diagnosis after them), steps being those to the next record."""


@contextmanager
def feed(pack: Pack, dataset: Dataset, config, mesh: Mesh, batch_size: int, start: int) -> Iterator[Advance]:
    """Opens the training examples for steps from `start` on.

    Args:
      pack: functions of the runs that train, one run if the data set is streamed.
      dataset: its examples, resident or streamed.
      config: of a run.
      mesh: of its devices.
      batch_size: examples of a step.
      start: steps before the first.

    Raises:
      UserError: records that cannot be read, when it is their turn.
    """
    if not streaming.streamed(dataset.train):
        data = pack.place(dataset.train)

        def resident(state: TrainState, steps: int):
            state, metrics = pack.train(state, data, steps)
            return state, metrics, pack.diagnose(state, data)

        yield resident
        return
    with _stream(dataset, config, mesh, batch_size, start) as blocks:
        yield _Streamed(pack, blocks).advance


def _stream(dataset: Dataset, config, mesh: Mesh, batch_size: int, start: int):
    """The blocks of this process's share of every batch."""
    records, log_every = dataset.train["x"].records, config.train.log_every
    if len(records) >= 2**31:
        raise UserError(f"The data set has {len(records)} training examples; at most 2**31 - 1 can be shuffled.")
    longest = streaming.block_steps(records.fields, batch_size, log_every)
    plan = streaming.plan(start, config.train.steps, log_every, longest)
    sharding = NamedSharding(mesh, PartitionSpec(None, "data"))

    def place(raw):
        return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), raw)

    share = (jax.process_index(), jax.process_count())
    source = streaming.Blocks(
        records, order(jax.random.key(config.seed), len(records)), plan, longest, batch_size, share)
    return streaming.blocks(source, place)


class _Streamed:
    """Advances block by block; the block after the last step of a window is there for the diagnosis already."""

    def __init__(self, pack: Pack, blocks: Iterator[streaming.Block]):
        self.pack, self.blocks, self.block = pack, blocks, next(blocks)

    def advance(self, state: TrainState, steps: int) -> tuple[TrainState, Metrics, Metrics]:
        history, longest = [], len(self.block.batches["x"])
        for done in range(0, steps, longest):
            state, metrics = self.pack.train(state, self.block, min(longest, steps - done))
            self.block = next(self.blocks)
            history.append(metrics)
        metrics = jax.tree.map(lambda *parts: jnp.concatenate(parts), *history)
        return state, metrics, self.pack.diagnose(state, self.block)
