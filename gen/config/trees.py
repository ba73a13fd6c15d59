"""Configs as flat maps of dotted keys and as JSON, and how two of them differ."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import RequiredValueError

from gen.config.messages import full_key, one_line, show
from gen.config.values import checked
from gen.errors import UserError


def flatten(config: Mapping[str, Any] | ConfigDict) -> dict[str, Any]:
    """Returns {dotted key: value}, lists as tuples; an empty section stands for itself as {}.

    Keys with dots and values that are not plain data are UserErrors.
    """
    try:
        tree = config.to_dict() if isinstance(config, ConfigDict) else config
    except RequiredValueError as e:
        raise UserError(f"The config has a placeholder without a value: {one_line(e)}") from e
    for key in _keys(tree):
        if not isinstance(key, str) or not key or "." in key:
            raise UserError(f"The config has a key {show(key)}: keys are words without dots.")
    return leaves(tree)


def _keys(tree: Mapping) -> Iterator[Any]:
    for key, value in tree.items():
        yield key
        yield from _keys(value) if isinstance(value, Mapping) else ()


def leaves(tree: Mapping[str, Any] | ConfigDict, prefix: str = "") -> dict[str, Any]:
    """Returns {dotted key: value} as `flatten` does, of a tree whose keys may be dotted themselves."""
    flat = {}
    for key, value in tree.items():
        if isinstance(value, Mapping | ConfigDict):
            flat |= leaves(value, f"{prefix}{key}.") or {f"{prefix}{key}": {}}
        else:
            flat[f"{prefix}{key}"] = checked(f"{prefix}{key}", value)
    return flat


def without(flat: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Returns the flat config without `key` and all that is below it."""
    return {k: v for k, v in flat.items() if k != key and not k.startswith(f"{key}.")}


def unflatten(flat: Mapping[str, Any]) -> ConfigDict:
    """Returns the config of which `flat` = {dotted key: value} are the values, as `flatten` gives them."""
    config = {}
    for key, value in sorted(flat.items()):
        *sections, last = key.split(".")
        node = config
        for section in sections:
            node = node.setdefault(section, {})
            if not isinstance(node, dict):
                raise UserError(f"{full_key(key)}: no such key; {section!r} is a single value.")
        node[last] = value if not isinstance(value, dict) else node.get(last, {})
    try:
        return ConfigDict(config)
    except AttributeError as e:
        raise UserError(f"The config has a key that is reserved: {one_line(e)}") from e


def diff(old: Mapping[str, Any] | ConfigDict, new: Mapping[str, Any] | ConfigDict) -> list[str]:
    """Returns a line "train.steps: 100 -> 200" for every key that differs, "(absent)" standing for no value."""
    before, after = ({k: repr(v) for k, v in flatten(config).items()} for config in (old, new))
    pairs = {k: (before.get(k, "(absent)"), after.get(k, "(absent)")) for k in sorted(before | after)}
    return [f"{key}: {a} -> {b}" for key, (a, b) in pairs.items() if a != b]


def to_json(config: Mapping[str, Any] | ConfigDict) -> str:
    """Returns the config as JSON text with sorted keys; tuples become arrays, which `from_json` reads as tuples."""
    return json.dumps(unflatten(flatten(config)).to_dict(), indent=2, sort_keys=True, allow_nan=False) + "\n"


def from_json(text: str) -> ConfigDict:
    """Returns the locked config that `to_json` wrote; other text is a UserError."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise UserError(f"This config is not JSON: {one_line(e)}.") from e
    if not isinstance(tree, dict):
        raise UserError(f"This config is a JSON {type(tree).__name__}, not an object.")
    return unflatten(flatten(tree)).lock()
