"""The headline metric of a sweep by the keys that differ: a line for one, a heat map for two, else parallel axes.

Drawings are SVG without scripts; their colours are those of the style sheet, so that they follow light and dark.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from gen.estimates import Estimate
from gen.figures.curves import is_number
from gen.figures.html import escape, shown
from gen.figures.leaderboard import Board, Entry
from gen.figures.looks import ordered, short_names, text_of

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 300, 70, 20, 16, 46
MOST_AXES = 8
"""Of parallel coordinates."""

Number = float | int


def plot(found: Board) -> str:
    """The drawing that suits the keys; "" without a metric, without keys, or where nothing is finite."""
    if not found.best or not found.keys:
        return ""
    entries = [entry for entry in found.entries if math.isfinite(_mean(entry, found.best.name))]
    if len(entries) < 2:
        return ""
    drawn = {1: against_key, 2: heat_map}.get(len(found.keys), parallel)
    return f'<figure class="plot">{drawn(entries, found.keys, found.best.name, found.best.better)}</figure>'


def _mean(entry: Entry, name: str) -> float:
    return entry.metrics[name].mean if name in entry.metrics else math.nan


class Scale(NamedTuple):
    """Where values lie between two places: numbers by size or by their logarithms, others side by side."""

    low: Number
    high: Number
    start: Number
    end: Number
    log: bool = False
    names: tuple[str, ...] = ()

    def __call__(self, value: Any) -> float:
        at = self.names.index(text_of(value)) if self.names else math.log10(value) if self.log else float(value)
        return self.start + (self.end - self.start) * (at - self.low) / ((self.high - self.low) or 1.0)

    def ticks(self) -> list[tuple[float, str]]:
        """Places and texts of marks."""
        if self.names:
            return [(self(name), name) for name in self.names]
        values = [self.low + (self.high - self.low) * i / 4 for i in range(5)]
        return [(self(10**v if self.log else v), f"{10**v if self.log else v:.4g}") for v in values]


def scale(values: Sequence[Any], start: Number, end: Number, room: Number = 0.0) -> Scale:
    """The scale of a key's or a metric's values; numbers that span a factor of 20 or more by their logarithms."""
    if not all(is_number(value) and math.isfinite(value) for value in values):
        names = tuple(ordered(values))
        return Scale(0, len(names) - 1, start, end, names=names)
    log = min(values) > 0 and max(values) >= 20 * min(values)
    low, high = (math.log10(v) if log else float(v) for v in (min(values), max(values)))
    margin = room * ((high - low) or abs(high) or 1.0)
    return Scale(low - margin, high + margin, start, end, log)


def against_key(entries: Sequence[Entry], keys: Sequence[str], metric: str, better: str) -> str:
    """The metric with its standard error against one key."""
    (key,) = keys
    values = [entry.values[key] for entry in entries]
    reached = [bound for entry in entries for bound in _bounds(entry.metrics[metric])]
    x, y = scale(values, LEFT + 24, WIDTH - RIGHT - 24), scale(reached, HEIGHT - BOTTOM, TOP, 0.05)
    y = y if not y.log else scale([*reached, 0.0], HEIGHT - BOTTOM, TOP, 0.05)
    points = sorted((x(entry.values[key]), y(entry.metrics[metric].mean), entry) for entry in entries)
    path = "M" + "L".join(f"{px:.1f} {py:.1f}" for px, py, _ in points)
    parts = [*_left_axis(y), *_texts(x, values, key), f'<path class="line c0" d="{path}"/>']
    for px, py, entry in points:
        low, high = (y(bound) for bound in _bounds(entry.metrics[metric]))
        parts.append(f'<line class="error c0" x1="{px:.1f}" x2="{px:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
                     f'<circle class="c0" cx="{px:.1f}" cy="{py:.1f}" r="4">{_title(entry, metric)}</circle>')
    return _svg(parts, f"{metric} against {short_names(keys)[key]}", better)


def _bounds(value: Estimate) -> tuple[float, float]:
    error = value.error or 0.0
    return value.mean - error, value.mean + error


def _left_axis(y: Scale) -> list[str]:
    return [f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
            f'{_text(LEFT - 6, at + 4, "end", text)}' for at, text in y.ticks()]


def _texts(x: Scale, values: Sequence[Any], key: str) -> list[str]:
    places = {text_of(value): x(value) for value in values}
    marks = [_text(at, HEIGHT - BOTTOM + 18, "middle", text) for text, at in places.items()]
    return [*marks, _text(WIDTH / 2, HEIGHT - 6, "middle", key)]


def _title(entry: Entry, metric: str) -> str:
    value = entry.metrics[metric]
    error = f" ± {value.error:.2g}" if value.error is not None else ""
    return f"<title>{escape(entry.label)}: {escape(metric)} {shown(value.mean)}{error}</title>"


def heat_map(entries: Sequence[Entry], keys: Sequence[str], metric: str, better: str) -> str:
    """The metric in colours over two keys, the values of the first from top to bottom."""
    rows, columns = (ordered([entry.values[key] for entry in entries]) for key in keys)
    means = [entry.metrics[metric].mean for entry in entries]
    strength = scale(means, 0.0, 100.0)
    width, height = (WIDTH - LEFT - RIGHT) / len(columns), min(56.0, max(26.0, 240 / len(rows)))
    parts = []
    for i, name in enumerate(rows):
        parts.append(_text(LEFT - 6, TOP + height * (i + .5) + 4, "end", name))
    for j, name in enumerate(columns):
        parts.append(_text(LEFT + width * (j + .5), TOP + height * len(rows) + 16, "middle", name))
    best = (max if better == "max" else min)(means)
    for entry, mean in zip(entries, means, strict=True):
        i, j = (names.index(text_of(entry.values[key])) for names, key in zip((rows, columns), keys, strict=True))
        share = strength(mean) if better == "max" else 100 - strength(mean)
        parts.append(_cell(LEFT + width * j, TOP + height * i, width, height, share, entry, metric, mean == best))
    bottom = TOP + height * len(rows) + 40
    short = short_names(keys)
    words = f"{metric} by {short[keys[0]]} (rows) and {short[keys[1]]} (columns)"
    return _svg(parts, words, better, bottom)


def _text(x: Number, y: Number, anchor: str, text: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _cell(x: Number, y: Number, width: Number, height: Number, share: Number, entry: Entry, metric: str, best: bool
          ) -> str:
    colour = f"color-mix(in oklab, var(--accent) {10 + .75 * share:.0f}%, var(--card))"
    kind = ("heat strong" if share > 55 else "heat") + (" best" if best else "")
    box = f'x="{x + 1:.1f}" y="{y + 1:.1f}" width="{width - 2:.1f}" height="{height - 2:.1f}" rx="3"'
    value = _text(x + width / 2, y + height / 2 + 4, "middle", shown(entry.metrics[metric].mean))
    return f'<g class="{kind}"><rect {box} style="fill: {colour}">{_title(entry, metric)}</rect>{value}</g>'


def parallel(entries: Sequence[Entry], keys: Sequence[str], metric: str, better: str) -> str:
    """A vertical axis for each key and one for the metric; a line for each config, the best ones strongest."""
    keys = list(keys)[:MOST_AXES]
    short = short_names(keys)
    scales = [scale([entry.values[key] for entry in entries], HEIGHT - BOTTOM, TOP + 14) for key in keys]
    scales.append(scale([entry.metrics[metric].mean for entry in entries], HEIGHT - BOTTOM, TOP + 14))
    places = [LEFT + (WIDTH - LEFT - 2 * RIGHT - 30) * i / len(keys) for i in range(len(keys) + 1)]
    parts = []
    for n, entry in reversed(list(enumerate(entries))):
        values = [*(entry.values[key] for key in keys), entry.metrics[metric].mean]
        path = "L".join(f"{x:.1f} {at(v):.1f}" for x, at, v in zip(places, scales, values, strict=True))
        opacity = max(0.12, 1 - n / max(1, len(entries) - 1))
        parts.append(f'<path class="line c0" style="opacity: {opacity:.2f}" d="M{path}">{_title(entry, metric)}</path>')
    for x, at, name in zip(places, scales, [*short.values(), metric], strict=True):
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP + 14}" y2="{HEIGHT - BOTTOM}"/>')
        parts += [_text(x - 5, y + 4, "end", text, "halo") for y, text in at.ticks()]
        parts.append(_text(x, HEIGHT - BOTTOM + 20, "middle", name))
    return _svg(parts, f"{metric} by {len(keys)} keys: a line is a config, the best the strongest", better)


def _svg(parts: Sequence[str], words: str, better: str, height: Number = HEIGHT) -> str:
    said = f"{words}; {'greater' if better == 'max' else 'less'} is better"
    return (f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(said)}">{"".join(parts)}</svg>'
            f"<figcaption>{escape(said)}</figcaption>")
