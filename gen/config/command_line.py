"""The command line: the overrides that it gives, and the name of the run that they make."""

import ast
import contextlib
import hashlib
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gen.config.messages import full_key, quoted
from gen.config.values import Overrides
from gen.errors import UserError


def parse_argv(argv: Sequence[str]) -> tuple[str | None, dict[str, str], list[str]]:
    """Splits a command line into the experiment (None: not given), the overrides {dotted key: text} and the rest.

    Takes `--config=F`, `--config F`, `--config.a.b=v` and `--config.a.b v`. The last of equal flags counts. Booleans
    are written true and false. Whatever follows `--` belongs to the rest.
    """
    given, rest, argv = {}, [], list(argv)
    while argv and argv[0] != "--":
        argument = argv.pop(0)
        flag, equals, value = argument.partition("=")
        if flag.startswith("--noconfig."):
            raise UserError(f"{quoted(flag)}: write --{full_key(flag.removeprefix('--noconfig.'))}=false.")
        if flag != "--config" and not flag.startswith("--config."):
            rest.append(argument)
            continue
        if flag == "--config." or not equals and (not argv or argv[0].startswith("--")):
            raise UserError(f"{quoted(flag)}: write --config=FILE.py or --config.KEY=VALUE.")
        given[flag.removeprefix("--config").removeprefix(".")] = value if equals else argv.pop(0)
    return given.pop("", None), given, rest + argv


def run_folder(parent: Path, variant: str, overrides: Overrides) -> Path:
    """Returns the folder of a run below `parent`: that of its name, or of the name that it had before equal values had
    one name, where only that folder is there."""
    named, as_typed = (parent / run_name(variant, overrides, text) for text in (_text, _typed))
    return as_typed if as_typed.is_dir() and not named.is_dir() else named


def run_name(variant: str, overrides: Overrides, text: Callable[[Any], str] | None = None) -> str:
    """Returns the name of a run's folder: the variant ("default" where "") and all overrides but those of `mesh`.

    "smoke-seed=1-train.steps=100": sorted, so that the same command means the same folder. Where that would be
    longer than 80, hold other characters than letters, digits and ._,=+- or be ambiguous, a hash of everything ends it.
    """
    overrides = {key: value for key, value in overrides.items() if not key.startswith("mesh.")}
    parts = [variant or "default", *(f"{key}={(text or _text)(value)}" for key, value in sorted(overrides.items()))]
    name = "-".join(parts)
    safe = re.sub(r"[^A-Za-z0-9._,=+-]", "_", name).lstrip(".-")
    if safe == name and len(name) <= 80 and name.count("=") == len(overrides):
        return name
    return f"{safe[:70]}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:8]}".lstrip("-")


def _typed(value: Any) -> str:
    """Returns the text of an override as it was typed; (500, 200) and "(500,200)" are both "500,200"."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    text = str(value)
    return re.sub(r"[()\s]", "", text) if re.fullmatch(r"\([\d\s.,e+-]*\)", text) else text


def _text(value: Any) -> str:
    """Returns the text of an override, the same for equal values: "1e-3" and .001, "(500,)" and 500, "True" and true.

    Whole numbers have no point, and a tuple of one is its item: how such a value is read is the key's.
    """
    if isinstance(value, str):
        with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            literal = ast.literal_eval(value.strip())
            return value if isinstance(literal, str) else _text(literal)
        return value.lower() if value.lower() in ("true", "false", "none") else value
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(map(_text, value))
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)
