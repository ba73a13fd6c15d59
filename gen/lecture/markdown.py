"""A chapter in Markdown, whole and in its parts, and as HTML."""

import html
import inspect
import re
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from gen import lecture
from gen.figures.sections import shown
from gen.lecture.references import cited

FIGURE = "{figure}"
"""Alone on a line: where the computation's figure, claim and numbers stand."""

CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FORMULA = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
NAME = re.compile(r"\[([^\]]+)\]\(#gen[^)]*\)")
VARIANTS = {"only-light": ("", "_narrow"), "only-dark": ("_dark", "_narrow_dark")}


def text(module: ModuleType) -> str:
    """The chapter as its file has it."""
    return inspect.cleandoc(module.__doc__)


def code(markdown: str) -> list[str]:
    """The cells that run, in their order, those of answers included."""
    return CODE.findall(markdown)


def formulas(markdown: str) -> list[str]:
    """The displayed formulas, their spaces and line ends as one space each."""
    return [" ".join(formula.split()) for formula in FORMULA.findall(markdown)]


def without_names(markdown: str) -> str:
    """Links to functions of the library, which only the site has, as plain code."""
    return NAME.sub(r"\1", markdown)


def whole(name: str, module: ModuleType, figure: str) -> str:
    """The chapter with its title, `figure` in its place, its functions, commands and references."""
    body = text(module)
    commands = "\n".join([f"python scripts/lecture.py --only={name}",
                          *(training.command() for training in getattr(module, "RUNS", {}).values())])
    listed = "\n".join(f"- [{citation}]({address})" for citation, address in cited(body))
    parts = [f"# {module.TITLE}", body.replace(FIGURE, figure), "## In the library",
             "\n".join(map(_function, module.SHOWS)), "## Commands", f"```bash\n{commands}\n```"]
    return "\n\n".join(parts + (["## References", listed] if listed else [])) + "\n"


def _function(function: Callable) -> str:
    name = f"{function.__module__}.{function.__qualname__}"
    summary = " ".join(inspect.getdoc(function).split("\n\n")[0].split())
    return f"- [`{function.__qualname__}`](#{name}): {_plain(summary)}"


def _plain(docstring: str) -> str:
    """Text with no markup of its own, but for code, in Markdown."""
    parts = re.split(r"(`[^`]*`)", docstring)
    return "".join(part if i % 2 else re.sub(r"([\\*_$|<>\[\]])", r"\\\1", part) for i, part in enumerate(parts))


def measured(name: str, title: str, found: Mapping[str, Any], source: Callable[[str], str]) -> str:
    """A lesson's pictures, claim and numbers as HTML without an empty line; `source` gives a picture's address."""
    pictured = "".join(
        f'<picture class="{theme}"><source media="(max-width: 700px)" srcset="{source(name + narrow)}">'
        f'<img src="{source(name + wide)}" alt="{html.escape(title)}: what the chapter computed"></picture>'
        for theme, (wide, narrow) in VARIANTS.items())
    verdict = "It holds." if found["holds"] else "It does not hold."
    rows = "".join(f'<tr><th scope="row">{html.escape(key)}</th><td class="number">{shown(value)}</td></tr>'
                   for key, value in found["numbers"].items())
    return (f'<figure class="measured">{pictured}<figcaption><b>Claim.</b> {html.escape(found["claim"])} '
            f'<b>{verdict}</b></figcaption></figure>\n<details class="measured"><summary>Measured</summary>'
            f'<div class="scroll"><table>{rows}</table></div></details>')


def to_html(markdown: str) -> str:
    """Markdown as HTML, with its formulas as MathML.

    Raises ValueError where a formula has an unknown command.
    """
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    from gen.lecture.mathml import mathml

    def formula(latex: str, options: Mapping[str, Any]) -> str:
        return mathml(latex, "block" if options["display_mode"] else "inline")

    parser = MarkdownIt("commonmark", {"html": True}).enable("table").use(dollarmath_plugin, renderer=formula)
    return parser.render(without_names(markdown))


def parts() -> list[str]:
    """The parts of the lecture, in their order."""
    return list(dict.fromkeys(lecture.LESSONS.values()))
