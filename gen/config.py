"""Experiment configs: reading, overriding, resolving and naming them; the algebra of sweeps.

An experiment is a Python file with `get_config(variant: str = "") -> ConfigDict`. `load` calls it, `resolve` applies
the overrides of the command line and fills in every default, so that the resolved config is complete plain data:
None, bool, int, float, str and tuples of these. Whatever is wrong ends in a `UserError` of one line.
"""

import ast
import contextlib
import difflib
import hashlib
import inspect
import itertools
import json
import math
import re
import traceback
import types
import typing
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict
from ml_collections.config_dict import RequiredValueError

from gen.errors import UserError, lookup, nearest

Overrides = Mapping[str, Any]
"""Dotted key -> value: text as typed in a shell, or plain data as in a sweep."""


_PLAIN = (bool, int, float, str, tuple, type(None))
_WORDS = {"true": True, "false": False, "none": None}
_REQUIRED = object()


class Part(NamedTuple):
    """What the config may say at one dotted key: `{"name": n, **options}`, options being arguments of `table[n]`.

    Attributes:
      table: the callables (functions, Flax modules) there are, by name.
      kind: what they are, for messages: "encoder", "penalty".
      supplied: arguments that the program passes, hence no keys of the config.
      common: keys that every such part has beside those arguments, with their defaults.
      many: the config holds a map from names to options instead (`{"r1": {"weight": 1.0}}`), empty where left out.
      optional: the config may leave the part out; an override of its name then creates it.
    """

    table: Mapping[str, Callable]
    kind: str
    supplied: frozenset[str] = frozenset()
    common: Mapping[str, Any] = types.MappingProxyType({})
    many: bool = False
    optional: bool = False


Schema = Mapping[str, Part | Mapping[str, Any]]
"""Dotted key -> Part, or for a plain section its keys: a default value each, or a type where a value is required.
The key "" lists the keys outside all sections. What no entry covers may hold any plain data."""


class _Field(NamedTuple):
    """One value of a config: allowed types (none named: any), those of a tuple's items, and the default."""

    types: frozenset[type] = frozenset()
    items: frozenset[type] = frozenset()
    default: Any = _REQUIRED




def load(spec: str) -> ConfigDict:
    """Returns `get_config(variant)` of the experiment `spec` = "path.py" or "path.py:variant"; still to be resolved."""
    path, variant = split_spec(spec)
    try:
        module = types.ModuleType("experiment")
        module.__file__ = str(path)
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except OSError as e:
        raise UserError(f"{path}: cannot be read: {e.strerror}.{_similar_file(path, e)}") from e
    except SyntaxError as e:
        raise UserError(f"{path}:{e.lineno or 1}: not valid Python: {_line(e.msg)}.") from e
    except Exception as e:
        raise UserError(f"{_where(path, e)}: {type(e).__name__}: {_line(e)}") from e
    if not callable(getattr(module, "get_config", None)):
        raise UserError(f"{path}: has no function get_config(variant) that returns a ConfigDict.")
    try:
        config = module.get_config(variant) if variant else module.get_config()
    except (UserError, ValueError) as e:
        raise UserError(f"{path}: {_line(e)}") from e
    except Exception as e:
        raise UserError(f"{_where(path, e)}: {type(e).__name__}: {_line(e)}") from e
    if not isinstance(config, ConfigDict):
        raise UserError(f"{path}: get_config returned {type(config).__name__}, not a ConfigDict.")
    return config


def split_spec(spec: str) -> tuple[Path, str]:
    """Returns path and variant of "experiments/vae/digits.py:smoke"; without a colon the variant is ""."""
    match = re.fullmatch(r"(.+?\.py)(?::(.*))?", spec)
    if not match or not spec.isprintable():
        raise UserError(f"--config={_show(spec)[1:-1]}: expected experiments/<family>/<name>.py[:variant].")
    return Path(match[1]), match[2] or ""


def _similar_file(path: Path, error: OSError) -> str:
    if not isinstance(error, FileNotFoundError):
        return ""
    folder = next(p for p in path.parents if p.is_dir())
    known = {p.stem: p for p in (*folder.glob("*.py"), *folder.glob("*/*.py"))}
    close = difflib.get_close_matches(path.stem, known, n=1)
    return f" Did you mean {str(known[close[0]])!r}?" if close else ""


def _where(path: Path, error: Exception) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}:{lines[-1]}" if lines else str(path)


def _line(message: object) -> str:
    return " ".join(str(message).split())


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:40]}...{text[-15:]}"


