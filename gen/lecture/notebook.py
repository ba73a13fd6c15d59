"""A chapter as a notebook, of Jupyter's format 4.5: text and cells, with the computation where its figure stands."""

import json
import re
from types import ModuleType
from typing import Any

from gen.lecture import markdown

INSTALL = '''from importlib.util import find_spec

# In a checkout nothing is left to do. Elsewhere, as in Colab, let SOURCE be the repository: "git+https://..."
SOURCE = "."
if find_spec("gen") is None:
    %pip install --quiet $SOURCE'''

COMPUTATION = '''from pathlib import Path
from gen import lecture
from gen.figures.grids import to_pillow
from gen.figures.panels import pixels

lesson = lecture.read("{name}").run(Path("runs/lecture/{name}"))
print(lesson.claim, "It holds." if lesson.holds else "It does not hold.")
for key, value in lesson.numbers.items():
    print(f"{{value:12.5g}}  {{key}}")
to_pillow(pixels(lesson.figure))'''

FENCE = re.compile(r"^```python\n(.*?)\n```$", re.MULTILINE | re.DOTALL)


def installed_from(text: str, repository: str) -> str:
    """A notebook's JSON whose first cell installs the library from "owner/name" on GitHub; of "", as it is."""
    here, there = (json.dumps(f'SOURCE = "{source}"')[1:-1] for source in (".", f"git+https://github.com/{repository}"))
    return text.replace(here, there, 1) if repository else text


def make(name: str, module: ModuleType) -> dict[str, Any]:
    """The notebook as JSON has it; its first cell installs the library where it is missing."""
    computation = f"```python\n{COMPUTATION.format(name=name)}\n```"
    pieces = FENCE.split(markdown.without_names(markdown.whole(name, module, computation)))
    cells = [_cell(i, piece.strip("\n"), code=bool(i % 2)) for i, piece in enumerate(pieces)]
    return {"nbformat": 4, "nbformat_minor": 5, "cells": [_cell(len(pieces), INSTALL, code=True),
                                                          *(cell for cell in cells if cell["source"])],
            "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                         "language_info": {"name": "python"}}}


def _cell(number: int, source: str, code: bool) -> dict[str, Any]:
    kind = {"cell_type": "code", "execution_count": None, "outputs": []} if code else {"cell_type": "markdown"}
    return kind | {"id": f"cell-{number}", "metadata": {}, "source": source.splitlines(keepends=True)}
