"""How the runs of a report are told apart: labels of what differs alone, colours by one key and dashes by another."""

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from gen.figures.records import Run

Groups = Mapping[str, Sequence[Run]]

COLOURS = 8
"""Colours that the style sheet has; further ones are made."""

DASHES = 5
"""Ways to draw a line, the first whole."""

PLACE = ("data.path", "data.loading", "data.workers", "mesh.data", "mesh.fsdp")
"""Keys that say where a run was made, not what it is."""


class Look(NamedTuple):
    """A line's colour and dash, as numbers of the style sheet's classes."""

    colour: int
    dash: int

    @property
    def classes(self) -> str:
        return f"c{self.colour} d{self.dash}"


def text_of(value: Any) -> str:
    """A value of a config as short as it can be read."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ",".join(map(text_of, value))
    return value if isinstance(value, str) else json.dumps(value, default=str)


def differing(groups: Groups) -> dict[str, list[str]]:
    """The keys of a config in which groups differ, but for the seed and where a run was made.

    Each with the later ones that have its value in every group, as the weights of two penalties that a sweep moves
    together: one of them tells of all.
    """
    configs = [members[0].config for members in groups.values()]
    found: dict[tuple[str, ...], list[str]] = {}
    for key in dict.fromkeys(key for config in configs for key in config if key not in ("seed", *PLACE)):
        values = tuple(json.dumps(config.get(key), default=str) for config in configs)
        if len(set(values)) > 1:
            found.setdefault(values, []).append(key)
    return {first: others for first, *others in found.values()}


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Key to the last of its words that tell it from the others: "optimizer.learning_rate" -> "learning_rate"."""
    names = {}
    for key in keys:
        words = key.split(".")
        endings = (".".join(words[-n:]) for n in range(1, len(words) + 1))
        names[key] = next((e for e in endings if sum(("." + k).endswith("." + e) for k in keys) == 1), key)
    return names


def comparable(groups: Groups) -> bool:
    """Whether the runs are of one family on one data set, and differ in more than their seeds."""
    kinds = {text_of([run.config.get("family"), run.config.get("data.name")])
             for members in groups.values() for run in members}
    return len(groups) > 1 and len(kinds) == 1 and all(run.config for members in groups.values() for run in members)


def relabelled(runs: Sequence[Run], groups: Groups) -> tuple[list[Run], dict[str, Sequence[Run]]]:
    """Runs and groups under names of what differs alone; under their own where that would not tell them apart."""
    keys = differing(groups)
    names = {key: name for key, name in short_names([*keys, *chain(*keys.values())]).items() if key in keys}
    labels = [", ".join(f"{name}={text_of(members[0].config[key])}" for key, name in names.items()
                        if key in members[0].config) for members in groups.values()]
    if not comparable(groups) or len(set(labels)) < len(labels) or not all(labels):
        return list(runs), dict(groups)
    named, found = {}, {}
    for label, members in zip(labels, groups.values(), strict=True):
        several = len(members) > 1
        renamed = [run._replace(name=f"{label}, seed {run.config.get('seed', '?')}" if several else label)
                   for run in members]
        named |= {run.path: run for run in renamed}
        found[f"{label}, {len(members)} seeds" if several else label] = renamed
    return [named[run.path] for run in runs], found


def looks(groups: Groups) -> list[Look]:
    """A look for each group: colours by the differing key of most values, dashes by the next.

    Where two groups would look the same, each has a colour of its own.
    """
    if not comparable(groups):
        return [Look(i, 0) for i in range(len(groups))]
    configs = [members[0].config for members in groups.values()]
    values = {key: ordered([config.get(key) for config in configs]) for key in differing(groups)}
    keys = sorted(values, key=lambda key: -len(values[key]))

    def place(n: int, config: Mapping[str, Any]) -> int:
        return values[keys[n]].index(text_of(config.get(keys[n]))) if n < len(keys) else 0

    found = [Look(place(0, config), place(1, config)) for config in configs]
    distinct = len(set(found)) == len(found) and all(look.dash < DASHES for look in found)
    return found if distinct else [Look(i, 0) for i in range(len(found))]


def ordered(values: Sequence[Any]) -> list[str]:
    """The values as text, each once: numbers by size, else in order of appearance."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        values = sorted(values)
    return list(dict.fromkeys(map(text_of, values)))


def style(found: Sequence[Look]) -> str:
    """CSS of the colours beyond those of the style sheet, spread over the hues."""
    most = max((look.colour for look in found), default=0) + 1
    return "".join(f".c{i} {{ --colour: oklch(var(--lightness) .15 {(29 + 360 * i / most) % 360:.0f}); }}"
                   for i in range(most)) if most > COLOURS else ""
