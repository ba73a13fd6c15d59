"""XLA flags that were measured to pay, set before JAX starts its backend.

`gen` applies them when it is imported. They are read once, with the first computation of the process: a program that
computes before it imports `gen` keeps what it had. A flag that the user names in XLA_FLAGS stays the user's.
"""

import os
from collections.abc import MutableMapping

XLA_FLAGS = {
}
"""Flag -> value. Flags of one platform do nothing on the others; a flag unknown to XLA ends the process."""


def apply(environ: MutableMapping[str, str] = os.environ) -> None:
    """Appends to XLA_FLAGS those of the table that it does not name.

    An XLA_FLAGS that does not begin with "-" is the name of a file of flags; it stays as it is.
    """
    given = environ.get("XLA_FLAGS", "").split()
    if given and not given[0].startswith("-"):
        return
    named = {flag.lstrip("-").split("=")[0] for flag in given}
    added = [f"--{name}={value}" for name, value in XLA_FLAGS.items() if name not in named]
    if added:
        environ["XLA_FLAGS"] = " ".join([*given, *added])
