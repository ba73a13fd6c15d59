"""Small trained models that come with the package, by name: `gen.load("mnist_gan")`; docs/models.md says what they are.

Each is a folder that `scripts/export.py` wrote.
"""

from pathlib import Path

from gen.errors import UserError, nearest
from gen.resources import PACKAGE
from gen.storage.exchange import exported

FOLDER = PACKAGE / "models"


def names() -> list[str]:
    """Of all models that come with the package."""
    return sorted(folder.name for folder in FOLDER.iterdir() if exported(folder)) if FOLDER.is_dir() else []


def located(place: str) -> Path:
    """The folder of this path, or, where there is none and it is a single word, of the model with this name.

    Raises a UserError for a single word that is neither.
    """
    here = Path(place)
    if here.exists() or len(here.parts) != 1:
        return here
    if place in names():
        return FOLDER / place
    raise UserError(f"{place} holds no run: there is no such folder, and no model of this name comes with the package."
                    f"{nearest(place, names())}")