def variant(name: str, variants: Mapping[str, Any]) -> ConfigDict:
    """Returns the variant `name` of an experiment: `variants[""]`, a ConfigDict, with the overrides of `name` applied.

    Example: `return variant(name, {"": full, "smoke": {"train.steps": 20, "encoder.width": 8}})`. Another `.name`
    starts that part afresh: its former options are dropped. A dict as value replaces a whole section. An unknown
    variant or section is a UserError; the other keys are checked by `resolve`.
    """
    overrides = lookup({k: v for k, v in variants.items() if k}, name, "variant") if name else {}
    flat = flatten(variants[""])
    for key in sorted(overrides, key=lambda key: not key.endswith(".name")):
        section = key.split(".")[0]
        if section not in variants[""]:
            raise UserError(f"Variant {name!r} sets {key!r}: no such section.{nearest(section, variants[''])}")
        if key.endswith(".name") and flat.get(key) != overrides[key]:
            flat = _without(flat, key.removesuffix(".name"))
        flat = _without(flat, key) | _leaves({key: overrides[key]})
    return unflatten(flat)


def resolve(config: ConfigDict | Mapping[str, Any], overrides: Overrides, schema: Schema) -> ConfigDict:
    """Returns the complete, checked and locked config: `config` with the overrides and all defaults of `schema`.

    First the names of parts: where an override names another one, the options that it accepts too, with the same type,
    are kept. Then come the defaults, then the other overrides. In a map of parts an override of an option creates
    the entry; `penalties.r1=true` and `=false` add and remove one. An argument whose default is not plain data (a
    function, a dtype) is no key. Unknown keys, wrong types, missing values and numbers that are not finite or wider
    than 64 bits are UserErrors. `config` itself is not changed.
    """
    flat, overrides = _choose_parts(flatten(config), dict(overrides), schema)
    fields = _fields(flat, schema)
    for key, value in flat.items():
        if not isinstance(value, dict) and key not in fields:
            if "" in schema or any(key.startswith(f"{section}.") for section in schema):
                raise _unknown(key, fields)
            fields[key] = _field(default=value)
    values = {k: f.default for k, f in fields.items() if f.default is not _REQUIRED}
    values |= {k: v if isinstance(v, dict) else _checked(k, (v,), fields[k]) for k, v in flat.items()}
    for key, value in overrides.items():
        if key not in fields:
            raise _unknown(key, fields.keys() | flat)
        values[key] = _override(key, value, fields[key])
    if missing := sorted(fields.keys() - values):
        raise UserError(f"config.{missing[0]}: has no value; set it in the experiment or by --config.{missing[0]}=...")
    return unflatten(values).lock()


def _choose_parts(flat: dict, overrides: dict, schema: Schema) -> tuple[dict, dict]:
    """Applies the overrides that decide which parts there are; returns the config and the other overrides."""
    for key, part in schema.items():
        if not isinstance(flat.get(key, {}), dict):
            raise UserError(f"config.{key}: expected a section with keys, got {_show(flat[key])}.")
        if not isinstance(part, Part):
            continue
        if part.many:
            flat.setdefault(key, {})
            for override in sorted(k for k in overrides if k.startswith(f"{key}.")):
                entry = f"{key}.{override.removeprefix(f'{key}.').split('.')[0]}"
                on = override != entry or _override(entry, overrides.pop(entry), _Field(frozenset({bool})))
                flat = {entry: {}} | flat if on else _without(flat, entry)
        elif f"{key}.name" in overrides:
            flat = _rename(flat, key, part, overrides.pop(f"{key}.name"))
    return flat, overrides


def _rename(flat: dict, key: str, part: Part, name: Any) -> dict:
    """Exchanges the part at `key`, keeping the options that the new one accepts too."""
    if flat.get(f"{key}.name") == name:
        return flat
    accepted = _arguments(key, part, name)
    kept = {}
    for option, field in accepted.items():
        with contextlib.suppress(KeyError, ValueError):
            kept[f"{key}.{option}"] = _cast(flat[f"{key}.{option}"], field.types, field.items)
    return _without(flat, key) | kept | {f"{key}.name": name}


def _without(flat: dict, key: str) -> dict:
    return {k: v for k, v in flat.items() if k != key and not k.startswith(f"{key}.")}


