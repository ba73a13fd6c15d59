"""Small files: written whole or not at all, read within bounds, whoever wrote them.

A folder that came from elsewhere may hold anything: links out of it, pipes, pictures that are none, JSON that is nested
a thousand times. What cannot be read is an `Unreadable`, which names the file.
"""

import json
import os
import secrets
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from gen.errors import UserError

MOST_JSON, MOST_PICTURE = 4 * 2**20, 32 * 2**20
"""Bytes of a JSON file and of a picture."""

DEEPEST = 32
"""Lists and objects within each other."""

WIDEST = 19
"""Digits of an integer; longer ones are read as floats."""

PNG = b"\x89PNG\r\n\x1a\n"


class Unreadable(UserError):
    """A file that is not what it should be; the message names it."""


class Missing(Unreadable):
    """A file that is not there."""


def user_path(text: str | os.PathLike) -> Path:
    """The path that a user has written: "~" is the home directory; a UserError where there is none."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UserError(f"{text}: there is no home directory; set HOME, or write the path in full.") from error


def write_atomically(path: Path, content: str | bytes, sync: bool = True) -> None:
    """Replaces the file at once: a reader, or a machine that fails, finds the old content or the new, never a part.

    Without `sync`, which takes milliseconds, a machine that fails may leave it empty. Of several that write it at once,
    one is the last. Text is UTF-8; the bytes of a file's name that is not are written as backslashes.

    Raises a UserError where the file cannot be written.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    partial = path.with_name(f".{path.name[:180]}.{secrets.token_hex(8)}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        if sync:
            _sync_folder(path.parent)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}.") from error


def check_writable(path: Path) -> None:
    """Raises a UserError where no file of this name can be written: to ask before a long computation."""
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        if path.is_dir():
            raise UserError(f"{path}: this is a folder; name a file.")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}.") from error


def _sync_folder(folder: Path) -> None:
    """Puts the names in a folder on the disk, as far as its file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems have no such thing for folders
        pass
    finally:
        os.close(descriptor)


def open_within(path: Path, root: Path) -> BinaryIO:
    """Opens a regular file that lies below `root`, links followed.

    Raises:
      Missing: there is no such file.
      Unreadable: a link leads out of `root`, it is a pipe or a device, or may not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Missing(f"{path} is missing.") from error
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}.") from error
    file = os.fdopen(descriptor, "rb")
    try:
        place_within(path, root)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unreadable(f"{path} is no regular file.")
    except Unreadable:
        file.close()
        raise
    return file


def place_within(path: Path, root: Path) -> Path:
    """`path`, where a file may be written; an Unreadable where a link leads out of `root`, the folder of a stranger."""
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise Unreadable(f"{path} is a link out of {root}.")
    return path


def read_within(path: Path, root: Path, most: int) -> bytes:
    """The content of a file below `root`, of at most so many bytes; raises as `open_within`."""
    try:
        with open_within(path, root) as file:
            data = file.read(most + 1)
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) > most:
        raise Unreadable(f"{path} has more than {most:,} bytes.")
    return data


def read_json(path: Path, root: Path) -> Any:
    """The value of a JSON file below `root`.

    Integers too wide for 64 bits are floats, halves of surrogate pairs are question marks.

    Raises:
      Missing: there is no such file.
      Unreadable: a file as in `open_within`, no JSON, or one nested deeper than `DEEPEST`.
    """
    data = read_within(path, root, MOST_JSON)
    try:
        return parse_json(data)
    except json.JSONDecodeError as error:
        raise Unreadable(f"{path} is no valid JSON (line {error.lineno}: {error.msg}).") from error
    except ValueError as error:
        raise Unreadable(f"{path} is no valid JSON ({error}).") from error


def parse_json(data: bytes) -> Any:
    """The value of a JSON text, as `read_json`; a ValueError says what is wrong with it."""
    try:
        value = _DECODER.decode(data.decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"line {data[:error.start].count(10) + 1}: it is not UTF-8") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return _bounded(value, DEEPEST, b"\\ud" in data or b"\\uD" in data)


def _integer(text: str) -> int | float:
    return int(text) if len(text.lstrip("-")) <= WIDEST else float(text)


_DECODER = json.JSONDecoder(parse_int=_integer)


def _bounded(value: Any, depth: int, surrogates: bool) -> Any:
    """The value, if it is nested at most `depth` times; without lone surrogates where there may be some."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode() if surrogates else value
    if isinstance(value, list | dict) and depth == 0:
        raise ValueError("it is nested too deeply")
    if isinstance(value, list):
        return [_bounded(item, depth - 1, surrogates) for item in value]
    if isinstance(value, dict):
        return {_bounded(k, 1, surrogates): _bounded(v, depth - 1, surrogates) for k, v in value.items()}
    return value


def read_png(path: Path, root: Path) -> bytes:
    """A picture below `root` as it is in its file; raises as `open_within`, and where it does not begin as a PNG."""
    data = read_within(path, root, MOST_PICTURE)
    if not data.startswith(PNG):
        raise Unreadable(f"{path} is no PNG.")
    return data


def check_png(path: Path, root: Path) -> None:
    """Raises as `read_png`, without reading more than the file's first bytes."""
    with open_within(path, root) as file:
        begins, size = file.read(len(PNG)), os.fstat(file.fileno()).st_size
    if begins != PNG:
        raise Unreadable(f"{path} is no PNG.")
    if size > MOST_PICTURE:
        raise Unreadable(f"{path} has more than {MOST_PICTURE:,} bytes.")


def mapping(value: Any, path: Path) -> Mapping[str, Any]:
    """The value, if it is a JSON object; an Unreadable that names the file otherwise."""
    if not isinstance(value, dict):
        raise Unreadable(f"{path} holds no JSON object.")
    return value
