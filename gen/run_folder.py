"""The reader of a run's folder: `config.json`, `DONE`, `evaluations.json`, `metrics.jsonl` and the pictures.

Whatever reads a run reads it here. Files are bounded and lie in the folder (`gen.files`), and what is in them has the
shape that it should: what has not is named with its file and line, and left out where one can go on without it.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from absl import logging

from gen.files import Missing, Unreadable, check_png, mapping, open_within, parse_json, read_json

METRICS = "metrics.jsonl"
NON_FINITE = ("NaN", "Infinity", "-Infinity")
"""Texts that stand for floats which JSON lacks."""

LONGEST = 2**20
"""Bytes of a line of metrics."""

MOST = 4_096
"""Rows of metrics that are held at a time, but for the newest."""

NAMED = 3
"""Lines without a record that are named one by one; the others are counted."""

Row = dict[str, Any]
Rows = list[Row]
Tell = Callable[[str], None]
"""Takes a sentence about what is left out."""


def description(workdir: Path) -> Mapping[str, Any]:
    """`config.json`: an object whose "config" is one; see `gen.storage.record.start`.

    Raises:
      Missing: there is none.
      Unreadable: it is damaged.
    """
    path = workdir / "config.json"
    found = mapping(read_json(path, workdir), path)
    if not isinstance(found.get("config"), dict):
        raise Unreadable(f'{path} is no description of a run: it has no object "config".')
    return found


def finished_step(workdir: Path, tell: Tell = logging.warning) -> int | None:
    """The step at which the run was marked as finished; None where it was not, or the mark cannot be read."""
    path = workdir / "DONE"
    try:
        found = read_json(path, workdir)
    except Missing:
        return None
    except Unreadable as error:
        tell(f"The run counts as not finished: {error}")
        return None
    step = found.get("step") if isinstance(found, dict) else None
    if _is_step(step):
        return step
    tell(f"The run counts as not finished: {path} does not say its step.")
    return None


def evaluations(workdir: Path, tell: Tell = logging.warning) -> tuple[Rows, bool]:
    """The rows of `evaluations.json` that have a step, and whether that is all that the file holds."""
    path = workdir / "evaluations.json"
    try:
        found = read_json(path, workdir)
    except Missing:
        return [], True
    except Unreadable as error:
        tell(str(error))
        return [], False
    stored = found if isinstance(found, list) else [found]
    kept = [row for row in stored if isinstance(row, dict) and _is_step(row.get("step"))]
    if whole := len(kept) == len(stored):
        return kept, whole
    tell(f"{path}: what is no object with a step is left out.")
    return kept, whole


def pictures(workdir: Path, pattern: str, tell: Tell = logging.warning) -> Iterator[Path]:
    """The PNG files of the run that fit the pattern, in order of names; what is none, or lies elsewhere, is told."""
    for path in sorted(workdir.glob(pattern)):
        try:
            check_png(path, workdir)
        except Unreadable as error:
            tell(f"left out: {error}")
        else:
            yield path


def sample_files(workdir: Path, tell: Tell = logging.warning) -> dict[int, Path]:
    """The pictures samples/<step>.png of a run by step, in order of steps; other files there are ignored."""
    found = pictures(Path(workdir), "samples/[0-9]*.png", tell)
    return dict(sorted((int(path.stem), path) for path in found if path.stem.isdecimal()))


def lines(path: Path, root: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file below `root` with their numbers; of one longer than `LONGEST` only its beginning."""
    with open_within(path, root) as file:
        number = 0
        while line := file.readline(LONGEST):
            number += 1
            yield number, line
            while len(line) == LONGEST and not line.endswith(b"\n"):
                line = file.readline(LONGEST)


