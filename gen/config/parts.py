"""The parts of a config and their options: completing a config by the signatures of its parts, and making them."""

import contextlib
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gen.config.messages import full_key, one_line, show, unknown_key
from gen.config.trees import flatten, unflatten, without
from gen.config.values import REQUIRED, Field, Overrides, cast, checked, field_of, is_plain, is_type, read
from gen.errors import UserError, lookup, nearest


class Part(NamedTuple):
    """What the config may say at one dotted key: `{"name": n, **options}`, options being arguments of `table[n]`.

    Attributes:
      table: the callables (functions, Flax modules) there are, by name.
      kind: what they are, for messages: "encoder", "penalty".
      supplied: arguments that the program passes, hence no keys of the config.
      common: keys that every such part has beside those arguments, with their defaults.
      many: the config holds a map from names to options instead (`{"r1": {"weight": 1.0}}`), empty where left out.
      optional: the config may leave the part out; an override of its name then creates it.
      anywhere: the config holds such parts at any dotted keys below (`schedules.penalties.r1.weight`), perhaps none.
    """

    table: Mapping[str, Callable]
    kind: str
    supplied: frozenset[str] = frozenset()
    common: Mapping[str, Any] = types.MappingProxyType({})
    many: bool = False
    optional: bool = False
    anywhere: bool = False


Schema = Mapping[str, Part | Mapping[str, Any]]
"""Dotted key -> Part, or for a plain section its keys: a default value each, a type where a value is required, or
`field_of(type, default)`, which a number needs for its range (`gen.config.ranges`). The key "" lists the keys outside
all sections. What no entry covers may hold any plain data."""


def resolve(config: ConfigDict | Mapping[str, Any], overrides: Overrides, schema: Schema) -> ConfigDict:
    """Returns the complete, checked and locked config: `config` with the overrides and all defaults of `schema`.

    First the names of parts: where an override names another one, the options that it accepts too, with the same type,
    are kept. Then come the defaults, then the other overrides. In a map of parts an override of an option creates
    the entry; `penalties.r1=true` and `=false` add and remove one. Of parts anywhere below a key a name adds one and
    `=false` removes it. An argument whose default is not plain data (a function, a dtype) is no key. Unknown keys,
    wrong types, missing values and numbers that are not finite or wider than 64 bits are UserErrors. `config` itself is
    not changed.
    """
    flat, overrides = _choose_parts(flatten(config), dict(overrides), schema)
    fields = known_fields(flat, schema)
    fields |= _free_fields(flat, fields, schema)
    values = {k: field.default for k, field in fields.items() if field.default is not REQUIRED}
    values |= {k: v if isinstance(v, dict) else checked(k, v, fields[k]) for k, v in flat.items()}
    for key, value in overrides.items():
        if key not in fields:
            raise unknown_key(key, fields.keys() | flat)
        values[key] = read(key, value, fields[key])
    if missing := sorted(fields.keys() - values):
        raise UserError(f"config.{missing[0]}: has no value; set it in the experiment or by --config.{missing[0]}=...")
    return unflatten(values).lock()


def _choose_parts(flat: dict, overrides: dict, schema: Schema) -> tuple[dict, dict]:
    """Applies the overrides that decide which parts there are; returns the config and the other overrides."""
    for key, part in schema.items():
        if not isinstance(flat.get(key, {}), dict):
            raise UserError(f"config.{key}: expected a section with keys, got {show(flat[key])}.")
        if isinstance(part, Part) and part.many:
            flat, overrides = _choose_entries(flat | {key: {}}, overrides, key)
        elif isinstance(part, Part) and part.anywhere:
            flat, overrides = _choose_below(flat | {key: {}}, overrides, key, part)
        elif isinstance(part, Part) and f"{key}.name" in overrides:
            flat = _rename(flat, key, part, overrides.pop(f"{key}.name"))
    return flat, overrides


def _choose_entries(flat: dict, overrides: dict, key: str) -> tuple[dict, dict]:
    """Adds and removes the entries of the map of parts at `key`; an override of an option adds its entry."""
    others = dict(overrides)
    for override in sorted(k for k in overrides if k.startswith(f"{key}.")):
        entry = f"{key}.{override.removeprefix(f'{key}.').split('.')[0]}"
        on = override != entry or read(entry, others.pop(entry), field_of(bool))
        flat = {entry: {}} | flat if on else without(flat, entry)
    return flat, others


