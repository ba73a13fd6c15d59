"""Signatures as the source has them: annotations with their aliases, defaults by name."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Mapping
from typing import Any


def of_function(function) -> tuple[str, str | None]:
    """The arguments of a function or method but for `self`, and what it returns."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    listed = node.args.args
    if listed and listed[0].arg in ("self", "cls"):
        del listed[0]
    names = vars(sys.modules[function.__module__])
    for argument in ast.walk(node.args):
        if isinstance(argument, ast.arg) and argument.annotation:
            argument.annotation = Linked(names).visit(argument.annotation)
    return f"({ast.unparse(node.args)})", ast.unparse(Linked(names).visit(node.returns)) if node.returns else None


def of_class(made: type) -> str:
    """The arguments of a class's own `__init__`, or else its fields: of a dataclass, a NamedTuple, a Flax module."""
    if inspect.isfunction(own := vars(made).get("__init__")) and own.__code__.co_filename == inspect.getfile(made):
        return of_function(own)[0]
    try:
        parameters = inspect.signature(made).parameters
    except ValueError:
        return "()"
    return f"({', '.join(text for name, text in _fields(made).items() if name in parameters)})"


def _fields(made: type) -> dict[str, str]:
    fields = {}
    for base in reversed(made.__mro__):
        if base.__module__.startswith("gen"):
            names = vars(sys.modules[base.__module__])
            (body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
            fields |= {node.target.id: ast.unparse(ast.AnnAssign(node.target, Linked(names).visit(node.annotation),
                                                                 node.value, simple=1))
                       for node in body.body if isinstance(node, ast.AnnAssign)}
    return fields


class Linked(ast.NodeTransformer):
    """Names the classes of `gen` in an annotation in full, so that each links to the right one."""

    def __init__(self, names: Mapping[str, Any]):
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        found = self.names.get(node.id)
        known = isinstance(found, type) and found.__module__.startswith("gen.")
        return ast.Name(f"{found.__module__}.{found.__qualname__}") if known else node


def _process(app, what, name, thing, options, signature, returned):
    thing = inspect.unwrap(thing) if callable(thing) else thing
    if signature is None or not getattr(thing, "__module__", "").startswith("gen"):
        return None
    if isinstance(thing, type):
        return of_class(thing), None
    return of_function(thing) if inspect.isfunction(thing) else None


def setup(app):
    app.connect("autodoc-process-signature", _process)
    return {"parallel_read_safe": True}
