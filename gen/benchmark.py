"""Training throughput on fixed workloads: against the matmul peak of the machine, and against a peer.

What is timed is `Program.train`, the function that the training loop calls: many steps in one dispatch, each with its
gather, decoding, noise and update. The data are synthetic arrays in memory, of the sizes of the real sets.
"""

import json
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from gen.data import Dataset, Spec
from gen.errors import UserError, lookup
from gen.machine import machine
from gen.networks import layers
from gen.run_folder import read_metrics
from gen.schema import complete
from gen.training import loop, program
from gen.training.cost import step_flops, step_images
from gen.training.recorder import Recorder

Row = dict[str, Any]

MATMUL = 2048
"""Side of the square float32 matrices whose product gives the peak."""


class Workload(NamedTuple):
    """What is trained.

    Attributes:
      config: an experiment's config, still without the defaults.
      spec: of the synthetic examples.
      examples: how many there are.
      in_peer: the peer's program has this workload too.
    """

    config: dict[str, Any]
    spec: Spec
    examples: int
    in_peer: bool = False


def _train(batch_size: int, log_every: int) -> dict[str, int]:
    """The section `train` of a run that does nothing but train, `log_every` steps a dispatch."""
    return {"steps": 100 * log_every, "batch_size": batch_size, "log_every": log_every, "evaluate_every": 0,
            "sample_every": 0, "checkpoint_every": 0}


def _burda(objective: str, samples: int, log_every: int) -> dict[str, Any]:
    """One stochastic layer of 50 and two deterministic ones of 200 (Burda et al. 2016, section 5 and appendix C)."""
    return {
        "family": "vae",
        "data": {"name": "mnist", "range": "unit", "binarize": "dynamic"},
        "latents": 50,
        "samples": samples,
        "encoder": {"name": "mlp", "hidden": (200, 200), "activation": "tanh"},
        "decoder": {"name": "mlp", "hidden": (200, 200), "activation": "tanh"},
        "likelihood": {"name": "bernoulli"},
        "objective": {"name": objective},
        "optimizer": {"name": "adam", "learning_rate": 1e-3, "eps": 1e-4},
        "train": _train(100, log_every),
    }


def _gan(data: dict, latents: int, generator: dict, discriminator: dict, loss: str, adam: dict, train: dict) -> dict:
    """Both players with the same optimizer, one step each in turn."""
    return {
        "family": "gan", "data": data, "latents": latents, "generator": generator, "discriminator": discriminator,
        "loss": {"name": loss}, "generator_optimizer": {"name": "adam"} | adam,
        "discriminator_optimizer": {"name": "adam"} | adam, "train": train,
    }


_CONV_VAE = {
    "family": "vae",
    "data": {"name": "mnist", "range": "unit", "binarize": "dynamic"},
    "latents": 50,
    "encoder": {"name": "dcgan"},
    "decoder": {"name": "dcgan"},
    "likelihood": {"name": "bernoulli"},
    "objective": {"name": "elbo"},
    "optimizer": {"name": "adam", "learning_rate": 1e-3},
    "train": _train(64, 10),
}

# PacGAN's 2-D networks (Lin et al. 2018, appendix).
_RING = _gan({"name": "ring"}, 2, {"name": "mlp", "hidden": (400,) * 4, "batch_norm": True}, {"name": "maxout"},
             "non_saturating", {"learning_rate": 1e-4, "b1": 0.8, "b2": 0.999}, _train(100, 100))
_CIFAR = {"name": "cifar10", "range": "symmetric"}
_DCGAN = _gan(_CIFAR, 100, {"name": "dcgan"}, {"name": "dcgan"}, "non_saturating",
              {"learning_rate": 2e-4, "b1": 0.5, "b2": 0.999}, _train(64, 50))
# Miyato et al. 2018, appendix B.4, at half their width and with one critic step.
_RESNET = _gan(_CIFAR, 128, {"name": "resnet", "width": 128}, {"name": "resnet", "width": 64, "spectral_norm": True},
               "hinge", {"learning_rate": 2e-4, "b1": 0.0, "b2": 0.9}, _train(64, 2))

_DIGITS, _POINTS, _IMAGES = Spec((28, 28, 1), 0, "unit"), Spec((2,), 0, "real"), Spec((32, 32, 3), 0, "symmetric")

