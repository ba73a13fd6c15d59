"""The folders that stand beside the package in a checkout and inside it once it is installed."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Returns the folder "experiments" or "scripts": the installation's own copy, else the checkout's."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name
