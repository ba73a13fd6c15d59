"""How the cost of a step grows: one size at a time, beside the work that it is.

Of every size there are the time of a step, XLA's count of its operations and the memory of its program. Where the time
grows faster than the operations, something other than the work costs time: `surprises` names these places.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import UInt8

from gen.benchmark.measuring import Kept, device
from gen.benchmark.trainer import Row, Trainer, rounded
from gen.benchmark.workloads import WORKLOADS, Setting, Workload, synthetic
from gen.data import Dataset, Spec
from gen.data.streaming import Column, Rows
from gen.errors import UserError, lookup
from gen.signals import Stop

FASTER = 1.3
"""From one size to the next, time that grows by this much more than the work is a surprise."""

REPEATS = 3
FEW = 1_000
"""Examples in memory where they do not matter."""



class Size(NamedTuple):
    """What is timed at one value of an axis; `overrides` are of the workload's config."""

    workload: Workload
    setting: Setting = Setting()
    overrides: Mapping[str, Any] = {}


class Axis(NamedTuple):
    """What grows.

    Attributes:
      workload: a key of `WORKLOADS`.
      label: of its values, in the plural.
      values: from the smallest to the largest.
      size: value -> what is timed.
      steps: of a dispatch at the smallest value.
      grows: whether the work does; then larger values have fewer steps a dispatch, at least one.
      devices: how many this process must have.
      streamed: whether it is the reading of examples that is timed, and no step.
    """

    workload: str
    label: str
    values: Sequence[int]
    size: Callable[[Workload, int], Size]
    steps: int = 100
    grows: bool = True
    devices: int = 1
    streamed: bool = False


class Generated(NamedTuple):
    """`Records` of n images that nobody has stored: the bytes that follow an image's number."""

    n: int
    shape: tuple[int, ...]
    workers: int = 1

    @property
    def fields(self) -> dict[str, tuple[tuple[int, ...], Any]]:
        return {"x": (self.shape, np.uint8)}

    def __len__(self) -> int:
        return self.n

    def read(self, indices: Rows) -> dict[str, np.ndarray]:
        pixels = np.arange(np.prod(self.shape)).reshape(self.shape)
        return {"x": (np.asarray(indices).reshape(-1, *[1] * len(self.shape)) + pixels).astype(np.uint8)}


def batch(workload: Workload, n: int) -> Size:
    """n images of a batch."""
    return Size(workload, Setting(n))


def side(workload: Workload, n: int) -> Size:
    """n pixels a side, in batches of 16; the networks have as many more layers as they need."""
    return Size(workload._replace(spec=workload.spec._replace(shape=(n, n, workload.spec.shape[-1])), examples=FEW),
                Setting(16))


def width(workload: Workload, n: int) -> Size:
    """n channels of the widest maps' layer in both players."""
    return Size(workload, overrides={"generator.width": n, "discriminator.width": n})


def samples(workload: Workload, n: int) -> Size:
    """k = n samples of the bound."""
    return Size(workload, overrides={"samples": n})


def replicas(workload: Workload, n: int) -> Size:
    """n runs in one program."""
    return Size(workload, Setting(seeds=n))


def devices(workload: Workload, n: int) -> Size:
    """The same batch over n devices."""
    return Size(workload, Setting(devices=n))


def examples(workload: Workload, n: int) -> Size:
    """n examples to draw batches from."""
    return Size(workload._replace(examples=n))


AXES = {
    "batch": Axis("dcgan_32", "images of a batch, DCGAN", (32, 64, 128, 256, 512, 1024), batch, 8),
    "batch_mlp": Axis("vae_mlp", "images of a batch, VAE", (32, 64, 128, 256, 512, 1024), batch),
    "side": Axis("dcgan_32", "pixels a side, DCGAN", (16, 32, 64, 128), side, 8),
    "width": Axis("dcgan_32", "width of the DCGAN", (16, 32, 64, 128), width, 8),
    "samples": Axis("iwae_mlp", "samples k of IWAE", (1, 5, 20, 50, 100), samples),
    "replicas": Axis("vae_mlp", "runs in one program, VAE", (1, 2, 4, 8, 16), replicas),
    "devices": Axis("dcgan_32", "devices of a batch, DCGAN", (1, 2, 4, 8), devices, 2, False, 8),
    "examples": Axis("vae_mlp", "examples in memory, VAE", (1_000, 10_000, 100_000, 1_000_000), examples,
                     grows=False),
    "streamed": Axis("vae_mlp", "examples of a stream, read", (10_000, 100_000, 1_000_000, 10_000_000), examples,
                     grows=False, streamed=True),
}