WORKLOADS = {
    "vae_mlp": Workload(_burda("elbo", 1, 200), _DIGITS, 60_000, in_peer=True),
    "iwae_mlp": Workload(_burda("iwae", 5, 100), _DIGITS, 60_000, in_peer=True),
    "gan_ring": Workload(_RING, _POINTS, 100_000, in_peer=True),
    "dcgan_32": Workload(_DCGAN, _IMAGES, 10_000, in_peer=True),
    "conv_vae": Workload(_CONV_VAE, _DIGITS, 60_000),
    "resnet_gan": Workload(_RESNET, _IMAGES, 10_000),
}


def synthetic(spec: Spec, n: int) -> dict[str, np.ndarray]:
    """n examples as a data set stores them: uniform pixels, or standard normal points."""
    rng, shape = np.random.default_rng(0), (n, *spec.shape)
    return {"x": rng.integers(0, 256, shape, np.uint8) if len(shape) == 4 else rng.standard_normal(shape, np.float32)}


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


def matmul_peak(repeats: int = 10) -> float:
    """FLOP/s of a product of two float32 matrices of side `MATMUL`: the median of some."""
    a = jnp.ones((MATMUL, MATMUL))
    product = jax.jit(jnp.matmul).lower(a, a).compile()

    def seconds() -> float:
        start = time.perf_counter()
        product(a, a).block_until_ready()
        return time.perf_counter() - start

    seconds()
    return 2 * MATMUL**3 / statistics.median(seconds() for _ in range(repeats))


class Trainer:
    """A workload ready to be timed; its state goes on from one block to the next."""

    def __init__(self, workload: Workload):
        self.config, self.spec = complete(ConfigDict(workload.config), {}), workload.spec
        self.program = program.make(self.config, self.spec)
        self.data = program.on_device(synthetic(workload.spec, workload.examples))
        self.state = self.program.init(self.config.seed, self.data)
        self.images = step_images(self.program, self.config)

    def compiled(self) -> Row:
        """Compiles and says what that took, and what the compiled functions will.

        `compile_s`: tracing, lowering and compiling of `train`. `memory_mb`: of that function's state, data and
        temporaries. `flops_per_step`: of one step, which the count for a loop of steps does not give.
        """
        start = time.perf_counter()
        train = self.program.train.lower(self.state, self.data, self.config.train.log_every).compile()
        seconds, memory = time.perf_counter() - start, train.memory_analysis()
        size = (memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
                - memory.alias_size_in_bytes)
        return {"compile_s": round(seconds, 2), "memory_mb": round(size / 1e6, 1),
                "flops_per_step": step_flops(self.program, self.config, self.spec, self.data)}

    def dispatches(self, n: int) -> float:
        """Trains for n dispatches. Returns the seconds that a step took."""
        steps, start = self.config.train.log_every, time.perf_counter()
        for _ in range(n):
            self.state, metrics = self.program.train(self.state, self.data, steps)
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


def measure(name: str, variant: str, peak: float, seconds: float = 3.0, repeats: int = 5,
            peers: Sequence[str] = (), log: bool = False) -> list[Row]:
    """Times a workload: the median of `repeats` blocks of about `seconds` each.

    Args:
      name: a key of `WORKLOADS`.
      variant: what to call ours in the row.
      peak: FLOP/s of the machine, from `matmul_peak`.
      peers: commands of the peer's program; each runs one block after every block of ours, so that a machine whose
        speed drifts treats both alike. A ratio is the median over these pairs.
      log: train a run after every block too, for `log_images_per_s`, which its own log reports, and `log_ratio`.

    Returns:
      Our row, and one for each peer that has the workload.
    """
    workload = WORKLOADS[name]
    trainer = Trainer(workload)
    row = trainer.compiled()
    block = trainer.block(seconds)
    times, theirs, logged = [], [], []
    for _ in range(repeats):
        times.append(block())
        logged += [trainer.logged()] if log else []
        theirs.append([_peer_block(command, name, seconds) for command in peers if workload.in_peer])
    rows = [_peer_row(blocks, times) for blocks in zip(*theirs, strict=True)]
    step = statistics.median(times)
    ours = {"workload": name, "variant": variant, "ms_per_step": round(1e3 * step, 3),
            "images_per_s": round(trainer.images / step, 1),
            "matmul_share": round(row["flops_per_step"] / step / peak, 3)}
    if log:
        ratio = statistics.median(rate * t / trainer.images for rate, t in zip(logged, times, strict=True))
        row |= {"log_images_per_s": round(statistics.median(logged), 1), "log_ratio": round(ratio, 2)}
    return [ours | row, *rows]


