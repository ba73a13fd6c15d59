"""Data sets that do not fit in memory: examples are read ahead of training, by worker processes, with Grain.

The order of the examples is the stateless shuffle of `gen.data.batches`, a function of the seed and the step, which is
given to Grain as the order of records. So a streamed run computes what a resident one does, bit for bit, with any
number of workers, and the state of the iterator is the step alone, which every checkpoint has: nothing else is saved.

A *block* is some consecutive batches, read at once and put on the devices while the one before it trains.
"""

import itertools
import math
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, Int, PyTree

from gen.data.batches import Order
from gen.errors import UserError, lookup
from gen.signals import end_with

RESIDENT_BYTES = 2 * 2**30
"""Training examples that take more are streamed where `data.loading` is "auto"."""

BLOCK_BYTES = 8 * 2**20
"""Of a block at most, unless one batch takes more. A few blocks at a time are in shared memory."""

READ_EXAMPLES = 4_096
"""How many are read at once into memory."""

LOADINGS = {
    "auto": "resident up to RESIDENT_BYTES",
    "resident": "in memory, on every device",
    "streaming": "read as training comes to it",
}


Rows = Sequence[int] | Int[np.ndarray, "k"]


@runtime_checkable
class Records(Protocol):
    """Examples that are read when they are asked for. Sent to worker processes, where nothing is computed by JAX.

    Attributes:
      fields: names of the arrays to shape and type of one example, {"x": ((32, 32, 3), uint8), "label": ((), int32)}.
      workers: processes that read them for training; 0 reads in a thread of this one.
    """

    fields: Mapping[str, tuple[tuple[int, ...], Any]]
    workers: int

    def __len__(self) -> int: ...

    def read(self, indices: Rows) -> dict[str, np.ndarray]:
        """Returns the examples in this order; raises a UserError that names what cannot be read."""


class Column:
    """One array [n ...] of records that stay where they are: `column[indices]` and `column[:k]` read these rows."""

    def __init__(self, records: Records, name: str):
        shape, dtype = records.fields[name]
        self.records, self.name = records, name
        self.shape, self.dtype = (len(records), *shape), np.dtype(dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | Int[np.ndarray, "k"]) -> np.ndarray:
        return self.records.read(range(len(self))[rows] if isinstance(rows, slice) else rows)[self.name]

    def __array__(self, *_, **__) -> np.ndarray:
        raise UserError("The training examples are streamed, and this needs all of them in memory: "
                        "set --config.data.loading=resident, or --config.data.train_examples to fewer.")


def load(records: Records, loading: str) -> dict[str, np.ndarray] | dict[str, Column]:
    """Returns the arrays of all records as `data.loading` says: in memory, or `Column`s to stream them from.

    Raises:
      UserError: for an unknown word, and what `Records.read` raises.
    """
    lookup(LOADINGS, loading, "config.data.loading")
    if records.workers < 0:
        raise UserError(f"config.data.workers={records.workers}: a number of processes is not negative.")
    if loading == "streaming" or (loading == "auto" and len(records) * example_bytes(records.fields) > RESIDENT_BYTES):
        return {name: Column(records, name) for name in records.fields}
    whole = {name: np.empty((len(records), *shape), dtype) for name, (shape, dtype) in records.fields.items()}
    for first in range(0, len(records), READ_EXAMPLES):
        part = records.read(range(first, min(first + READ_EXAMPLES, len(records))))
        for name, values in part.items():
            whole[name][first:first + READ_EXAMPLES] = values
    return whole


class First(NamedTuple):
    """The first `count` of other records."""

    records: Records
    count: int

    def __len__(self) -> int:
        return self.count

    @property
    def fields(self) -> Mapping[str, tuple[tuple[int, ...], Any]]:
        return self.records.fields

    @property
    def workers(self) -> int:
        return self.records.workers

    def read(self, indices: Rows) -> dict[str, np.ndarray]:
        return self.records.read(indices)


Part = Mapping[str, "np.ndarray | Column"]


def held_out(train: Part, n: int) -> tuple[Part, dict[str, np.ndarray]]:
    """(the examples but the last n, still streamed where they were, and those n in memory)."""
    kept = len(train["x"]) - n
    if not streamed(train):
        return {name: v[:kept] for name, v in train.items()}, {name: v[kept:] for name, v in train.items()}
    records = train["x"].records
    return {name: Column(First(records, kept), name) for name in train}, records.read(range(kept, kept + n))


