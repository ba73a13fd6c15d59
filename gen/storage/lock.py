"""One process at a time writes to a workdir."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gen.errors import UserError

NAME = ".lock"

LONGEST = 3_500
"""Bytes of a workdir's path, which leaves room for the files below it: a path has 4,096 at most."""


@contextmanager
def exclusive(workdir: Path | str) -> Iterator[None]:
    """Holds `workdir` for this process; the kernel releases it when the process ends, however it ends.

    An advisory `flock` on `workdir/.lock`, which says who holds it. The file stays behind: only the lock counts.

    Raises:
      UserError: another process holds the workdir, or it cannot be written.
    """
    path = Path(workdir) / NAME
    if len(os.fsencode(path.absolute())) > LONGEST:
        raise UserError(f"The path of the workdir is longer than {LONGEST:,} bytes: choose a shorter one.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(f"Cannot write to {workdir}: {error.strerror}; choose another workdir.") from error
    try:
        _acquire(file, workdir)
        yield
    finally:
        os.close(file)


@contextmanager
def waiting(workdir: Path, name: str) -> Iterator[None]:
    """Holds one file of a folder for this process, after waiting for others that hold it: `flock` on `.NAME.lock`.

    Raises a UserError where the folder cannot be written.
    """
    try:
        file = os.open(workdir / f".{name}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise UserError(f"{workdir / name}: cannot be written: {error.strerror}.") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _acquire(file: int, workdir: Path | str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(file, 256, 0).decode(errors="replace").strip() or "another process"
        raise UserError(f"{workdir} is in use by {holder}: wait for it, stop it, or choose another workdir.") from error
    except OSError as error:
        raise UserError(f"Cannot lock {workdir}: {error.strerror}; choose a workdir on a local disk.") from error
    os.ftruncate(file, 0)
    os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