def _fields(flat: dict, schema: Schema) -> dict[str, _Field]:
    """Returns what `schema` knows of every key, for the parts that `flat` names."""
    fields = {}
    for key, part in schema.items():
        sections = {}
        names = dict.fromkeys(k.removeprefix(f"{key}.").split(".")[0] for k in flat if k.startswith(f"{key}."))
        if not isinstance(part, Part):
            sections[key] = {k: _field(v) if _is_type(v) else _field(default=v) for k, v in part.items()}
        elif part.many:
            sections = {f"{key}.{name}": _arguments(f"{key}.{name}", part, name) for name in names}
        elif "name" in names:
            sections[key] = {"name": _field(str)} | _arguments(key, part, flat[f"{key}.name"])
        elif names or not part.optional:
            raise UserError(f"config.{key}.name: is missing; choose one {part.kind}.{nearest('', part.table)}")
        for section, known in sections.items():
            fields |= {f"{section}.{k}".lstrip("."): field for k, field in known.items()}
    return fields


def _arguments(key: str, part: Part, name: Any) -> dict[str, _Field]:
    """Returns the options of the part `name`: those common to its kind and the arguments of its callable."""
    if not isinstance(name, str) or name not in part.table:
        raise UserError(f"{_path(key)}: unknown {part.kind} {_show(name)}.{nearest(str(name), part.table)}")
    try:
        signature = inspect.signature(part.table[name], eval_str=True)
    except Exception:  # annotations that cannot be evaluated leave the defaults to tell the types
        signature = inspect.signature(part.table[name])
    fields = {k: _field(default=v) for k, v in part.common.items()}
    for p in signature.parameters.values():
        if p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) or p.name in {*part.supplied, "name", "parent"}:
            continue
        if p.default is p.empty:
            fields[p.name] = _field(p.annotation)
        elif _is_plain(p.default):
            fields[p.name] = _field(p.annotation, p.default)
    return fields


def _field(annotation: Any = None, default: Any = _REQUIRED) -> _Field:
    """Returns the types that the annotation and the default allow; the items of a tuple likewise."""
    types_, items = _annotated(annotation) if annotation is not None else (frozenset(), frozenset())
    if default is _REQUIRED:
        return _Field(types_, items)
    if types_ or default is not None:
        types_ |= {_kind(default)}
    if isinstance(default, tuple | list) and not items:
        items = frozenset(map(_kind, default))
    return _Field(types_, items, _cast(default, types_, items))


def _is_type(value: Any) -> bool:
    return isinstance(value, type) or typing.get_origin(value) is not None


