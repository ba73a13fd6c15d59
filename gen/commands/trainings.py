"""Commands that train: one run, the demo, a sweep and its packs; and the dry run."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
from absl import logging
from jax.sharding import Mesh

from gen import config as configs
from gen import evaluation, runs, sweeps
from gen.data import Dataset, load
from gen.distributed import processes
from gen.errors import UserError
from gen.families import TrainState, cautions
from gen.figures import overview
from gen.figures.grids import load_png, save_png, side_by_side
from gen.figures.records import read_run
from gen.figures.report import write_report
from gen.launchers import LAUNCHERS, Options
from gen.resources import as_called_here
from gen.schema import complete
from gen.signals import STOPPED, end_with, stopping
from gen.storage import checkpoints
from gen.training import loop, program, recorder, selection, sharding
from gen.training.cost import device_memory, step_flops, step_images


def train(config, workdir: Path | str, default=None, minutes: float | None = None, tracker: str = "") -> int:
    """Trains until the end, a signal, or before this process is `minutes` old; returns the exit code."""
    logging.info("Training in %s: %s", workdir, progress(Path(workdir), config))
    outcome = loop.train(config, workdir, stop=stopping(minutes), default=default, tracker=tracker)
    if outcome == "stopped":
        logging.warning("Stopped before the end; the state is saved. The same command again goes on from there.")
        return STOPPED
    if processes.leads():
        print(as_called_here(ending(Path(workdir))))
    return 0


def ending(workdir: Path) -> str:
    """What a finished run has reached, in what time, and what one may do next."""
    run = read_run(workdir, str(workdir))
    time = overview.duration(overview.wall_seconds(workdir))
    name, value, where = overview.reached(run)
    place, parts = shlex.quote(str(workdir)), os.environ.get("GEN_PARTS")
    python = f"GEN_PARTS={shlex.quote(parts)} python" if parts else "python"
    came = f"; {name} {value} {where}" if name else ""
    lines = [f"Finished {run.last_step:,} steps{f' in {time}' if time else ''}{came}.",
             f"Next:   {python} scripts/sample.py --workdir={place} --n=64 --out=samples.png",
             f"        {python} scripts/explore.py --workdir={place}",
             f"Report: {workdir}/report.html"]
    return "\n".join(lines)


def use_every_core() -> None:
    """Makes every core of a CPU a device, for runs that train together; call it before anything is computed."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    jax.config.update("jax_num_cpu_devices", cores)


def progress(workdir: Path, config) -> str:
    """Where the run that the config describes is, in words."""
    if recorder.done(workdir, config):
        return "trained before."
    there = max(checkpoints.steps(workdir / "checkpoints"), default=0)
    return f"goes on from step {there:,} of {config.train.steps:,}." if there else f"{config.train.steps:,} steps."


def demo(specs: Sequence[str], folder: Path) -> int:
    """Trains every experiment below `folder`; writes one report and one picture of them all; returns the exit code."""
    workdirs = [folder / configs.experiment_name(spec) for spec in specs]
    for i, (spec, workdir) in enumerate(zip(specs, workdirs, strict=True), start=1):
        config = complete(configs.load(spec), {})
        print(f"{i} of {len(specs)}, {configs.experiment_name(spec)}: {progress(workdir, config)}", flush=True)
        code = train(config, workdir)
        if code:
            return code
    last = [workdir / "samples" / f"{runs.load(workdir).step}.png" for workdir in workdirs]
    save_png(side_by_side([load_png(path) for path in last]), folder / "demo.png")
    print(f"Report: {write_report(workdirs, folder / 'report.html').resolve()}")
    return 0


class Description(NamedTuple):
    """What is known of a run before anything is compiled: its data, program, state (shapes) and FLOPs of a step."""

    dataset: Dataset
    mesh: Mesh
    program: program.Program
    state: TrainState
    flops: float


def examine(config) -> Description:
    """Loads the data and traces a step, an evaluation and samples, on shapes alone; what is wrong is a UserError.

    What the config's evaluators need beside the model is not looked at (`evaluation.check`).
    """
    dataset = load(config.data)
    configs.check_train(config, len(dataset.train["x"]))
    for line in cautions(config):
        logging.warning("%s", line)
    mesh = sharding.mesh(config)
    with program.building():
        made = program.make(config, dataset.spec, mesh)
        program.check_length(made, config)
        evaluation.check_model(config, made.family.methods, dataset)
        state = program.abstract_state(made, dataset.spec)
        selection.check(config, made, state, dataset)
        program.trace(made, state, dataset.test)
        return Description(dataset, mesh, made, state, step_flops(made, config, dataset.spec, dataset.train))


def describe(config) -> int:
    """Prints parameters of each part, FLOPs of a step, devices and the memory of each, then the resolved config.

    What an evaluator lacks, as a classifier that is not trained yet, is said after it: the run's cost does not need it.
    """
    dataset, mesh, made, state, flops = examine(config)
    for name, params in state.params.items():
        print(f"parameters of the {name}: {sum(leaf.size for leaf in jax.tree.leaves(params)):,}")
    print(f"FLOPs of a step: {flops:.4g} ({flops / step_images(made, config):.4g} per example)")
    memory = device_memory(made, mesh, config, dataset.spec, dataset.train)
    print(f"devices: {mesh.size} of {jax.device_count()} ({jax.default_backend()}); memory of each: "
          f"{memory / 2**20:,.1f} MiB (state, data and temporaries)")
    print(configs.to_json(config), end="", flush=True)
    evaluation.check(config, dataset)
    return 0


def sweep(read: sweeps.Sweep, launcher: str, options: Options) -> int:
    """Prints the runs of a sweep, their cost and the commands of what is not done, launches them, reports on them."""
    print(sweeps.describe(read.packs))
    for k in sweeps.unfinished(read.packs):
        print(f"  {shlex.join(read.command(k))}")
    sys.stdout.flush()
    code = LAUNCHERS[launcher](read, options)
    there = [run.workdir for pack in read.packs for run in pack if (run.workdir / "config.json").exists()]
    if launcher == "local" and there:
        print(f"Report: {write_report(there, there[0].parent / 'report.html')}")
    return code


def train_pack(read: sweeps.Sweep, k: int, parent: int | None, minutes: float | None = None) -> int:
    """Trains pack k of a sweep until the end or a stop (`stopping`), or the end of the process `parent`.

    Returns the exit code.
    """
    if k >= len(read.packs):
        raise UserError(f"--only={k}: the sweep has the packs 0 to {len(read.packs) - 1}.")
    stop = stopping(minutes)
    if parent:
        end_with(parent)
    return sweeps.exit_code(sweeps.train(read.packs[k], stop, read.default))
