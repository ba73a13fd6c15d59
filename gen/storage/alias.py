"""Other names for folders whose own the checkpoint library misreads.

It looks for files with patterns in which the folder's path stands unescaped, so that brackets, stars and backslashes of
the path match other files or none, and it writes paths as text, which bytes that are not UTF-8 are not.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gen.errors import UserError

PLAIN = re.compile(r"[A-Za-z0-9_./+=,@-]{1,3000}")
"""Paths that mean themselves everywhere, and leave room for the names of files below them."""

LINK = "checkpoints"


@contextmanager
def plain_path(folder: Path) -> Iterator[Path]:
    """A path of plain characters that leads to the folder: its own, or a link to it while the context lasts.

    Raises:
      UserError: no link can be made where temporary files are.
    """
    folder = folder.absolute()
    if PLAIN.fullmatch(str(folder)):
        yield folder
        return
    place = _place(folder)
    try:
        yield place / LINK
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _place(folder: Path) -> Path:
    """A new folder for temporary files with a link to `folder`."""
    try:
        place = Path(tempfile.mkdtemp(prefix="gen-")).absolute()
        os.symlink(folder, place / LINK)
    except OSError as error:
        raise UserError(f"{folder} needs a link where temporary files are, which cannot be made: {error.strerror}; "
                        "choose a --workdir of letters and digits.") from error
    if not PLAIN.fullmatch(str(place)):
        raise UserError(f"TMPDIR={place.parent}: choose one of letters and digits, or such a --workdir.")
    return place
