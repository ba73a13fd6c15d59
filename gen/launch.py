"""What the scripts share: flags to config, signals to exit codes, mistakes to one line."""

import json
import logging as python_logging
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import jax
from absl import app, flags, logging
from jax.sharding import Mesh
from ml_collections import ConfigDict

from gen import compilation_cache, evaluation, exporting, manual, runs, sweeps, tables, terminal
from gen import config as configs
from gen.data import Dataset, load
from gen.distributed import processes
from gen.errors import UserError, lookup
from gen.evaluation import classifiers, pictures
from gen.families import TrainState, cautions
from gen.figures import overview, sample_picture, scene
from gen.figures.against import against_picture
from gen.figures.curves import curve_picture
from gen.figures.grids import load_png, save_png, side_by_side
from gen.figures.records import group_by_config, read_run, read_runs, tell
from gen.figures.report import write_report
from gen.files import place_within
from gen.launchers import LAUNCHERS, Options
from gen.measurement import writing
from gen.networks import onednn
from gen.resources import as_called_here
from gen.schema import SECTIONS, complete
from gen.signals import STOPPED, end_with, stopping
from gen.storage import checkpoints, exchange, hub, record
from gen.tables import queue
from gen.tables import reproduce as reproduction
from gen.training import loop, program, recorder, selection, sharding
from gen.training.cost import device_memory, step_flops, step_images
from gen.training.writers import jsonable

POINTS = 2_500
"""Examples of the data that a picture of points shows."""


def with_overrides(main: Callable[[configs.Overrides], int]) -> None:
    """Runs `main(overrides)` as a program that takes `--config.KEY=VALUE` beside its own flags."""
    spec, overrides, argv = _guarded(lambda: configs.parse_argv(terminal.arguments()))

    def run() -> int:
        if spec:
            raise UserError("--config: the run has its config; --config.evaluators.NAME=true adds an evaluator.")
        return main(overrides)

    command(run, argv)


def experiment(main: Callable[..., int], asked: Callable[[], str | None] = lambda: None,
               begun: Callable[[], str | None] = lambda: None) -> None:
    """Runs `main(config, workdir, default)` as a program that takes `--config=FILE[:VARIANT]` and `--config.KEY=VALUE`.

    `workdir` is where the run is unless the user says otherwise, `default` the config without the overrides. Without a
    FILE the config is that of the run in the folder `begun()`. Where `asked()` names a key, what a config may say there
    is printed instead (`gen.manual`).
    """
    def run(spec: str, overrides: configs.Overrides) -> int:
        if asked():
            print(manual.text(asked()), end="")
            return 0
        if not spec and begun():
            return main(*again(Path(begun()), overrides))
        parent = Path("runs") / configs.experiment_name(_named(spec))
        workdir = configs.run_folder(parent, configs.split_spec(spec)[1], overrides)
        experiment, there = configs.load(spec), record.has_begun(Path(begun() or workdir))
        return main(complete(experiment, overrides, there), workdir, complete(experiment, {}, there))

    spec, overrides, argv = _guarded(lambda: configs.parse_argv(terminal.arguments()))
    command(lambda: run(spec or "", overrides), argv)


def experiment_file(main: Callable[[str, configs.Overrides], int]) -> None:
    """Runs `main(spec, overrides)` as a program that takes `--config=FILE[:VARIANT]` and `--config.KEY=VALUE`."""
    spec, overrides, argv = _guarded(lambda: configs.parse_argv(terminal.arguments()))
    command(lambda: main(_named(spec), overrides), argv)


def _named(spec: str | None) -> str:
    if not spec:
        raise UserError("Name an experiment: --config=experiments/vae/digits.py")
    return spec


def again(workdir: Path, overrides: configs.Overrides) -> tuple[ConfigDict, Path, ConfigDict | None]:
    """Config, folder and default of the run that has begun in `workdir`, with overrides of what may change."""
    description = record.read(workdir)
    default = description.get("default")
    return (complete(record.config_of(workdir, description), overrides, begun=True), workdir,
            configs.from_json(json.dumps(default)) if default else None)


def command(main: Callable[[], int], argv: Sequence[str] | None = None, words: bool = False) -> None:
    """Runs `main()` as a program and exits with its code; a UserError is one line on stderr and code 1.

    Words that belong to no flag are an error, unless the program takes such `words`.

    Compiled programs are kept (`gen.compilation_cache`), in the folder of `--compilation_cache` if it has that flag.
    Convolutions are those of GEN_CONVOLUTIONS (`gen.networks.onednn`).
    Files that GEN_PARTS names, apart by colons, add parts of the user's own to the tables.
    """
    def run(rest: Sequence[str]) -> int:
        if rest and not words:
            raise UserError(f"{rest[0]!r} belongs to no flag: flags begin with --, as in --workdir=runs/digits.")
        own_parts(os.environ.get("GEN_PARTS", ""))
        onednn.choose(os.environ.get("GEN_CONVOLUTIONS", ""))
        compilation_cache.keep("compilation_cache" in flags.FLAGS and flags.FLAGS.compilation_cache or "")
        return main()

    logging.set_verbosity(logging.INFO)
    python_logging.getLogger("jax").setLevel(python_logging.WARNING)  # it tells of devices that are not there
    terminal.print_everything()
    app.run(lambda left: sys.exit(_guarded(lambda: run(left[1:]))), argv=list(argv or _guarded(terminal.arguments)))