def _peer_block(command: str, name: str, seconds: float) -> Row:
    """The row that the peer's program prints for one block."""
    argv = [*shlex.split(command), "--workload", name, "--repeats", "1", "--seconds", str(seconds)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True)
        return json.loads(done.stdout.splitlines()[-1])
    except OSError as e:
        raise UserError(f"--peer_command={command}: cannot be run: {e.strerror}.") from e
    except (ValueError, IndexError) as e:
        message = (done.stderr.splitlines() or ["it printed no row"])[-1]
        raise UserError(f"--peer_command={command}: {message}") from e


def _peer_row(blocks: Sequence[Row], times: Sequence[float]) -> Row:
    """The median of a peer's blocks; `ratio`: of our images/s to its, the median over pairs with our blocks."""
    ms = statistics.median(block["ms_per_step"] for block in blocks)
    ratio = statistics.median(block["ms_per_step"] / (1e3 * t) for block, t in zip(blocks, times, strict=True))
    images = blocks[0]["ms_per_step"] * blocks[0]["images_per_s"]
    return blocks[0] | {"ms_per_step": round(ms, 3), "images_per_s": round(images / ms, 1), "ratio": round(ratio, 2)}


def read_peer(path: Path | str) -> list[Row]:
    """Rows that the peer's program printed into a file."""
    try:
        return [json.loads(line) for line in Path(path).read_text().splitlines() if line.strip()]
    except (OSError, ValueError) as e:
        raise UserError(f"--peer={path}: cannot be read as JSON lines: {e}") from e


def compare(ours: Row, peers: Sequence[Row]) -> list[Row]:
    """The peer's rows of our row's workload, with `ratio`: our images/s to its."""
    return [peer | {"ratio": round(ours["images_per_s"] / peer["images_per_s"], 2)}
            for peer in peers if peer["workload"] == ours["workload"]]


def markdown(rows: Sequence[tuple[Row, Sequence[Row]]], peak: float) -> str:
    """The table of our rows, each with the peer's rows of the same workload; the fastest of these is the peer."""
    lines = [
        f"{machine()}; float32 matmul peak {peak / 1e9:.0f} GFLOP/s.", "",
        "| workload | images/s | ms/step | peer images/s | ratio | GFLOP/step | matmul peak | compile s | memory MB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for ours, peers in rows:
        peer = min(peers, key=lambda row: row["ratio"], default=None)
        theirs = f"{peer['images_per_s']:,.0f} ({peer['variant']}) | {peer['ratio']:.2f}" if peer else "- | -"
        lines.append(
            f"| {ours['workload']} | {ours['images_per_s']:,.0f} | {ours['ms_per_step']:.3g} | {theirs} | "
            f"{ours['flops_per_step'] / 1e9:.3g} | {ours['matmul_share']:.0%} | {ours['compile_s']:.1f} | "
            f"{ours['memory_mb']:.0f} |")
    return "\n".join(lines)


def run(names: Sequence[str], *, plain: bool = False, seconds: float = 3.0, repeats: int = 5, peer: str = "",
        peers: Sequence[str] = (), log: bool = False, show: Callable[[str], None] = print) -> str:
    """Measures the workloads and shows a JSON line of each as it comes. Returns the table."""
    for name in names:
        lookup(WORKLOADS, name, "workload")
    recorded = read_peer(peer) if peer else []
    peak, rows = matmul_peak(), []
    with plain_convolutions() if plain else nullcontext():
        for name in names:
            ours, *theirs = measure(name, "plain_convolutions" if plain else "gen", peak, seconds, repeats, peers, log)
            rows.append((ours, theirs + compare(ours, recorded)))
            for row in (ours, *rows[-1][1]):
                show(json.dumps(row))
    return markdown(rows, peak)
