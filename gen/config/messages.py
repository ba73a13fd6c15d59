"""The words of error messages: whatever they quote, they stay one printable line."""

import traceback
from collections.abc import Collection
from pathlib import Path
from typing import Any

from gen.errors import UserError, nearest


def one_line(message: object) -> str:
    """Returns the message with every run of white space as one space."""
    return " ".join(str(message).split())


def show(value: Any, most: int = 60) -> str:
    """Returns `repr(value)`, with the middle left out where it is longer than `most` characters."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most - 20]}...{text[-15:]}"


def quoted(text: str, most: int = 60) -> str:
    """Returns `show(text)` without the quotation marks: escaped and shortened."""
    return show(text, most)[1:-1]


def failure(error: Exception) -> str:
    """Returns where in the project an exception arose and what it is: "parts.py:12: TypeError: ..."."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}: " if frames else ""
    return f"{where}{type(error).__name__}: {quoted(one_line(error), 200)}"


def full_key(key: str) -> str:
    """Returns the dotted key as it is written on the command line, without the dashes."""
    return quoted(f"config.{key}")


def unknown_key(key: str, known: Collection[str]) -> UserError:
    """Returns the error that says where `key` leaves the known dotted keys, with the nearest one."""
    prefix = ""
    for name in key.split("."):
        names = {k.removeprefix(prefix).split(".")[0] for k in known if k.startswith(prefix)}
        if not names:
            return UserError(f"{full_key(key)}: no such key; {full_key(prefix[:-1])} is a single value.")
        if name not in names:
            return UserError(f"{full_key(prefix + name)}: no such key.{nearest(name, names)}")
        prefix += f"{name}."
    return UserError(f"{full_key(key)}: is a section; set one of its keys, as in --{full_key(key)}.key=value.")