def own_parts(paths: str) -> None:
    """Runs Python files, apart by `os.pathsep`, that add parts to tables: `gen.ADVERSARIAL["mine"] = mine`."""
    for path in filter(None, paths.split(os.pathsep)):
        configs.module(Path(path))


def _guarded(function: Callable):
    try:
        return function()
    except UserError as e:
        sys.exit(f"error: {terminal.printable(as_called_here(str(e)))}")
    except (MemoryError, jax.errors.JaxRuntimeError) as e:
        if not isinstance(e, MemoryError) and "RESOURCE_EXHAUSTED" not in str(e):
            raise
        sys.exit("error: There is not enough memory; less is taken by a smaller batch or model, by "
                 "--config.train.microbatches=2, and by --config.data.loading=streaming where the data set has it.")


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


def _samples(run: runs.Run, n: int, seed: int, label: str | None, interpolate: int, truncation: float | None):
    """The picture of samples, or of paths between samples."""
    if interpolate:
        samples = run.interpolate(n, interpolate, seed, label, truncation)
    else:
        samples = run.sample(n, seed, label, truncation)
    if len(run.spec.shape) == 3:
        return sample_picture(samples, run.spec, **({"rows": n} if interpolate else {}))
    data = load(run.config.data).test["x"][:POINTS]
    return sample_picture(samples, run.spec, **scene(run.config, run.program.family.methods, run.state, data))


def _is_png(out: str) -> None:
    if Path(out).suffix.lower() != ".png":
        raise UserError(f"--out={out}: the picture is a PNG; let its name end in .png.")


def sample(workdir: str, step: str | None, n: int, seed: int, out: str, label: str | None = None,
           interpolate: int = 0, kind: str = "samples", truncation: float | None = None) -> int:
    """Writes a picture of n samples of the run, or n paths of `interpolate` examples; of one label where it is given.

    Points are drawn over the data, with its density and the discriminator's field where they are known. Another `kind`
    than "samples" is one of `evaluation.pictures`. Where `out` is an npz file or a folder, it gets the samples one by
    one, as bytes.
    """
    if kind != "samples" and (interpolate or label is not None or truncation is not None):
        raise UserError(f"--kind={kind} is a picture of its own: leave --interpolate, --label and --truncation out.")
    if kind != "samples" or interpolate:
        _is_png(out)
    run = runs.load(workdir, checkpoint_step(step))
    if kind == "samples" and not interpolate and writing.is_export(out):
        writing.write(run, n, seed, label, out, truncation)
        print(out)
        return 0
    if kind == "samples":
        picture = _samples(run, n, seed, label, interpolate, truncation)
    else:
        subject = recorder.evaluation_subject(run.program, run.state, load(run.config.data), run.config)
        picture = lookup(pictures.draw(subject).pictures, kind, f"picture of a {run.config.family}")
    try:
        save_png(picture, out)
    except (OSError, ValueError) as e:
        raise UserError(f"--out={out}: cannot be written: {e}.") from e
    print(out)
    return 0


def export(workdir: str, step: str | None, out: str, licence: str, push: str | None, samples: int,
           decoded: int = 0) -> int:
    """Writes the run as a folder to share, and puts it on the Hub where `push` names a place there."""
    if push:
        hub.parse(hub.SCHEME + push)
    folder = exporting.export(runs.load(workdir, checkpoint_step(step)), Path(out), licence, samples, decoded)
    print(hub.upload(folder, push) if push else folder)
    return 0


def plot(folders: Sequence[str], metrics: Sequence[str] | None, out: str, log: bool, together: bool, against: str = ""
         ) -> int:
    """Writes a picture of the metrics of runs over steps, or against a key; runs that differ in the seed are one line.

    A folder of folders of runs, as a sweep has, stands for all of them.
    """
    _is_png(out)
    found = read_runs([each for folder in folders for each in _runs_in(Path(folder))])
    tell(found)
    if against:
        print(save_png(against_picture(found, against, metrics), out))
        return 0
    groups = group_by_config(found)
    rows = {label: [run.metrics for run in seeds] for label, seeds in groups.items()}
    print(save_png(curve_picture(rows, metrics, log=log, together=together), out))
    return 0


