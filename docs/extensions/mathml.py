"""Tells Sphinx to write formulas as MathML (`gen.lecture.mathml`)."""

from docutils import nodes
from sphinx.util import logging

from gen.lecture.mathml import mathml


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