def measure(name: str, value: int, seconds: float = 0.5) -> Row:
    """The row of one size: "axis", "value", the step's time, operations, rate and memory.

    Of a stream the time is that until a batch is on the device, and the operations are 1.
    """
    axis = AXES[name]
    workload, setting, overrides = axis.size(WORKLOADS[axis.workload], value)
    steps = max(1, axis.steps * axis.values[0] // value) if axis.grows else axis.steps
    ready = Trainer(workload._replace(examples=FEW) if axis.streamed else workload, setting,
                    {**overrides, "train.log_every": steps, "train.steps": 1_000_000 * steps})
    row = {"axis": name, "value": value, "workload": axis.workload, "device": device()}
    if axis.streamed:
        rate = ready.input_rate(seconds, generated(workload.spec, workload.examples))
        return row | {"ms_per_step": 1e3 * ready.images / rate, "images_per_s": rate, "flops_per_step": 1.0,
                      "memory_mb": 0.0}
    compiled, block = ready.compiled(), ready.block(seconds)
    step = statistics.median(block() for _ in range(REPEATS))
    return row | compiled | {"ms_per_step": rounded(1e3 * step), "images_per_s": rounded(ready.images / step)}


def generated(spec: Spec, n: int) -> Dataset:
    """A data set of n training images to stream."""
    return Dataset(spec, {"x": Column(Generated(n, spec.shape), "x")}, synthetic(spec, 1))


def run(names: Sequence[str], seconds: float = 0.5, out: str = "", stop: Stop = lambda: False) -> Iterator[Row]:
    """Measures the axes, value by value; those of several devices in a process of their own that has them.

    Args:
      out: a file that keeps the rows; what it holds of this kind of device is not measured again.
      stop: asked before each measurement.

    Raises:
      UserError: no such axis; devices that are not there.
    """
    for name in names:
        lookup(AXES, name, "axis")
    kept = Kept(out)
    for name in names:
        for value in AXES[name].values:
            found = kept.find(axis=name, value=value, device=device())
            if not found:
                if stop():
                    return
                found = [measure(name, value, seconds) if jax.device_count() >= AXES[name].devices
                         else elsewhere(name, value, seconds)]
                kept.add(found)
            yield found[0]


def elsewhere(name: str, value: int, seconds: float) -> Row:
    """`measure` in a process whose CPU stands in for as many devices as the axis needs."""
    if jax.default_backend() != "cpu":
        raise UserError(f"--scaling={name} needs {AXES[name].devices} devices, and there are {jax.device_count()}.")
    script = ("import json, sys; from gen.benchmark import scaling; from gen.benchmark.measuring import Kept; "
              "Kept(sys.argv[1]).add([scaling.measure(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))])")
    with TemporaryDirectory() as folder:
        file = str(Path(folder) / "row.jsonl")
        path = os.pathsep.join(filter(None, sys.path))
        done = subprocess.run(
            [sys.executable, "-c", script, file, name, str(value), str(seconds)], capture_output=True, text=True,
            env=os.environ | {"JAX_NUM_CPU_DEVICES": str(AXES[name].devices), "PYTHONPATH": path})
        found = Kept(file).find(axis=name, value=value)
    if not found:
        raise UserError(f"--scaling={name}: {(done.stderr.splitlines() or ['no row came'])[-1]}")
    return found[0]


def surprises(rows: Sequence[Row]) -> list[str]:
    """Where the time grows by more than `FASTER` times the work from one value of an axis to the next; a line each."""
    found = []
    for before, after in zip(rows, rows[1:], strict=False):
        time, work = (after[key] / before[key] for key in ("ms_per_step", "flops_per_step"))
        if before["axis"] == after["axis"] and time > FASTER * max(work, 1.0):
            found.append(f"{AXES[after['axis']].label}: from {before['value']:,} to {after['value']:,} the time grows "
                         f"{time:.2f} times, the work {work:.2f} times.")
    return found


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown, and the surprises after them."""
    lines = ["| of | | images/s | ms/step | GFLOP/s | memory, MB |", "|---|---:|---:|---:|---:|---:|"]
    for row in rows:
        rate = row["flops_per_step"] / row["ms_per_step"] / 1e6
        counted = ("-", "-") if AXES[row["axis"]].streamed else (f"{rate:.0f}", f"{row['memory_mb']:,.0f}")
        lines.append(f"| {AXES[row['axis']].label} | {row['value']:,} | {row['images_per_s']:,.0f} | "
                     f"{row['ms_per_step']:.3g} | {counted[0]} | {counted[1]} |")
    return "\n".join([*lines, "", *(surprises(rows) or ["Nowhere does the time grow faster than the work."])])


def figure(rows: Sequence[Row], size: int = 300) -> UInt8[np.ndarray, "h w 3"]:
    """A panel of each axis: ms of a step, dashed what it would be in proportion to the work, and memory in grey."""
    from matplotlib.figure import Figure

    from gen.figures.curves import COLOURS
    from gen.figures.points import render

    names = list(dict.fromkeys(row["axis"] for row in rows))
    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    drawing = Figure(figsize=(columns * size / 100, lines * size / 120), dpi=100, facecolor="white",
                     layout="constrained")
    panels = drawing.subplots(lines, columns, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        own = [row for row in rows if row["axis"] == name]
        value, ms, work, memory = (np.array([row[key] for row in own], float) for key in (
            "value", "ms_per_step", "flops_per_step", "memory_mb"))
        axes.loglog(value, ms, "o-", color=COLOURS[0], markersize=4, label="ms per step")
        axes.loglog(value, work * (ms / work).min(), "--", color=COLOURS[1], linewidth=1,
                    label="in proportion to FLOPs")
        if memory.any():
            axes.loglog(value, memory, ":", color="#6b7280", linewidth=1.2, label="memory, MB")
        low, high = axes.get_ylim()
        if (spread := (10 * low / high) ** 0.5) > 1:  # at least a decade, lest small differences look large
            axes.set_ylim(low / spread, high * spread)
        axes.set_xticks(value, [_short(v) for v in value])
        axes.set_title(AXES[name].label, fontsize=9, loc="left", color="#1f2933")
        axes.tick_params(which="both", labelsize=7, length=2, color="#9aa3ad", labelcolor="#4b5563")
        axes.minorticks_off()
        axes.grid(color="#e6e9ed", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("#c3cad2")
    for axes in panels[len(names):]:
        axes.set_axis_off()
    drawing.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=3, fontsize=8, frameon=False)
    return render(drawing)


def _short(value: float) -> str:
    """1024 -> "1,024", 10000 -> "10k", 1000000 -> "1M"."""
    return f"{value:,.0f}" if value < 1e4 else f"{value / 1e3:,.0f}k" if value < 1e6 else f"{value / 1e6:,.0f}M"
