"""What runs reach against a key of their configs: a point for each run, a line through the means over seeds."""

import math
from collections.abc import Mapping, Sequence

from jaxtyping import UInt8
from numpy import ndarray

from gen.errors import UserError, lookup
from gen.figures.curves import COLOURS, is_number
from gen.figures.leaderboard import newest
from gen.figures.looks import ordered, text_of
from gen.figures.meanings import meaning, of_real
from gen.figures.panels import panels, pixels
from gen.figures.records import Run

Reached = Sequence[tuple[float | int | str, Mapping[str, float]]]
"""Of each run, the key's value and the metrics of its newest evaluation."""


def against_picture(runs: Sequence[Run], key: str, names: Sequence[str] | None = None) -> UInt8[ndarray, "h w 3"]:
    """A panel for each metric, the value of the key to the right; by its logarithm where it grows twentyfold or more.

    A dashed line is what real examples reach, where evaluations say so.

    Args:
      runs: finished or not; those without an evaluation are left out.
      key: of the config, dotted.
      names: of the metrics; by default those of which less or more is better.

    Raises:
      UserError: a run has no such key, no run has an evaluation, or none has one of the metrics.
    """
    if lost := [run.name for run in runs if key not in run.config]:
        raise UserError(f"--against={key}: the config of {lost[0]} has no such key.")
    reached = [(run.config[key], found) for run in runs if (found := newest(run))]
    if not reached:
        raise UserError("no run has an evaluation yet.")
    known = dict.fromkeys(name for _, found in reached for name in found)
    names = list(names or (name for name in known if meaning(name).better and not of_real(name, list(known))))
    for name in names:
        lookup(known, name, "metric")
    figure, axes = panels(names, columns=min(2, len(names)))
    for panel, name in zip(axes, names, strict=True):
        _draw(panel, [(value, found) for value, found in reached if name in found], name)
        panel.set_xlabel(key)
    figure.set_facecolor("white")
    return pixels(figure)[..., :3]


def _draw(panel, reached: Reached, name: str) -> None:
    """Places values that are no numbers side by side."""
    values = [value for value, _ in reached]
    numbers = all(is_number(value) and math.isfinite(value) for value in values)
    texts = ordered(values)
    places = [value if numbers else texts.index(text_of(value)) for value in values]
    results = [found[name] for _, found in reached]
    means = {place: [y for x, y in zip(places, results, strict=True) if x == place] for place in sorted(set(places))}
    panel.plot(list(means), [sum(each) / len(each) for each in means.values()], color=COLOURS[0], linewidth=1.4)
    panel.plot(places, results, "o", color=COLOURS[0], markersize=4, alpha=0.7)
    if real := [found[f"{name}_real"] for _, found in reached if f"{name}_real" in found]:
        panel.axhline(sum(real) / len(real), color="#4b5563", linestyle="--", linewidth=1, label="real examples")
        panel.legend(fontsize=7, frameon=False)
    if not numbers:
        panel.set_xticks(range(len(texts)), texts)
    elif min(values) > 0 and max(values) >= 20 * min(values):
        panel.set_xscale("log")
