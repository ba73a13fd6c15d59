"""The folders that stand beside the package in a checkout and inside it once it is installed."""

import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Returns the folder "experiments" or "scripts": the installation's own copy, else the checkout's."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def as_called_here(text: str) -> str:
    """The text with commands as one calls them here: once installed, `python scripts/train.py` is `gen train`."""
    if not folder("scripts").is_relative_to(PACKAGE):
        return text
    return re.sub(r"python scripts/(\w+)\.py", lambda found: f"gen {found[1].replace('_', '-')}", text)
