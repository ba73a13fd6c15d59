"""What every key of a config means, as text: sections and parts with types, ranges, defaults and choices.

All of it is read from the schema (`gen.schema`), the signatures of the parts and their docstrings, so that nothing is
said twice.
"""

import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from gen.config import Part
from gen.config.parts import declared, options
from gen.config.values import REQUIRED, Field
from gen.errors import UserError, nearest
from gen.schema import ABOUT, DEFAULTS, FAMILIES, OWN_DEFAULTS, schema

WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text", tuple: "list", type(None): "none"}
WIDTH = 100


class Key(NamedTuple):
    """One key: its last word, what it may be, its default as text ("" where it must be given), its meaning."""

    name: str
    kind: str
    default: str
    about: str


class Choice(NamedTuple):
    """One row of a table of parts: its name, the whole docstring, its own keys, and the function or class itself."""

    name: str
    about: str
    keys: tuple[Key, ...]
    made_by: Callable


class Section(NamedTuple):
    """What may stand at one key of a config.

    Attributes:
      key: "train", "penalties"; "" holds the keys outside all sections.
      families: that have this very section.
      about: its meaning.
      keys: of a plain section, or those that all its parts share.
      choices: the parts that it may name; () for a plain section.
      many: whether it holds any number of them.
      optional: whether it may be left out.
      anywhere: whether it holds any number of them at the keys of what they act on.
    """

    key: str
    families: tuple[str, ...]
    about: str
    keys: tuple[Key, ...]
    choices: tuple[Choice, ...] = ()
    many: bool = False
    optional: bool = False
    anywhere: bool = False


def sections() -> list[Section]:
    """All sections of all families; what several families have alike is one section."""
    found: dict[tuple, list[str]] = {}
    for family in FAMILIES:
        for section in _sections(family):
            found.setdefault(section, []).append(family)
    merged = [section._replace(families=tuple(families)) for section, families in found.items()]
    return sorted(merged, key=lambda section: (len(section.families) < len(FAMILIES), section.families))


def _sections(family: str) -> Iterator[Section]:
    about, defaults = ABOUT[""] | ABOUT[family], DEFAULTS | OWN_DEFAULTS.get(family, {})
    for key, entry in schema(family).items():
        if not isinstance(entry, Part):
            yield from _plain(key, entry, about)
            continue
        choices = tuple(
            Choice(name, inspect.getdoc(made_by) or "", tuple(
                _key(option, field, "") for option, field in options(key, entry, name).items()
                if option not in entry.common), made_by)
            for name, made_by in entry.table.items())
        said = {name: about.get(f"{key}.{name}", about.get(f"{entry.kind}.{name}", "")) for name in entry.common}
        keys = tuple(_key(name, declared(value), said[name]) for name, value in entry.common.items())
        usual = defaults.get(key, {}).get("name")
        keys = ((Key("name", f"one {entry.kind} of those below", usual or "", ""),) if not entry.many else ()) + keys
        yield Section(key, (), about.get(key, ""), keys, choices, entry.many, entry.optional, entry.anywhere)


def _plain(key: str, entry: Mapping[str, Any], about: Mapping[str, str]) -> Iterator[Section]:
    """A plain section; of the keys outside all sections, those of every family and the family's own apart."""
    keys = [_key(name, declared(value), about.get(f"{key}.{name}".lstrip("."), "")) for name, value in entry.items()]
    common = [k for k in keys if key or k.name in ABOUT[""]]
    yield Section(key, (), about.get(key, ""), tuple(common))
    if own := tuple(k for k in keys if k not in common):
        yield Section("", (), "", own)


def _key(name: str, field: Field, about: str) -> Key:
    return Key(name, kind(field), "" if field.default is REQUIRED else value_text(field.default), about)


def kind(field: Field) -> str:
    """What a key may be, in words: "whole number, at least 1"."""
    types = field.types - ({int} if float in field.types else set())
    words = [WORDS[t] for t in WORDS if t in types]
    if tuple in field.types and field.items:
        words[words.index("list")] = f"list of {' or '.join(f'{WORDS[t]}s' for t in WORDS if t in field.items)}"
    text = " or ".join(words) or "any plain value"
    bounded = field.range is not None and str(field.range) != "any number"
    return f"{text}, {'each ' if tuple in field.types else ''}{field.range}" if bounded else text


