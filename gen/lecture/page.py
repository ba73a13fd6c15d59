"""The page of `make lecture`: one file that opens from disk and loads nothing from anywhere."""

import base64
import json
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from gen import lecture
from gen.figures import report
from gen.figures.sections import data_uri, escape
from gen.lecture import markdown


def document(done: Sequence[str], left: Sequence[str], folder: Path) -> str:
    """The page of the lessons that `folder` has, and the names of those that are still to come."""
    modules = {name: lecture.read(name) for name in done}
    sections = {module.TITLE: section(name, folder) for name, module in modules.items()}
    coming = ", ".join(lecture.read(name).TITLE for name in left)
    header = f"<p>Still being computed: {escape(coming)}. Load the page again later.</p>" if left else ""
    return report.document("Generative models", sections, header, style=style())


def section(name: str, folder: Path) -> str:
    """A chapter as HTML, its title apart."""
    module, found = lecture.read(name), json.loads((folder / f"{name}.json").read_text())
    figure = markdown.measured(name, module.TITLE, found, lambda picture: data_uri(folder / f"{picture}.png", folder))
    made = markdown.to_html(markdown.whole(name, module, figure))
    body = re.sub(r"<(/?)h2>", r"<\1h3>", re.sub(r"^<h1>.*?</h1>", "", made))
    return (f'<div class="lesson">{body}<p class="soft">{escape(lecture.LESSONS[name])}; '
            f'{found["seconds"]:.0f} s here.</p></div>')


THEMES = """.only-dark { display: none; }
@media (prefers-color-scheme: dark) { .only-light { display: none; } .only-dark { display: block; } }
"""
"""Which of the pictures is shown; the site's theme has rules of its own."""


def style() -> str:
    """The style sheet of chapters, with the font of formulas in it."""
    assets = resources.files("gen.lecture").joinpath("assets")
    font = base64.b64encode(assets.joinpath("math.woff").read_bytes()).decode()
    return THEMES + assets.joinpath("lecture.css").read_text().replace("math.woff", f"data:font/woff;base64,{font}")
