"""Docstrings as reStructuredText: they are plain text with `code` and Google's sections, with no markup to escape."""

import inspect
import re

from docutils import nodes
from sphinx import addnodes
from sphinx.domains.python import PyObject
from sphinx.ext.napoleon import Config, GoogleDocstring

CODE = re.compile(r"(`[^`]*`)")
NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*(\(\))?")
MARKUP = re.compile(r"([\\*|_])")
JOINT = re.compile(r"^( +)(\w+(?:, \w+)+)(: .*(?:\n\1 +.*)*)", re.MULTILINE)
BLOCK = re.compile(r"(?<=\n\n)((?: {4,}.*\n)+)")
SECTIONS = Config(napoleon_use_ivar=True)


def restructured(docstring: str) -> str:
    """A docstring as reStructuredText: code that names something of `gen` links to it, all else stands as it is.

    `a, b: what they are` is an entry for each name, and a block of four spaces after an empty line is code.
    """
    text = JOINT.sub(lambda entry: "\n".join(entry[1] + name + entry[3] for name in entry[2].split(", ")), docstring)
    parts = BLOCK.split(text + "\n")
    made = "".join(f"::\n\n{part}" if i % 2 else _paragraphs(part) for i, part in enumerate(parts))
    return str(GoogleDocstring(made, SECTIONS))


def _paragraphs(text: str) -> str:
    parts = CODE.split(text)
    for i in range(1, len(parts), 2):
        parts[i] = _code(parts[i]) + "\\ " * parts[i + 1][:1].isalnum()
    return "".join(part if i % 2 else MARKUP.sub(r"\\\1", part) for i, part in enumerate(parts))


def _code(quoted: str) -> str:
    text = " ".join(quoted[1:-1].split())
    return f":py:obj:`{text}`" if NAME.fullmatch(text) else f"``{text}``"


def _entry(key: str, value) -> str:
    """A key of a table, as a link to the function or class that it names."""
    name = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"
    return f":py:obj:`{key} <{name}>`" if NAME.fullmatch(name) else f"``{key}``"


def _process(app, what, name, thing, options, lines: list[str]) -> None:
    lines[:] = restructured("\n".join(lines)).split("\n")
    if what == "data" and isinstance(thing, dict) and all(map(callable, thing.values())):
        lines += [", ".join(_entry(key, value) for key, value in thing.items()), ""]


def _skip(app, what, name, thing, skip, options) -> bool | None:
    """No fields of tuples that say nothing, no functions and classes of other packages."""
    known = inspect.isfunction(thing) or isinstance(thing, type)
    foreign = known and not thing.__module__.startswith("gen")
    return True if foreign or str(thing.__doc__).startswith("Alias for field number") else None


def _without_representations(app, domain: str, kind: str, content: nodes.Element) -> None:
    """Takes away what is no Python: values with functions in them, aliases that lost the letters of their shapes."""
    if kind != "data":
        return
    for value in list(content.parent.findall(addnodes.desc_annotation)):
        if "<" in value.astext():
            value.parent.remove(value)
    for paragraph in list(content.findall(nodes.paragraph)):
        if paragraph.astext().startswith("alias of "):
            paragraph.parent.remove(paragraph)


def setup(app):
    app.connect("autodoc-process-docstring", _process)
    app.connect("autodoc-skip-member", _skip)
    app.connect("object-description-transform", _without_representations)
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    return {"parallel_read_safe": True}