def _annotated(annotation: Any) -> tuple[frozenset[type], frozenset[type]]:
    """Returns the plain types that an annotation names, and those of a tuple's items."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        kinds, items = zip(*map(_annotated, args), strict=True)
        return frozenset().union(*kinds), frozenset().union(*items)
    if origin is typing.Literal:
        return frozenset(map(_kind, args)), frozenset()
    if (origin or annotation) in (tuple, list, Sequence):
        return frozenset({tuple}), frozenset().union(*(_annotated(arg)[0] for arg in args))
    return frozenset(t for t in _PLAIN if t is annotation), frozenset()


def _kind(value: Any) -> type | None:
    value = tuple(value) if isinstance(value, list) else value
    return next((t for t in _PLAIN if isinstance(value, t)), None)


def _is_plain(value: Any) -> bool:
    try:
        _cast(value)
    except ValueError:
        return False
    return True


def _cast(value: Any, types_: frozenset[type] = frozenset(), items: frozenset[type] = frozenset()) -> Any:
    """Returns plain `value` as one of `types_` (none: any), an int as a float where those are allowed."""
    kind = _kind(value)
    if kind is None or (kind in (int, float) and not abs(value) < (2**63 if kind is int else math.inf)):
        raise ValueError("numbers must be finite and integers within 64 bits" if kind else "")
    if kind is int and float in types_:
        return float(value)
    if types_ and kind not in types_:
        raise ValueError
    if kind is tuple:
        return tuple(_cast(item, items) for item in value)
    return value if value is None else kind(value)


def _checked(key: str, candidates: Sequence[Any], field: _Field, given: Any = None) -> Any:
    """Returns the first of `candidates` that has a type of `field`; none is a UserError about `given`."""
    reasons = []
    for value in candidates:
        try:
            return _cast(value, field.types, field.items)
        except ValueError as e:
            reasons.append(str(e))
    shown = _show(candidates[0] if given is None else given)
    reason = max(reasons, key=len)
    raise UserError(f"{_path(key)}: expected {_describe(field)}, got {shown}" + (f" ({reason})." if reason else "."))


def _describe(field: _Field) -> str:
    def names(kinds: frozenset[type]) -> str:
        shown = [k for k in _PLAIN if k in kinds and not (k is int and float in kinds)]
        return " or ".join("none" if k is type(None) else k.__name__ for k in shown)

    of = f" of {names(field.items)}" if tuple in field.types and field.items else ""
    return names(field.types) + of or "plain data (numbers, strings, tuples)"


def _override(key: str, value: Any, field: _Field) -> Any:
    """Returns the value of an override: data as it is, text by the first reading that has a type of `field`."""
    if not isinstance(value, str):
        return _checked(key, (value,), field)
    text = value.strip()
    candidates = [_WORDS[text.lower()]] if text.lower() in _WORDS else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            literal = ast.literal_eval(text)
            candidates += [] if isinstance(literal, str) else [literal]
            candidates += [] if isinstance(literal, tuple | list) else [(literal,)]
    words = [word.strip() for word in text.removesuffix(",").split(",")] if text else []
    candidates += [value] + ([tuple(words)] if all(re.fullmatch(r"[\w./:+-]+", word) for word in words) else [])
    return _checked(key, candidates, field, value)


def _unknown(key: str, known: Collection[str]) -> UserError:
    """Says where `key` leaves the known keys, with the nearest one."""
    prefix = ""
    for name in key.split("."):
        names = {k.removeprefix(prefix).split(".")[0] for k in known if k.startswith(prefix)}
        if not names:
            return UserError(f"{_path(key)}: no such key; {_path(prefix[:-1])} is a single value.")
        if name not in names:
            return UserError(f"{_path(prefix + name)}: no such key.{nearest(name, names)}")
        prefix += f"{name}."
    return UserError(f"{_path(key)}: is a section; set one of its keys, as in --{_path(key)}.key=value.")


def _path(key: str) -> str:
    return _show(f"config.{key}")[1:-1]


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
        raise UserError(f"{kind} {name!r}: {_line(e)}.") from e
    try:
        return function(**options, **supplied)
    except ValueError as e:
        raise UserError(f"{kind} {name!r}: {_line(e)}") from e


def flatten(config: Mapping[str, Any] | ConfigDict) -> dict[str, Any]:
    """Returns {dotted key: value}, lists as tuples; an empty section stands for itself as {}.

    Keys with dots and values that are not plain data are UserErrors.
    """
    try:
        tree = config.to_dict() if isinstance(config, ConfigDict) else config
    except RequiredValueError as e:
        raise UserError(f"The config has a placeholder without a value: {_line(e)}") from e
    for key in _keys(tree):
        if not isinstance(key, str) or not key or "." in key:
            raise UserError(f"The config has a key {_show(key)}: keys are words without dots.")
    return _leaves(tree)


def _keys(tree: Mapping) -> Iterator[Any]:
    for key, value in tree.items():
        yield key
        yield from _keys(value) if isinstance(value, Mapping) else ()


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in tree.items():
        if isinstance(value, Mapping | ConfigDict):
            flat |= _leaves(value, f"{prefix}{key}.") or {f"{prefix}{key}": {}}
        else:
            flat[f"{prefix}{key}"] = _checked(f"{prefix}{key}", (value,), _Field())
    return flat


def unflatten(flat: Mapping[str, Any]) -> ConfigDict:
    """Returns the config of which `flat` = {dotted key: value} are the values, as `flatten` gives them."""
    config = {}
    for key, value in sorted(flat.items()):
        *sections, last = key.split(".")
        node = config
        for section in sections:
            node = node.setdefault(section, {})
            if not isinstance(node, dict):
                raise UserError(f"{_path(key)}: no such key; {section!r} is a single value.")
        node[last] = value if not isinstance(value, dict) else node.get(last, {})
    try:
        return ConfigDict(config)
    except AttributeError as e:
        raise UserError(f"The config has a key that is reserved: {_line(e)}") from e


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
        raise UserError(f"This config is not JSON: {_line(e)}.") from e
    if not isinstance(tree, dict):
        raise UserError(f"This config is a JSON {type(tree).__name__}, not an object.")
    return unflatten(flatten(tree)).lock()


def parse_argv(argv: Sequence[str]) -> tuple[str | None, dict[str, str], list[str]]:
    """Splits a command line into the experiment (None: not given), the overrides {dotted key: text} and the rest.

    Takes `--config=F`, `--config F`, `--config.a.b=v` and `--config.a.b v`. The last of equal flags counts. Booleans
    are written true and false. Whatever follows `--` belongs to the rest.
    """
    given, rest, argv = {}, [], list(argv)
    while argv and argv[0] != "--":
        argument = argv.pop(0)
        flag, equals, value = argument.partition("=")
        if flag.startswith("--noconfig."):
            raise UserError(f"{_show(flag)[1:-1]}: write --{_path(flag.removeprefix('--noconfig.'))}=false.")
        if flag != "--config" and not flag.startswith("--config."):
            rest.append(argument)
            continue
        if flag == "--config." or not equals and (not argv or argv[0].startswith("--")):
            raise UserError(f"{_show(flag)[1:-1]}: write --config=FILE.py or --config.KEY=VALUE.")
        given[flag.removeprefix("--config").removeprefix(".")] = value if equals else argv.pop(0)
    return given.pop("", None), given, rest + argv


def experiment_name(spec: str) -> str:
    """Returns "vae/digits" for "experiments/vae/digits.py:smoke": folder and file, wherever the file is."""
    path = split_spec(spec)[0].absolute()
    return f"{path.parent.name}/{path.stem}"


def run_name(variant: str, overrides: Overrides) -> str:
    """Returns the name of a run's folder: the variant ("default" where "") and everything that is overridden.

    "smoke-seed=1-train.steps=100": sorted, so that the same command means the same folder. Where that would be
    longer than 80, hold other characters than letters, digits and ._,=+- or be ambiguous, a hash of everything ends it.
    """
    parts = [variant or "default", *(f"{key}={_text(value)}" for key, value in sorted(overrides.items()))]
    name = "-".join(parts)
    safe = re.sub(r"[^A-Za-z0-9._,=+-]", "_", name).lstrip(".-")
    if safe == name and len(name) <= 80 and name.count("=") == len(overrides):
        return name
    return f"{safe[:70]}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:8]}".lstrip("-")


def _text(value: Any) -> str:
    """Returns the text of an override; (500, 200) and "(500,200)" are both "500,200"."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    text = str(value)
    return re.sub(r"[()\s]", "", text) if re.fullmatch(r"\([\d\s.,e+-]*\)", text) else text


