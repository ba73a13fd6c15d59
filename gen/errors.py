"""Errors that a user can cause, and how a launcher shows them."""

import difflib
from collections.abc import Iterable, Mapping

LONGEST = 300
"""Characters of what libraries say: some show the content of a damaged file."""


class UserError(Exception):
    """A mistake outside the program: its message is one line saying what is wrong, where, and what to do."""


def extra(name: str) -> str:
    """How to install what an extra of this package needs: by the clone, as `gen` in an index is another package."""
    return f"in the clone of this package, pip install -e '.[{name}]'"


def reason(error: BaseException) -> str:
    """What an exception says, in one line that is not too long; the name of its type where it says nothing."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns " Did you mean 'x'?" for the closest known name, and the list of names there are."""
    known = sorted(filter(None, known))
    if not known:
        return " There is none."
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"{hint} There are: {', '.join(known)}."


def lookup(table: Mapping, name: str, kind: str):
    """Returns `table[name]`; an unknown name is a UserError that shows the nearest match and all names."""
    if not isinstance(name, str) or name not in table:
        raise UserError(f"Unknown {kind} {name!r}.{nearest(str(name), table)}")
    return table[name]
