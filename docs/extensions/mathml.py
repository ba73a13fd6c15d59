"""Formulas as MathML, which browsers draw by themselves: no script, no font, nothing fetched."""

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

OPERATOR = re.compile(r"(<mi>(?:log|exp)</mi>)(?!<mo[^>]*>&#x00028;)")


def mathml(latex: str, display: str) -> str:
    """A formula, `display` being "inline" or "block". Raises ValueError where a command is unknown."""
    made = convert(latex.strip(), display=display)
    if "\\" in made:
        raise ValueError(f"a command of the formula {latex!r} is unknown")
    return OPERATOR.sub(r'\1<mspace width="0.17em"/>', made)


def _write(translator, node: nodes.Node, display: str) -> None:
    try:
        translator.body.append(mathml(node.astext(), display))
    except ValueError as error:
        logging.getLogger(__name__).warning("%s", error, location=node)
    raise nodes.SkipNode


def _inline(translator, node: nodes.math) -> None:
    _write(translator, node, "inline")


def _block(translator, node: nodes.math_block) -> None:
    _write(translator, node, "block")


def setup(app):
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