def _choose_below(flat: dict, overrides: dict, key: str, part: Part) -> tuple[dict, dict]:
    """Adds, exchanges and removes parts anywhere below `key`."""
    others = dict(overrides)
    for override in sorted(k for k in overrides if k.startswith(f"{key}.")):
        if override.endswith(".name") and override != f"{key}.name":
            flat = _rename(flat, override.removesuffix(".name"), part, others.pop(override))
        elif f"{override}.name" in flat and not read(override, others.pop(override), field_of(bool)):
            flat = without(flat, override)
    for override in sorted(k for k in others if k.startswith(f"{key}.")):
        place = full_key(override.rpartition(".")[0])
        if not any(override.startswith(f"{path}.") for path in _named(flat, key)):
            raise UserError(f"{full_key(override)}: there is no {part.kind} at {place}; set {place}.name first."
                            f"{nearest('', part.table)}")
    return flat, others


def _named(flat: Mapping[str, Any], key: str) -> list[str]:
    """Returns the keys of the parts anywhere below `key`."""
    return [k.removesuffix(".name") for k in flat
            if k.startswith(f"{key}.") and k.endswith(".name") and k != f"{key}.name"]


def _rename(flat: dict, key: str, part: Part, name: Any) -> dict:
    """Exchanges the part at `key`, keeping the options that the new one accepts too."""
    if flat.get(f"{key}.name") == name:
        return flat
    kept = {}
    for option, accepted in options(key, part, name).items():
        with contextlib.suppress(KeyError, ValueError):
            kept[f"{key}.{option}"] = cast(flat[f"{key}.{option}"], accepted)
    return without(flat, key) | kept | {f"{key}.name": name}


def known_fields(flat: Mapping[str, Any], schema: Schema) -> dict[str, Field]:
    """Returns what `schema` knows of every key, for the parts that the flat config names."""
    fields = {}
    for key, part in schema.items():
        sections = {}
        names = dict.fromkeys(k.removeprefix(f"{key}.").split(".")[0] for k in flat if k.startswith(f"{key}."))
        if not isinstance(part, Part):
            sections[key] = {k: declared(v) for k, v in part.items()}
        elif part.many:
            sections = {f"{key}.{name}": options(f"{key}.{name}", part, name) for name in names}
        elif part.anywhere:
            sections = {path: {"name": field_of(str)} | options(path, part, flat[f"{path}.name"])
                        for path in _named(flat, key)}
        elif "name" in names:
            sections[key] = {"name": field_of(str)} | options(key, part, flat[f"{key}.name"])
        elif names or not part.optional:
            raise UserError(f"config.{key}.name: is missing; choose one {part.kind}.{nearest('', part.table)}")
        for section, known in sections.items():
            fields |= {f"{section}.{k}".lstrip("."): field for k, field in known.items()}
    return fields


def declared(value: Any) -> Field:
    """Returns the field that a schema declares: as it is, by its type, or by its default."""
    if isinstance(value, Field):
        return value
    return field_of(value) if is_type(value) else field_of(default=value)


def _free_fields(flat: dict, known: Mapping[str, Field], schema: Schema) -> dict[str, Field]:
    """Returns the fields of the keys that `schema` does not cover, by their values; others must be known."""
    free = {k: v for k, v in flat.items() if not isinstance(v, dict) and k not in known}
    for key in free:
        if "" in schema or any(key.startswith(f"{section}.") for section in schema):
            raise unknown_key(key, known)
    return {key: field_of(default=value) for key, value in free.items()}


def options(key: str, part: Part, name: Any) -> dict[str, Field]:
    """Returns the options of the part `name`: those common to its kind and the arguments of its callable."""
    if not isinstance(name, str) or name not in part.table:
        raise UserError(f"{full_key(key)}: unknown {part.kind} {show(name)}.{nearest(str(name), part.table)}")
    try:
        signature = inspect.signature(part.table[name], eval_str=True)
    except Exception:  # annotations that cannot be evaluated leave the defaults to tell the types
        signature = inspect.signature(part.table[name])
    fields = {k: declared(v) for k, v in part.common.items()}
    for p in signature.parameters.values():
        if p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) or p.name in {*part.supplied, "name", "parent"}:
            continue
        if p.default is p.empty:
            fields[p.name] = field_of(p.annotation)
        elif is_plain(p.default):
            fields[p.name] = field_of(p.annotation, p.default)
    return fields


def make(table: Mapping[str, Callable], part: Mapping[str, Any] | ConfigDict, kind: str, /, **supplied: Any) -> Any:
    """Returns `table[name](**options, **supplied)` for `part` = {name, **options}; ValueErrors become UserErrors."""
    options = dict(part)
    name = options.pop("name", None)
    if name is None:
        raise UserError(f"This {kind} has no name.{nearest('', table)}")
    function = lookup(table, name, kind)
    try:
        inspect.signature(function).bind(**options, **supplied)
    except TypeError as e:
        raise UserError(f"{kind} {name!r}: {one_line(e)}.") from e
    try:
        return function(**options, **supplied)
    except ValueError as e:
        raise UserError(f"{kind} {name!r}: {one_line(e)}") from e
