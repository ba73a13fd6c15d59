"""Workloads that are ready to be timed, and what their rates are held against: matrix products, and the input."""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from gen.benchmark.workloads import OWN, Setting, Workload, synthetic
from gen.config import Overrides
from gen.data import Dataset, load
from gen.data.images import SHAPES, data_dir, is_prepared
from gen.data.streaming import Block
from gen.families import TrainState
from gen.networks import layers
from gen.precision import PRECISIONS
from gen.run_folder import read_metrics
from gen.schema import complete
from gen.training import feed as feeds
from gen.training import loop, program, replicas
from gen.training.cost import step_flops, step_images
from gen.training.recorder import Recorder

Row = dict[str, Any]

MATMUL = {"cpu": 2048}
LARGE_MATMUL = 8192
"""Side of the square matrices whose product gives the peak, by platform, and of those of accelerators."""


def rounded(figure: float | int) -> float:
    """A measured figure to four digits, however small: a step may take microseconds."""
    return float(f"{figure:.4g}")


@contextmanager
def plain_convolutions() -> Iterator[None]:
    """Networks that are made and traced inside have Flax's convolutions instead of those of `gen.networks.layers`."""
    ours = {name: getattr(layers, name) for name in ("Conv", "ConvTranspose")}
    uses = [(module, name) for path, module in list(sys.modules.items()) if path.startswith("gen.networks")
            for name, layer in ours.items() if vars(module).get(name) is layer]
    try:
        for module, name in uses:
            setattr(module, name, getattr(nn, name))
        yield
    finally:
        for module, name in uses:
            setattr(module, name, ours[name])


def matmul_peak(precision: str = "float32", repeats: int = 10) -> float:
    """FLOP/s of a product of two square matrices as this precision computes it: the median of some."""
    policy, side = PRECISIONS[precision], MATMUL.get(jax.default_backend(), LARGE_MATMUL)
    a = jax.random.normal(jax.random.key(0), (side, side), policy.activations)
    with jax.default_matmul_precision(policy.products):
        product = jax.jit(jnp.matmul).lower(a, a).compile()

    def seconds() -> float:
        start = time.perf_counter()
        product(a, a).block_until_ready()
        return time.perf_counter() - start

    seconds()
    return 2 * side**3 / statistics.median(seconds() for _ in range(repeats))


class Trainer:
    """A workload ready to be timed; its state goes on from one block to the next."""

    def __init__(self, workload: Workload, setting: Setting = OWN, overrides: Overrides = MappingProxyType({})):
        batch = {"train.batch_size": setting.batch_size} if setting.batch_size else {}
        self.config = complete(ConfigDict(workload.config), {**batch, "precision": setting.precision, **overrides})
        self.mesh = jax.make_mesh((1, setting.devices), ("replica", "data"), devices=jax.devices()[:setting.devices],
                                  axis_types=(jax.sharding.AxisType.Auto,) * 2)
        self.spec, self.program = workload.spec, program.make(self.config, workload.spec, self.mesh)
        self.pack = replicas.pack(self.program, self.mesh, setting.seeds)
        data = synthetic(workload.spec, workload.examples)
        self.data = self.pack.place(data)
        self.state = self.pack.join([self.program.init(seed, self.data) for seed in range(setting.seeds)])
        self.seeds, self.images = setting.seeds, step_images(self.program, self.config) * setting.seeds

    def compiled(self) -> Row:
        """Compiles and says what that took, and what the compiled functions will.

        `compile_s`: tracing, lowering and compiling of `train`. `memory_mb`: of that function's state, data and
        temporaries. `flops_per_step`: of one step of all runs, which the count for a loop of steps does not give.
        """
        start = time.perf_counter()
        train = self.pack.train.lower(self.state, self.data, self.config.train.log_every).compile()
        seconds, memory = time.perf_counter() - start, train.memory_analysis()
        size = (memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
                - memory.alias_size_in_bytes)
        return {"compile_s": round(seconds, 2), "memory_mb": round(size / 1e6, 1),
                "flops_per_step": self.seeds * step_flops(self.program, self.config, self.spec, self.data)}

    def dispatches(self, n: int) -> float:
        """Trains for n dispatches. Returns the seconds that a step took."""
        steps, start = self.config.train.log_every, time.perf_counter()
        for _ in range(n):
            self.state, metrics = self.pack.train(self.state, self.data, steps)
        jax.block_until_ready((self.state, metrics))
        return (time.perf_counter() - start) / (n * steps)

    def block(self, seconds: float) -> Callable[[], float]:
        """Warms up. Returns the function that trains for about that long and returns the seconds a step took."""
        self.dispatches(1)
        n = max(1, round(seconds / (self.dispatches(1) * self.config.train.log_every)))
        self.steps = n * self.config.train.log_every
        return lambda: self.dispatches(n)

    def logged(self) -> float:
        """Trains a run of as many steps as a block, with all that a run writes. Returns its last log's images/s."""
        config = complete(self.config, {"train.steps": self.steps + 2 * self.config.train.log_every})
        dataset = Dataset(self.spec, jax.device_get(self.data), synthetic(self.spec, config.train.batch_size))
        with TemporaryDirectory() as folder:
            recorder = Recorder(config, Path(folder), dataset)
            try:
                loop.go_on([config], [recorder], dataset, stop=lambda: False)
            finally:
                recorder.close()
            return read_metrics(folder)[-1]["images_per_s"]

    def streams(self) -> bool:
        """Whether the workload's data set can be streamed here: it is prepared."""
        name = self.config.data.name
        return name in SHAPES and is_prepared(name, data_dir())

    def input_rate(self, seconds: float, dataset: Dataset | None = None) -> float:
        """Images/s that reach the device from the prepared data set, or this one, when nothing is trained on them.

        They are read, shuffled and put there as those of a streamed run are (`gen.training.feed`).
        """
        def wait(state: TrainState, block: Block, steps: int) -> tuple[TrainState, Row]:
            jax.block_until_ready(block.batches)
            return state, {}

        config = complete(self.config, {"data.loading": "streaming"})
        idle = self.pack._replace(train=wait, diagnose=lambda state, block: {})
        with feeds.feed(idle, dataset or load(config.data), config, self.mesh, self.images, 0) as advance:
            advance(self.state, config.train.log_every)
            windows, start = 0, time.perf_counter()
            while not windows or time.perf_counter() - start < seconds:
                advance(self.state, config.train.log_every)
                windows += 1
            return self.images * windows * config.train.log_every / (time.perf_counter() - start)
