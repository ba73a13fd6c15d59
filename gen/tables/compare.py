"""Runs side by side: the config keys and the metrics in which they differ."""

import os
from collections.abc import Sequence
from pathlib import Path

from gen.errors import UserError
from gen.estimates import Estimate, difference, estimate
from gen.figures.curves import is_number
from gen.figures.records import Run, furthest, group_by_config, read_runs, tell
from gen.tables.formats import EMPTY, aligned, escape_markdown

Groups = dict[str, list[Run]]


def compare(run_dirs: Sequence[str | os.PathLike]) -> str:
    """Returns two Markdown tables: the config keys, and the metrics of the last evaluation, in which the runs differ.

    Runs that differ in the seed alone are one column, a mean ± standard error of those that have come furthest.
    Differences are to the first column.

    A folder that is named twice is one run.

    Raises:
      UserError: fewer than two runs, or a folder without one.
    """
    run_dirs = list({Path(folder).resolve(): folder for folder in run_dirs}.values())
    if len(run_dirs) < 2:
        raise UserError("Name the folders of at least two runs to compare.")
    for folder in run_dirs:
        if not (Path(folder) / "config.json").is_file():
            raise UserError(f"{folder} holds no run (there is no config.json in it): name the folder of a run.")
    runs = read_runs(run_dirs)
    tell(runs)
    groups = group_by_config(runs)
    return "\n\n".join([
        f"{len(run_dirs)} runs, {len(groups)} configs but for the seed.", _configs(groups),
        "Last evaluation, mean ± standard error over seeds; differences to the first.", _metrics(groups)])


def differing(groups: Groups) -> dict[str, list[str]]:
    """Config key -> its value in each group, of the keys whose values differ between groups."""
    configs = [members[0].config for members in groups.values()]
    keys = dict.fromkeys(key for config in configs for key in config if key != "seed")
    values = {key: [str(config[key]) if key in config else EMPTY for config in configs] for key in keys}
    return {key: shown for key, shown in values.items() if len(set(shown)) > 1}


def _configs(groups: Groups) -> str:
    seeds = [", ".join(str(run.config.get("seed", "?")) for run in members) for members in groups.values()]
    rows = [[key, *values] for key, values in differing(groups).items()] + [["seed", *seeds]]
    return aligned(["config", *map(escape_markdown, groups)], [list(map(escape_markdown, row)) for row in rows],
                   text=len(groups) + 1)


def _metrics(groups: Groups) -> str:
    evaluations = [[_evaluation(run) for run in furthest(members)] for members in groups.values()]
    first, *others = groups
    header = ["metric", first, *(heading for label in others for heading in (label, "difference"))]
    names = dict.fromkeys(name for members in evaluations for found in members for name in found)
    values = {name: [[found[name] for found in members if name in found] for members in evaluations] for name in names}
    n = sum(map(len, evaluations))
    equal = [name for name, found in values.items() if len(set(sum(found, []))) == 1 and len(sum(found, [])) == n]
    rows = [_row(name, found) for name, found in values.items() if name not in equal]
    same = f"\n\nEqual in all: {', '.join(map(escape_markdown, equal))}." if equal else ""
    return aligned(list(map(escape_markdown, header)), rows) + same


def _row(name: str, values: Sequence[Sequence[float]]) -> list[str]:
    """The metric's name, the estimate of the first group, and of each other its estimate and difference."""
    first, *others = [estimate(group) if group else None for group in values]
    pairs = [(found, difference(found, first[:2]) if found and first else None) for found in others]
    cells = [_shown(first), *(cell for found, change in pairs for cell in (_shown(found), _shown(change, "+")))]
    return [escape_markdown(name), *cells]


def _shown(value: Estimate | None, sign: str = "") -> str:
    if value is None:
        return EMPTY
    return f"{value.mean:{sign}.5g}" + (f" ± {value.error:.2g}" if value.error is not None else "")


def _evaluation(run: Run) -> dict[str, float]:
    """The last evaluation in training, and what was evaluated later at the same step."""
    last = run.last_evaluation
    later = next((row for row in run.evaluations if last and row.get("step") == last.get("step")), {})
    return {name: float(value) for name, value in (last | later).items() if is_number(value)}