def _runs_in(folder: Path) -> list[Path]:
    if (folder / "config.json").exists():
        return [folder]
    if not (within := sorted(path.parent for path in folder.glob("*/config.json"))):
        raise UserError(f"--runs={folder} holds no run (there is no config.json in it, nor in the folders in it): name "
                        "the folder of a run, or of several.")
    return within


def evaluate(workdir: str, step: str | None, overrides: configs.Overrides) -> int:
    """Evaluates the run, keeps the results in `evaluations.json` and prints them as the last line.

    `overrides` of the section `evaluators` add evaluators to those of the run's config, remove or change them, and
    those of `record.PLACE` say where its data are now. Results of other evaluators at the same step are kept. Where the
    folder cannot be written, and for an exported model, one that comes along or of the Hub, they are printed alone.
    """
    if others := [key for key in overrides if not key.startswith("evaluators.") and key not in record.PLACE]:
        raise UserError(f"--config.{others[0]}: a trained run takes overrides of --config.evaluators alone, "
                        "and --config.data.path.")
    run = runs.load(workdir, checkpoint_step(step))
    config = complete(run.config, overrides, begun=True)
    dataset = load(config.data)
    evaluation.check(config, dataset)
    evaluation.check_model(config, run.program.family.methods, dataset)
    results = {k: jsonable(v) for k, v in recorder.evaluate(run.program, run.state, dataset, config).items()}
    subject = recorder.evaluation_subject(run.program, run.state, dataset, config)
    kept = record.has_begun(Path(workdir)) and not exchange.exported(Path(workdir))
    with _or_warning():
        if kept:
            record.keep_evaluation(Path(workdir), {"step": run.step} | results)
    for name, options in config.evaluators.items():
        if kept and name in evaluation.PICTURES:
            shown = {k: v for k, v in options.items() if k not in ("samples", "every")}
            picture = evaluation.PICTURES[name](subject, **shown)
            with _or_warning():
                path = Path(workdir) / "evaluations" / f"{name}.png"
                print(save_png(picture, place_within(path, Path(workdir))))
    print(json.dumps({"step": run.step} | results))
    return 0


@contextmanager
def _or_warning() -> Iterator[None]:
    """What cannot be written inside is said, and no more."""
    try:
        yield
    except (OSError, UserError) as error:
        logging.warning("This is not kept: %s", error)


def checkpoint_step(text: str | None) -> int | str | None:
    """The step of a flag: a number, "best", or None for the newest. Raises a UserError for anything else."""
    if text is None or text == "best":
        return text
    if not text.isdecimal():
        raise UserError(f"--step={text}: expected a number or 'best'.")
    return int(text)


def reproduce(name: str, protocol: str, seeds: int | None, folder: Path, out: Path, report_only: bool,
              minutes: float | None = None, most: int = reproduction.TOGETHER, file: Path | None = None) -> int:
    """Trains what is missing of a table (of `file`), writes its files into `out` and prints it; returns the exit code.

    Where it stops before, nothing is written: there may be no time for it.
    """
    entry = reproduction.find(name, protocol, file)
    ended = sweeps.Ended({}, False)
    if not report_only:
        ended = reproduction.train(entry, protocol, seeds, folder, stopping(minutes), most)
    if ended.stopped:
        print("Stopped before the end; the same command again goes on. --report_only writes the table as it is.")
        return sweeps.exit_code(ended)
    result = tables.results(entry, protocol, seeds, folder)
    paths = reproduction.write(result, out)
    print(tables.markdown(result))
    print("Written:", *paths)
    return sweeps.exit_code(ended)


def work_through(name: str, folder: Path, minutes: float | None) -> int:
    """Works through a queue (`gen.tables.queue`) until its end, a signal, or before this process is `minutes` old."""
    return queue.run(name, folder, stopping(minutes))


def train_classifier(name: str, overrides: configs.Overrides, out: str | None, steps: int, seed: int, overwrite: bool,
                     network: str = "lenet") -> int:
    """Trains the classifier of the images of a data set, of the options `data.KEY`; returns the exit code."""
    config = configs.resolve({"data": {"name": name}}, overrides, {"data": SECTIONS["data"]})
    return classifiers.train_and_save(config.data, out, steps, seed, overwrite, network)


def list_queue(name: str, folder: Path) -> int:
    """Prints the items of a queue and which of them are done."""
    print(*queue.listing(name, folder), sep="\n")
    return 0


def list_tables(folder: Path, file: Path | None = None) -> int:
    """Prints all tables (of `file`) and how many of their runs below `folder` are finished."""
    print(reproduction.listing(folder, file))
    return 0


def compare(folders: Sequence[str]) -> int:
    """Prints in what runs differ: config and metrics."""
    print(tables.compare(folders))
    return 0
