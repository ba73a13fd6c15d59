"""Experiment files: reading their configs, choosing among their variants, their names."""

import contextlib
import difflib
import os
import re
import sys
import traceback
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gen import resources
from gen.config.messages import one_line, quoted, show
from gen.config.trees import flatten, leaves, unflatten, without
from gen.errors import UserError, lookup, nearest


def load(spec: str) -> ConfigDict:
    """Returns `get_config(variant)` of the experiment `spec` = "path.py" or "path.py:variant"; still to be resolved."""
    path, variant = split_spec(spec)
    config = _call(path, "get_config", "get_config(variant) that returns a ConfigDict", variant)
    if not isinstance(config, ConfigDict):
        raise UserError(f"{path}: get_config returned {type(config).__name__}, not a ConfigDict.")
    return config


def load_sweep(spec: str, name: str = "") -> list[dict[str, Any]]:
    """Returns `get_sweep(name)` of the experiment `spec`: the overrides {dotted key: value} of each run of a sweep.

    An experiment without sweeps, and a sweep that it does not have, are UserErrors.
    """
    path, _ = split_spec(spec)
    runs = _call(path, "get_sweep", "get_sweep(name), so that it has no sweep", name)
    if not isinstance(runs, list) or not runs or not all(isinstance(run, dict) for run in runs):
        raise UserError(f"{path}: get_sweep({name!r}) returned {show(runs)}, not a list of overrides, one dict a run.")
    return runs


def _call(path: Path, function: str, described: str, argument: str) -> Any:
    """Returns `function(argument)`, without the argument where it is "", of the experiment's file."""
    called = getattr(module(path), function, None)
    if not callable(called):
        raise UserError(f"{path}: has no function {described}.")
    try:
        with _beside(_located(path)):
            return called(argument) if argument else called()
    except (UserError, ValueError) as e:
        raise UserError(f"{path}: {one_line(e)}") from e
    except Exception as e:
        raise _failure(path, e) from e


def split_spec(spec: str) -> tuple[Path, str]:
    """Returns path and variant of "experiments/vae/digits.py:smoke"; without a colon the variant is ""."""
    match = re.fullmatch(r"(.+?\.py)(?::(.*))?", spec)
    if not match or not spec.isprintable():
        raise UserError(f"--config={quoted(spec)}: expected experiments/<family>/<name>.py[:variant].")
    return Path(match[1]), match[2] or ""


def module(path: Path) -> types.ModuleType:
    """Runs the file as a module of its own, which may import the files beside it; a UserError where that fails."""
    path = _located(path)
    experiment = types.ModuleType(f"experiment {path.absolute()}")
    experiment.__file__ = str(path)
    sys.modules[experiment.__name__] = experiment  # where dataclasses look their annotations up
    try:
        with _beside(path):
            exec(compile(path.read_bytes(), str(path), "exec"), experiment.__dict__)
    except OSError as e:
        raise UserError(f"{path}: cannot be read: {e.strerror}.{_similar_file(path, e)}") from e
    except SyntaxError as e:
        raise UserError(f"{path}:{e.lineno or 1}: not valid Python: {one_line(e.msg)}.") from e
    except Exception as e:
        raise _failure(path, e) from e
    return experiment


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[None]:
    """Inside, files beside the experiment's can be imported by their names; each experiment has its own of them."""
    folder, there = os.path.abspath(path.parent), set(sys.modules)
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.pop(len(sys.path) - 1 - sys.path[::-1].index(folder))
        for name in set(sys.modules) - there:
            file = getattr(sys.modules[name], "__file__", None)
            if file and os.path.dirname(os.path.abspath(file)) == folder:
                del sys.modules[name]


def _located(path: Path) -> Path:
    """Returns the file or, where there is none, the one of this name that an installation brings along."""
    if path.is_absolute() or os.path.exists(path):  # False, too, where no file can have this name
        return path
    inside = resources.folder("experiments").joinpath(*path.parts[path.parts[0] == "experiments":])
    return inside if os.path.isfile(inside) else path


def _similar_file(path: Path, error: OSError) -> str:
    if not isinstance(error, FileNotFoundError):
        return ""
    folder = next(p for p in path.parents if p.is_dir())
    known = {p.stem: p for p in (*folder.glob("*.py"), *folder.glob("*/*.py"))}
    close = difflib.get_close_matches(path.stem, known, n=1)
    return f" Did you mean {str(known[close[0]])!r}?" if close else ""


def _failure(path: Path, error: Exception) -> UserError:
    """Returns the error that says at which line of the file at `path` the exception arose."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    where = f"{path}:{lines[-1]}" if lines else path
    return UserError(f"{where}: {type(error).__name__}: {one_line(error)}")


def variant(name: str, variants: Mapping[str, Any]) -> ConfigDict:
    """Returns the variant `name` of an experiment: `variants[""]`, a ConfigDict, with the overrides of `name` applied.

    Example: `return variant(name, {"": full, "smoke": {"train.steps": 20, "encoder.width": 8}})`. Another `.name`
    starts that part afresh: its former options are dropped. A dict as value replaces a whole section. An unknown
    variant or section is a UserError; the other keys are checked by `resolve`.
    """
    overrides = lookup({k: v for k, v in variants.items() if k}, name, "variant") if name else {}
    flat = flatten(variants[""])
    for key in sorted(overrides, key=lambda key: not key.endswith(".name")):
        section = key.split(".")[0]
        if section not in variants[""]:
            raise UserError(f"Variant {name!r} sets {key!r}: no such section.{nearest(section, variants[''])}")
        if key.endswith(".name") and flat.get(key) != overrides[key]:
            flat = without(flat, key.removesuffix(".name"))
        flat = without(flat, key) | leaves({key: overrides[key]})
    return unflatten(flat)


def experiment_name(spec: str) -> str:
    """Returns "vae/digits" for "experiments/vae/digits.py:smoke": folder and file, wherever the file is."""
    path = split_spec(spec)[0].absolute()
    return f"{path.parent.name}/{path.stem}"
