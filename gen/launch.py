"""What the scripts share: flags to config, mistakes to one line, results to exit codes."""

import json
import logging as python_logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
from absl import app, flags, logging
from ml_collections import ConfigDict

from gen import compilation_cache, manual, terminal
from gen import config as configs
from gen.errors import UserError
from gen.networks import onednn
from gen.resources import as_called_here
from gen.schema import complete
from gen.storage import exchange, hub, record, shipped


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
            return main(*again(begun(), overrides))
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


def again(place: str, overrides: configs.Overrides) -> tuple[ConfigDict, Path, ConfigDict | None]:
    """Config, folder and default of the run that has begun in a folder, with overrides of what may change.

    Raises a UserError where there is none, and for an exported model, which has no state of its optimizers.
    """
    workdir = Path(place)
    comes_along = place in shipped.names() and not workdir.exists()
    if hub.is_address(place) or comes_along or exchange.exported(workdir):
        raise UserError(f"{place} is an exported model, which cannot train on: name a run's folder, or an experiment, "
                        "--config=experiments/vae/digits.py.")
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