def record(line: bytes) -> Row:
    """The row of a line of metrics: its step, and numbers and texts by name.

    Lists and objects are left out. A ValueError says why the line holds no row.
    """
    if not line.endswith(b"\n"):
        raise ValueError("it is torn" if len(line) < LONGEST else f"it has more than {LONGEST:,} bytes")
    try:
        found = parse_json(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no valid JSON ({error.msg})") from error
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    if not _is_step(found.get("step")):
        raise ValueError('it has no whole number as its "step"')
    if not isinstance(found.get("kind", ""), str):
        raise ValueError('its "kind" is no text')
    return {sys.intern(name): _value(name, value) for name, value in found.items()
            if not isinstance(value, list | dict)}


def _value(name: str, value: Any) -> Any:
    return float(value) if isinstance(value, str) and value in NON_FINITE and name != "kind" else value


def _is_step(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


class _Omitted:
    """Tells of the first lines without a record, and counts the others."""

    def __init__(self, path: Path, tell: Tell):
        self.path, self.tell, self.count = path, tell, 0

    def __call__(self, number: int, line: bytes, error: ValueError) -> None:
        if not line.endswith(b"\n") and len(line) < LONGEST:
            return  # the last one, which is being written or was when the run was killed
        self.count += 1
        if self.count <= NAMED:
            self.tell(f"{self.path}, line {number}, is left out: {error}")

    def close(self) -> None:
        if self.count > NAMED:
            self.tell(f"{self.path}: {self.count - NAMED:,} more lines are left out.")


def rows(workdir: Path, tell: Tell = logging.warning) -> Iterator[tuple[bytes, Row]]:
    """Every line of `metrics.jsonl` with its row, one at a time; none where there is no file."""
    path = Path(workdir) / METRICS
    omitted = _Omitted(path, tell)
    try:
        for number, line in lines(path, Path(workdir)):
            try:
                row = record(line)
            except ValueError as error:
                omitted(number, line, error)
            else:
                yield line, row
    except Missing:
        return
    except Unreadable as error:
        tell(str(error))
    omitted.close()


class _Held(NamedTuple):
    number: int
    row: Row


class _Thinned:
    """Of rows with the same names the first in each stretch of steps, so many in all that memory is bounded.

    Stretches begin at multiples of their length, which doubles whenever there are too many rows: what is held of runs
    with the same steps has the same steps.
    """

    KINDS_OF_ROWS = 64

    def __init__(self, most: int):
        self.most, self.length = most, 1
        self.groups: dict[bytes, int] = {}
        self.held: dict[tuple[int, int], _Held] = {}

    def group(self, line: bytes) -> int:
        """Rows with the same names have the same group, told without reading them."""
        names = line.translate(None, b"0123456789.eE+-")
        found = self.groups.get(names)
        if found is None and len(self.groups) < self.KINDS_OF_ROWS:
            found = self.groups[names] = len(self.groups)
        return -1 if found is None else found

    def wants(self, group: int, step: int) -> bool:
        """Whether a row of this step would be held."""
        there = self.held.get((group, step // self.length))
        return there is None or there.row["step"] >= step

    def add(self, group: int, held: _Held) -> None:
        """Holds a row that is wanted; of a step written twice, by a run that went on, the later one."""
        if not self.wants(group, held.row["step"]):
            return
        self.held[group, held.row["step"] // self.length] = held
        while len(self.held) > self.most:
            self.length *= 2
            latest_first = sorted(self.held.items(), key=lambda item: -item[1].row["step"])
            self.held = {(group, held.row["step"] // self.length): held for (group, _), held in latest_first}


_STEP = re.compile(rb'\{"step": ?(\d{1,18}),')
"""How the lines of a run begin."""


def read_metrics(workdir: Path | str, tell: Tell = logging.warning, most: int = MOST) -> Rows:
    """The rows of `metrics.jsonl` in its order, each with a "step"; none where there is no file.

    A long run is thinned while it is read (`_Thinned`), its newest row of each kind always there; lines that are not
    held are not parsed. The texts "NaN", "Infinity" and "-Infinity" are floats. Lines without a record are told of and
    left out, a last line without its end (a run that is writing, or was killed) silently.
    """
    workdir = Path(workdir)
    thinned, newest, omitted = _Thinned(most), {}, _Omitted(workdir / METRICS, tell)

    def add(group: int, number: int, line: bytes, to: Callable[[int, _Held], None]) -> None:
        try:
            to(group, _Held(number, record(line)))
        except ValueError as error:
            omitted(number, line, error)

    try:
        for number, line in lines(workdir / METRICS, workdir):
            begins, group = _STEP.match(line), thinned.group(line)
            if begins and line.endswith(b"}\n") and not thinned.wants(group, int(begins[1])):
                newest[group] = number, line
            else:
                newest.pop(group, None)
                add(group, number, line, thinned.add)
    except Missing:
        return []
    except Unreadable as error:
        tell(str(error))
    kept = {held.number: held.row for held in thinned.held.values()}
    for group, (number, line) in newest.items():
        add(group, number, line, lambda _, held: kept.update({held.number: held.row}))
    omitted.close()
    return [kept[number] for number in sorted(kept)]
