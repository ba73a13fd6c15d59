"""What a program takes from its command line and prints on a terminal, whatever the terminal's encoding."""

import codecs
import re
import sys

from gen.files import user_path

PLAIN = {"±": "+-", "–": "-", "−": "-", "≥": ">=", "×": "x", "·": "-"}
"""What stands for the signs of tables where a terminal has no such sign."""

HANDLER = "gen.plain"


def arguments() -> list[str]:
    """The command line, "~" after the "=" of a flag being the home directory too, which shells leave as it is.

    Raises a UserError where there is no home directory.
    """
    return [re.sub(r"(?s)^(--[\w.]+=)(~(?:/.*)?)$", lambda found: found[1] + str(user_path(found[2])), argument)
            for argument in sys.argv]


def print_everything() -> None:
    """Lets every text be printed: the bytes of a file's name as they are, other signs that are not there as `PLAIN`."""
    codecs.register_error(HANDLER, plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=HANDLER)


def plain(error: UnicodeError) -> tuple[bytes, int]:
    """What is written for signs that the encoding lacks, as `codecs.register_error` wants it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return b"".join(map(_plain, error.object[error.start:error.end])), error.end


def _plain(character: str) -> bytes:
    if "\udc80" <= character <= "\udcff":  # a byte of a name, as `os.fsdecode` has it
        return bytes([ord(character) - 0xDC00])
    return PLAIN.get(character, character).encode("ascii", "backslashreplace")


def printable(text: str) -> str:
    """The text as one line: what is not printable as an escape, so that a name cannot command the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
