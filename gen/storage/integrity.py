"""Whether a checkpoint is still what was written, and whether it is of the model at hand."""

import errno
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gen.errors import UserError
from gen.files import Missing, Unreadable, read_json, write_atomically

NAME = "digests.json"
SHOWN = 3


class Damaged(Exception):
    """A folder that is not what was written; the message says what is wrong with it."""


def write_digests(folder: Path, items: Sequence[str]) -> None:
    """Writes the SHA-256 of every file below the subfolders `items` to `folder/digests.json`."""
    files = (path for item in items for path in sorted((folder / item).rglob("*")) if path.is_file())
    (folder / NAME).write_text(json.dumps({path.relative_to(folder).as_posix(): _digest(path) for path in files}))


def verify(folder: Path, prefix: str = "") -> None:
    """Checks every file whose path in `folder` starts with `prefix`; files without a digest are not looked at.

    Raises:
      Damaged: a file is missing, changed or unreadable.
      UserError: a file may not be read.
    """
    try:
        for path, digest in json.loads((folder / NAME).read_bytes()).items():
            if path.startswith(prefix) and _digest(_within(folder, path)) != digest:
                raise Damaged(f"{path} is not what was written")
    except PermissionError as error:
        raise UserError(f"Cannot read {error.filename}: {error.strerror}; change its permissions.") from error
    except FileNotFoundError as error:
        raise Damaged(f"{Path(error.filename).relative_to(folder)} is missing") from error
    except OSError as error:
        raise Damaged(f"a file cannot be read: {error.strerror}") from error
    except (ValueError, AttributeError) as error:
        raise Damaged(f"{NAME} is not what was written") from error


def _within(folder: Path, path: str) -> Path:
    """The file of `folder` at this path; Damaged where that leads out of it, by dots or by a link."""
    file = folder / path
    if not file.resolve().is_relative_to(folder.resolve()):
        raise Damaged(f"{NAME} names a file outside the checkpoint")
    return file


def write_sealed(path: Path, value: Any) -> None:
    """Writes plain data as JSON with their digest, at once."""
    write_atomically(path, json.dumps({"value": value, "sha256": _seal(value)}))


def read_sealed(path: Path) -> Any:
    """The value that `write_sealed` wrote; None where there is no file.

    Raises:
      Damaged: it is not what was written.
    """
    try:
        found = read_json(path, path.parent)
    except Missing:
        return None
    except Unreadable as error:
        raise Damaged(str(error)) from error
    if not isinstance(found, dict) or found.get("sha256") != _seal(found.get("value")):
        raise Damaged(f"{path.name} is not what was written")
    return found["value"]


def is_intact(folder: Path) -> bool:
    """Says whether `verify` finds nothing."""
    try:
        verify(folder)
    except Damaged:
        return False
    return True


def is_disk_full(error: BaseException | None) -> bool:
    """Says whether `error`, or one that it comes from, is a lack of space or quota; TensorStore says it in words."""
    if error is None:
        return False
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return True
    texts = "No space left on device", "Disk quota exceeded"
    return any(text in str(error) for text in texts) or is_disk_full(error.__cause__ or error.__context__)


def leaf_types(leaves: Mapping[str, Any]) -> dict[str, str]:
    """Returns dtype and shape by path, e.g. "float32[784,400]"."""
    return {path: f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]" for path, leaf in leaves.items()}


def check_same_model(then: Mapping[str, str], now: Mapping[str, str], where: str) -> None:
    """Raises a UserError that names the first leaves in which the checkpoint and the model differ."""
    absent = "absent"
    differing = [
        f"{path} is {then.get(path, absent)} there and {now.get(path, absent)} here"
        for path in dict.fromkeys([*now, *then])
        if now.get(path) != then.get(path)
    ]
    if differing:
        more = f" and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
        raise UserError(
            f"The model is not that of {where}: {'; '.join(differing[:SHOWN])}{more}. "
            "Use the config of that run, or start in a new directory."
        )


def _seal(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
