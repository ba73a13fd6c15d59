"""From workloads and settings to rows of figures, and to their table."""

import functools
import json
import statistics
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import jax

from gen.benchmark import peers, trainer, workloads
from gen.benchmark.trainer import Row, Trainer, plain_convolutions, rounded
from gen.benchmark.workloads import Setting
from gen.errors import UserError, lookup
from gen.machine import machine
from gen.signals import Stop

Rows = list[tuple[Row, list[Row]]]
"""Each of ours with those of its peers."""


def device() -> str:
    """The kind of device that is timed."""
    return jax.devices()[0].device_kind


def measure(name: str, variant: str, peak: float, seconds: float = 3.0, repeats: int = 5,
            commands: Sequence[str] = (), log: bool = False, setting: Setting | None = None) -> list[Row]:
    """Times a workload: the median of `repeats` blocks of about `seconds` each.

    Args:
      name: a key of `WORKLOADS`.
      variant: what to call ours in the row.
      peak: FLOP/s of the machine in the setting's precision, from `matmul_peak`.
      commands: of the peer's program; each runs one block after every block of ours, so that a machine whose
        speed drifts treats both alike. A ratio is the median over these pairs. Peers have the workload's own setting
        alone.
      log: train a run after every block too, for `log_images_per_s`, which its own log reports, and `log_ratio`.
      setting: by default the workload's own.

    Returns:
      Our row, and one for each peer that has the workload. Where the data set is prepared and a single run trains,
      `input_images_per_s` is the rate at which it can be read meanwhile.
    """
    workload, setting = workloads.WORKLOADS[name], setting or workloads.own(name)
    ready = Trainer(workload, setting)
    row = ready.compiled()
    block = ready.block(seconds)
    times, theirs, logged = [], [], []
    for _ in range(repeats):
        times.append(block())
        logged += [ready.logged()] if log and setting.seeds == 1 else []
        theirs.append([peers.block(command, name, seconds) for command in commands
                       if workload.in_peer and setting == workloads.own(name)])
    step = statistics.median(times)
    ours = {"workload": name, "variant": variant, "device": device(), **setting._asdict(),
            "ms_per_step": rounded(1e3 * step), "images_per_s": rounded(ready.images / step), "peak_flops": peak,
            "matmul_share": rounded(row["flops_per_step"] / step / peak)}
    if logged:
        ratio = statistics.median(rate * t / ready.images for rate, t in zip(logged, times, strict=True))
        row |= {"log_images_per_s": rounded(statistics.median(logged)), "log_ratio": round(ratio, 2)}
    if setting.seeds == 1 and ready.streams():
        row |= {"input_images_per_s": rounded(ready.input_rate(seconds))}
    return [ours | row, *(peers.median_row(blocks, times) for blocks in zip(*theirs, strict=True))]


def markdown(rows: Rows) -> str:
    """The table of our rows, each with the peer's rows of the same workload; the fastest of these is the peer."""
    peaks = {ours["precision"]: ours["peak_flops"] for ours, _ in rows}
    shown = ", ".join(f"{peak / 1e9:,.0f} GFLOP/s in {precision}" for precision, peak in peaks.items())
    theirs = [peer["peak_flops"] for _, others in rows for peer in others if "peak_flops" in peer]
    shown += f"; the peer's {statistics.median(theirs) / 1e9:,.0f} in float32" if theirs else ""
    lines = [
        f"{machine()}; matmul peak {shown}.", "",
        "| workload | batch | precision | runs | images/s | ms/step | input images/s | peer images/s | ratio "
        "| GFLOP/step | matmul peak | compile s | memory MB |",
        "|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for ours, others in rows:
        peer = min(others, key=lambda row: row["ratio"], default=None)
        compared = f"{peer['images_per_s']:,.0f} ({peer['variant']}) | {peer['ratio']:.2f}" if peer else "- | -"
        read = f"{ours['input_images_per_s']:,.0f}" if "input_images_per_s" in ours else "-"
        lines.append(
            f"| {ours['workload']} | {ours['batch_size']} | {ours['precision']} | {ours['seeds']} | "
            f"{ours['images_per_s']:,.0f} | {ours['ms_per_step']:.3g} | {read} | {compared} | "
            f"{ours['flops_per_step'] / 1e9:.3g} | {ours['matmul_share']:.0%} | {ours['compile_s']:.1f} | "
            f"{ours['memory_mb']:.0f} |")
    return "\n".join(lines)


class Kept:
    """Measurements in a file, a line of JSON each: our row and those of its peers. Without a path none are kept.

    Raises:
      UserError: the file cannot be read or written.
    """

    def __init__(self, path: str):
        self.path, self.found = Path(path), []
        if path and self.path.exists():
            try:
                self.found = [json.loads(line) for line in self.path.read_text().splitlines()]
            except (OSError, ValueError) as error:
                raise UserError(f"--out={path}: cannot be read as measurements: {error}") from error
        self.kept = bool(path)

    def find(self, **what) -> list[Row]:
        """The newest measurement whose row has these values; empty where there is none."""
        return next((rows for rows in reversed(self.found) if rows[0].items() >= what.items()), [])

    def add(self, rows: list[Row]) -> None:
        """Keeps a measurement."""
        if not self.kept:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a") as file:
                file.write(json.dumps(rows) + "\n")
        except OSError as error:
            raise UserError(f"--out={self.path}: cannot be written: {error.strerror}.") from error


def run(names: Sequence[str], *, settings: str = "cpu", plain: bool = False, seconds: float = 3.0, repeats: int = 5,
        peer: str = "", commands: Sequence[str] = (), log: bool = False, out: str = "", stop: Stop = lambda: False,
        show: Callable[[str], None] = print) -> tuple[Rows, bool]:
    """Measures the workloads in the settings of that name and shows a JSON line of each as it comes.

    Args:
      out: a file that keeps the measurements; what it holds of this kind of device is not measured again.
      stop: asked before each measurement.

    Returns:
      Our rows with those of the peers, and whether it stopped before all were there.
    """
    for name in names:
        lookup(workloads.WORKLOADS, name, "workload")
    lookup(workloads.SETTINGS, settings, "settings")
    recorded, kept, rows = peers.read(peer) if peer else [], Kept(out), []
    variant, peak = "plain_convolutions" if plain else "gen", functools.cache(trainer.matmul_peak)
    plan = [(name, setting) for name in names for setting in workloads.settings(workloads.WORKLOADS[name], settings)]
    with plain_convolutions() if plain else nullcontext():
        for name, setting in plan:
            found = kept.find(workload=name, variant=variant, device=device(), **setting._asdict())
            if not found:
                if stop():
                    return rows, True
                found = measure(name, variant, peak(setting.precision), seconds, repeats, commands, log, setting)
                kept.add(found)
            ours, *theirs = found
            rows.append((ours, theirs + (peers.compare(ours, recorded) if setting == workloads.own(name) else [])))
            for row in (ours, *rows[-1][1]):
                show(json.dumps(row))
    return rows, False