def streamed(train: Mapping[str, np.ndarray | Column]) -> bool:
    """Says whether the training examples of a data set are streamed."""
    return isinstance(train["x"], Column)


def example_bytes(fields: Mapping[str, tuple[tuple[int, ...], Any]]) -> int:
    """Bytes of one example."""
    return sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in fields.values())


class Block(NamedTuple):
    """Consecutive batches, arrays [steps b ...]: what the compiled `train` takes in place of the whole set."""

    batches: PyTree[Array]


def block_steps(fields: Mapping[str, tuple[tuple[int, ...], Any]], batch_size: int, log_every: int) -> int:
    """Steps of a block: the windows of `log_every` steps in as few equal blocks as `BLOCK_BYTES` allow."""
    most = max(1, BLOCK_BYTES // (batch_size * example_bytes(fields)))
    return math.ceil(log_every / math.ceil(log_every / most))


def plan(start: int, last: int, log_every: int, longest: int) -> Int[np.ndarray, "blocks 2"]:
    """(first step, steps) of every block from `start` on; none spans two windows. The batch after `last` is one more.

    Windows end at multiples of `log_every`, and at `last`.
    """
    ends = [*range(start - start % log_every + log_every, last, log_every), last]
    rows = [(first, min(longest, end - first))
            for begin, end in itertools.pairwise([start, *ends]) for first in range(begin, end, longest)]
    return np.array([*rows, (last, 1)], np.int64)


class Blocks:
    """The random-access source that Grain reads from: item i is block i of a plan, padded to `longest` steps.

    Args:
      records: where the examples come from.
      order: of the examples.
      plan: `plan`.
      longest: steps of every block.
      batch_size: examples of a step.
      shard: (i, n): of n equal, contiguous parts of every batch the i-th alone, as a batch that is sharded over
        processes has it.
    """

    def __init__(self, records: Records, order: Order, plan: Int[np.ndarray, "blocks 2"], longest: int,
                 batch_size: int, shard: tuple[int, int] = (0, 1)):
        if batch_size % shard[1]:
            raise UserError(f"{shard[1]} processes do not divide the {batch_size} examples of a step.")
        self.records, self.order, self.plan, self.longest = records, order, plan, longest
        self.batch_size, self.shard = batch_size, shard

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, i: int) -> dict[str, np.ndarray]:
        first, steps = map(int, self.plan[i])
        index, count = self.shard
        rows = np.split(self.order(first, steps, self.batch_size), count, axis=1)[index]
        raw = self.records.read(rows.ravel())
        return {name: self._padded(values.reshape(*rows.shape, *values.shape[1:])) for name, values in raw.items()}

    def _padded(self, values: np.ndarray) -> np.ndarray:
        padding = np.zeros((self.longest - len(values), *values.shape[1:]), values.dtype)
        return np.concatenate([values, padding]) if len(padding) else values


@contextmanager
def blocks(source: Blocks, place: Callable[[dict[str, np.ndarray]], PyTree[Array]]) -> Iterator[Iterator[Block]]:
    """The blocks of `source` in order, on the devices where `place` puts them, read ahead of being asked for.

    Raises:
      UserError: what `Records.read` raises, at the block that it is about; a worker process that ended.
    """
    import grain
    from absl import flags

    def placed(raw: dict[str, np.ndarray]) -> Block:
        return Block(place(jax.tree.map(np.array, raw)))  # a copy, so that the worker's shared memory is free again

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # Grain looks at its own, also where no command line has been read
    endless = grain.MapDataset.source(source).repeat()  # a closed iterator frees its shared memory, a finished one not
    dataset = endless.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=1))
    dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=source.records.workers), _become_worker)
    iterator = iter(grain.experimental.ThreadPrefetchIterDataset(dataset.map(placed), prefetch_buffer_size=1))
    try:
        yield _reported(iterator)
    finally:
        iterator.close()


def _become_worker(*_: int) -> None:
    """Leaves signals to the parent, which saves first, and ends with it."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_with(os.getppid())


def _reported(iterator: Iterator[Block]) -> Iterator[Block]:
    try:
        yield from iterator
    except UserError as error:
        raise UserError(str(error)) from None
    except RuntimeError as error:
        if "Worker process" not in str(error):
            raise
        raise UserError("A process that reads the training examples was killed; a machine without memory does so. "
                        "The same command again goes on from the last checkpoint.") from error