def check_train(config: ConfigDict, n_train_examples: int) -> None:
    """Raises a UserError unless `config.train` can be run on `n_train_examples`.

    steps, batch_size, log_every and keep are positive; every other period is 0 (never) or a multiple of log_every; a
    batch fits the data set; steps * batch_size < 2**32, as examples are counted in uint32.
    """
    train = {k: v for k, v in config.train.items() if k in ("steps", "batch_size", "keep") or k.endswith("_every")}

    def fail(key: str, relation: str, other: str) -> None:
        raise UserError(f"config.train.{key} = {train[key]} {relation} {other}.")

    for key, value in train.items():
        least = 0 if key.endswith("_every") and key != "log_every" else 1
        if type(value) is not int or value < least:
            raise UserError(f"config.train.{key} = {_show(value)} must be an integer of at least {least}.")
    steps, batch_size, log_every = (train[key] for key in ("steps", "batch_size", "log_every"))
    for key in (k for k in train if k.endswith("_every")):
        if train[key] % log_every:
            fail(key, "is not a multiple of", f"config.train.log_every = {log_every}")
    if batch_size > n_train_examples:
        fail("batch_size", "is larger than", f"the training set of {n_train_examples} examples")
    if steps * batch_size >= 2**32:
        fail("steps", f"times config.train.batch_size = {batch_size}", "is not below 2**32, the most that is counted")


def fixed(key: str, value: Any) -> list[dict[str, Any]]:
    """Returns the sweep of one run with `key` = `value`. A sweep is a list of overrides {dotted key: value}."""
    return [{key: value}]


def sweep(key: str, values: Iterable[Any]) -> list[dict[str, Any]]:
    """Returns one run for each of `values`."""
    return [{key: value} for value in values]


def product(sweeps: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Returns every combination of runs, one of each sweep, the last varying fastest."""
    return [_merged(runs) for runs in itertools.product(*sweeps)]


def zipit(sweeps: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Returns the first runs of all sweeps combined, the second ones, ...; lengths that differ are a UserError."""
    if len({len(runs) for runs in sweeps}) > 1:
        raise UserError(f"zipit: the sweeps differ in length: {', '.join(str(len(runs)) for runs in sweeps)}.")
    return [_merged(runs) for runs in zip(*sweeps, strict=True)]


def chainit(sweeps: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Returns the runs of all sweeps, one sweep after another."""
    return [run for runs in sweeps for run in runs]


def _merged(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    merged = {}
    for run in runs:
        if both := merged.keys() & run:
            raise UserError(f"Two sweeps set the same key: {', '.join(sorted(both))}.")
        merged |= run
    return merged