def value_text(value: Any) -> str:
    """A default as one would type it in a shell."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(value_text, value)) or "()"
    return f"{value:g}" if isinstance(value, float) else str(value) or '""'


def text(asked: str) -> str:
    """What the config may say at `asked`: "all", a section, a part ("penalties.r1") or a key ("train.steps").

    Raises:
      UserError: nothing has that name; the nearest is named.
    """
    every = sections()
    if asked == "all":
        return "\n".join(_section_text(section) for section in every)
    found = [_section_text(section) for section in every if section.key == asked and asked]
    for section in every:
        found += [_choice_text(section, choice) for choice in section.choices
                  if f"{section.key}.{choice.name}" == asked]
        found += [_key_text(section, key) for key in section.keys if _dotted(section, key) == asked]
    if not found:
        known = {s.key for s in every} | {_dotted(s, k) for s in every for k in s.keys} | {
            f"{s.key}.{c.name}" for s in every for c in s.choices}
        raise UserError(f"--help_config={asked}: no section, part or key of a config.{nearest(asked, known - {''})}")
    return "\n".join(found)


def _dotted(section: Section, key: Key) -> str:
    return f"{section.key}.{key.name}".lstrip(".")


def _of(section: Section) -> str:
    return "" if len(section.families) == len(FAMILIES) else f" (of {', '.join(section.families)})"


def _section_text(section: Section) -> str:
    lines = [f"config.{section.key}{_of(section)}" if section.key else f"outside all sections{_of(section)}"]
    lines += _wrapped(" ".join(filter(None, (section.about, _use(section)))), "  ")
    lines += [line for key in section.keys for line in _key_lines(key)]
    for choice in section.choices:
        lines += ["", f"  {choice.name}", *_wrapped(first_paragraph(choice.about), "    ")]
        lines += [f"  {line}" for key in choice.keys for line in _key_lines(key)]
    return "\n".join(lines) + "\n"


def _use(section: Section) -> str:
    if section.many:
        return f"Any number of them: --config.{section.key}.NAME=true adds one, =false removes it."
    if section.anywhere:
        return f"Any number of them, each at the key that it acts on: --config.{section.key}.KEY.name=NAME."
    return "May be left out." if section.optional else ""


def _choice_text(section: Section, choice: Choice) -> str:
    lines = [f"config.{section.key}: {choice.name}{_of(section)}", *textwrap.indent(choice.about, "  ").splitlines()]
    return "\n".join(lines + [line for key in (*section.keys, *choice.keys) for line in _key_lines(key)]) + "\n"


def _key_text(section: Section, key: Key) -> str:
    return "\n".join([f"config.{_dotted(section, key)}{_of(section)}", *_key_lines(key)]) + "\n"


def _key_lines(key: Key) -> list[str]:
    return [f"  {key.name}: {facts(key)}", *_wrapped(key.about, "      ")]


def facts(key: Key) -> str:
    """Kind and default of a key."""
    return f"{key.kind}; {key.default if key.default else 'must be given'}"


def first_paragraph(docstring: str) -> str:
    """The first paragraph, as one line."""
    return " ".join(docstring.split("\n\n")[0].split())


def _wrapped(line: str, indent: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, initial_indent=indent, subsequent_indent=indent) if line else []


def markdown() -> str:
    """The reference as a page: a heading for each section, a list of its keys and of its parts."""
    return "\n".join(_section_markdown(section) for section in sections())


def _section_markdown(section: Section) -> str:
    title = f"`{section.key}`" if section.key else "Outside all sections"
    families = _of(section).strip(" ()").removeprefix("of ")
    lines = [f"## {title}{f', {families}' if families else ''}", ""]
    lines += [f"{escaped(' '.join(filter(None, (section.about, _use(section)))))}", ""]
    lines += [_key_markdown(section.key, key) for key in section.keys]
    for choice in section.choices:
        link = _reference(choice.made_by)
        about = escaped(first_paragraph(choice.about))
        lines += ["", f"**`{choice.name}`** {about}{f' [→](#{link})' if link else ''}", ""]
        lines += [_key_markdown(f"{section.key}.{choice.name}" if section.many else section.key, key)
                  for key in choice.keys]
    return "\n".join(lines) + "\n"


def _key_markdown(section: str, key: Key) -> str:
    dotted = f"{section}.{key.name}".lstrip(".")
    about = f". {escaped(key.about)}" if key.about else ""
    return f"- `{dotted}`: {escaped(key.kind)}; {f'`{key.default}`' if key.default else '**must be given**'}{about}"


def _reference(made_by: Callable) -> str:
    """The name under which the reference of the site has the function or class; "" where it has none."""
    module, name = getattr(made_by, "__module__", ""), getattr(made_by, "__qualname__", "<")
    public = re.fullmatch(r"[A-Za-z]\w*", name) and getattr(sys.modules.get(module), name, None) is made_by
    return f"{module}.{name}" if public else ""


def escaped(line: str) -> str:
    """Text as Markdown that shows it as it is; what is between backticks stays code."""
    parts = re.split(r"(`[^`]*`)", line)
    return "".join(part if part.startswith("`") else re.sub(r"([\\*_\[\]<>|#$~^{}])", r"\\\1", part) for part in parts)
