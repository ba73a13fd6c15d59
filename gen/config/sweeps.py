"""The algebra of sweeps: a sweep is a list of runs, a run is its overrides {dotted key: value}."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from gen.errors import UserError


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
