"""The values of a config: which types one may have, and how text is read as one of them."""

import ast
import contextlib
import math
import re
import types
import typing
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gen.config.messages import full_key, show
from gen.config.ranges import Range
from gen.errors import UserError

Overrides = Mapping[str, Any]
"""Dotted key -> value: text as typed in a shell, or plain data as in a sweep."""

REQUIRED = object()
"""Stands for the default of a value that has none."""

_PLAIN = (bool, int, float, str, tuple, type(None))
_WORDS = {"true": True, "false": False, "none": None}


class Field(NamedTuple):
    """One value of a config: allowed types (none named: any), those of a tuple's items, the default, and the range.

    The range is that of a number or of each number of a tuple; None where none is declared.
    """

    types: frozenset[type] = frozenset()
    items: frozenset[type] = frozenset()
    default: Any = REQUIRED
    range: Range | None = None


ANY = Field()


def field_of(annotation: Any = None, default: Any = REQUIRED) -> Field:
    """Returns the types that the annotation and the default allow, the items of a tuple likewise, and the range."""
    allowed, items, _, range_ = _annotated(annotation)
    if default is REQUIRED:
        return Field(allowed, items, range=range_)
    if allowed or default is not None:
        allowed |= {_kind(default)}
    if isinstance(default, tuple | list) and not items:
        items = frozenset(map(_kind, default))
    return Field(allowed, items, cast(default, Field(allowed, items)), range_)


def _annotated(annotation: Any) -> Field:
    """Returns the plain types that an annotation names, those of a tuple's items, and the range."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        declared = next((part for part in args[1:] if isinstance(part, Range)), None)
        return _annotated(args[0])._replace(range=declared)
    if origin in (typing.Union, types.UnionType):
        members = [_annotated(arg) for arg in args]
        return Field(_union(member.types for member in members), _union(member.items for member in members),
                     range=next((member.range for member in members if member.range), None))
    if origin is typing.Literal:
        return Field(frozenset(map(_kind, args)))
    if (origin or annotation) in (tuple, list, Sequence):
        members = [_annotated(arg) for arg in args]
        return Field(frozenset({tuple}), _union(member.types for member in members),
                     range=next((member.range for member in members if member.range), None))
    return Field(frozenset(t for t in _PLAIN if t is annotation))


def _union(sets: Iterator[frozenset[type]]) -> frozenset[type]:
    return frozenset().union(*sets)


def _kind(value: Any) -> type | None:
    if isinstance(value, list):
        return tuple
    return next((t for t in _PLAIN if isinstance(value, t)), None)


def cast(value: Any, field: Field = ANY) -> Any:
    """Returns plain `value` as one of the types of `field`: an int as a float where those are allowed, a list as tuple.

    Raises:
      ValueError: another type; a number that is not finite or an integer that is wider than 64 bits.
    """
    kind = _kind(value)
    if kind is None or (kind in (int, float) and not abs(value) < (2**63 if kind is int else math.inf)):
        raise ValueError("numbers must be finite and integers within 64 bits" if kind else "")
    if kind is int and float in field.types:
        return float(value)
    if field.types and kind not in field.types:
        raise ValueError
    if kind is tuple:
        return tuple(cast(item, Field(field.items)) for item in value)
    return value if value is None else kind(value)


def is_plain(value: Any) -> bool:
    """Returns whether a config may hold `value`."""
    try:
        cast(value)
    except ValueError:
        return False
    return True


def is_type(value: Any) -> bool:
    """Returns whether `value` is a type or an annotation as `tuple[int, ...]`."""
    return isinstance(value, type) or typing.get_origin(value) is not None


def checked(key: str, value: Any, field: Field = ANY) -> Any:
    """Returns `value`, cast to a type of `field`; if none fits, raises a UserError about `key`."""
    return _first(key, value, [value], field)


def read(key: str, value: Any, field: Field) -> Any:
    """Returns the value of an override: data as it is, text by the first reading that has a type of `field`.

    The readings of a text, in order: true, false, none; a Python literal; a tuple of one literal; the text itself; a
    tuple of the words between commas. A UserError about `key` if none fits.
    """
    return _first(key, value, _readings(value) if isinstance(value, str) else [value], field)


def _readings(text: str) -> list[Any]:
    word = text.strip()
    readings = [_WORDS[word.lower()]] if word.lower() in _WORDS else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            literal = ast.literal_eval(word)
            readings += [] if isinstance(literal, str) else [literal]
            readings += [] if isinstance(literal, tuple | list) else [(literal,)]
    words = [item.strip() for item in word.removesuffix(",").split(",")] if word else []
    return [*readings, text, *([tuple(words)] if all(re.fullmatch(r"[\w./:+-]+", item) for item in words) else [])]


def _first(key: str, given: Any, readings: Sequence[Any], field: Field) -> Any:
    reasons = []
    for value in readings:
        try:
            found = cast(value, field)
        except ValueError as e:
            reasons.append(str(e))
        else:
            return _within(key, found, field)
    reason = max(reasons, key=len)
    message = f"{full_key(key)}: expected {_describe(field)}, got {show(given)}"
    raise UserError(f"{message} ({reason})." if reason else f"{message}.")


def _within(key: str, value: Any, field: Field) -> Any:
    """Returns `value` if its numbers are in the range of `field`; otherwise raises a UserError about `key`."""
    items = value if isinstance(value, tuple) else (value,)
    numbers = [item for item in items if isinstance(item, int | float) and not isinstance(item, bool)]
    if field.range is None or all(number in field.range for number in numbers):
        return value
    each = "each of its numbers " if isinstance(value, tuple) else ""
    raise UserError(f"{full_key(key)} = {show(value)}: {each}must be {field.range}.")


def _describe(field: Field) -> str:
    def names(kinds: frozenset[type]) -> str:
        shown = [k for k in _PLAIN if k in kinds and not (k is int and float in kinds)]
        return " or ".join("none" if k is type(None) else k.__name__ for k in shown)

    of = f" of {names(field.items)}" if tuple in field.types and field.items else ""
    return names(field.types) + of or "plain data (numbers, strings, tuples)"
