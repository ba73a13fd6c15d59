"""Compiled programs on the disk: the second start of a training takes its programs from there.

JAX keys an entry by the program, the versions of JAX and XLA, their flags and the kind of device. A program for a CPU
is made for the instruction set of its processor, which is not in the key: so each set has a folder of its own. JAX
ignores an entry that is damaged, and says so.
"""

import os
from contextlib import suppress
from pathlib import Path

import jax

from gen.errors import UserError
from gen.files import user_path
from gen.machine import instructions

LIMIT = 2 * 2**30
"""Bytes that the folder may have at the start of a program."""

SHORTEST = 0.2
"""Seconds: what compiles in less is not kept."""

NOT_KEPT = "none"


def keep(folder: str = "") -> None:
    """Keeps compiled programs in `folder`, ~/.cache/gen/programs by default, and takes them from there; "none": no.

    The programs that were used longest ago go when they are more than `LIMIT` bytes. What the user has told JAX of its
    cache stays, unless a folder is given.

    Raises:
      UserError: the folder that is given cannot be made. Without the one of the default, programs are not kept.
    """
    if folder == NOT_KEPT or not folder and jax.config.jax_compilation_cache_dir:
        return
    try:
        place = user_path(folder or "~/.cache/gen/programs")
        (place / instructions()).mkdir(parents=True, exist_ok=True)
        trim(place)
    except (OSError, UserError) as e:
        if folder:
            raise UserError(f"--compilation_cache={folder}: cannot be made: {getattr(e, 'strerror', e)}.") from e
        return
    jax.config.update("jax_compilation_cache_dir", str(place / instructions()))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", SHORTEST)


def trim(place: Path, limit: int = LIMIT) -> None:
    """Deletes the entries that were used longest ago until the others have at most `limit` bytes."""
    entries = []
    for path in place.glob("*/*-cache"):
        with suppress(FileNotFoundError):  # another process trims too
            found = path.stat()
            entries.append((max(found.st_atime, found.st_mtime), found.st_size, path))
    size = sum(size for _, size, _ in entries)
    for _, bytes_, path in sorted(entries):
        if size <= limit:
            return
        path.unlink(missing_ok=True)
        size -= bytes_
