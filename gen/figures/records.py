"""What a run has written, read for a report: whatever is missing or broken becomes a note instead of an error."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from absl import logging

from gen.files import Missing, Unreadable, read_json
from gen.run_folder import Rows, Tell, description, finished_step, pictures, read_metrics, sample_files


class Run(NamedTuple):
    """One run's folder in memory.

    Attributes:
      name: the folder's path without the part that all runs of the report share.
      path: the folder.
      record: config.json: "config", "spec", "versions", "commit", and "default" where the launcher wrote one.
      metrics: rows of metrics.jsonl.
      evaluations: evaluations.json as a list of rows.
      samples: step -> picture.
      real: picture of real examples, samples/real.png, None where there is none.
      manifold: manifold.json, None where there is none.
      pictures: further pictures of the trained model by name, pictures/<name>.png.
      notes: a sentence for each thing that is broken, and of a missing config.json.
    """

    name: str
    path: Path
    record: dict
    metrics: Rows
    evaluations: Rows
    samples: dict[int, Path]
    real: Path | None
    manifold: dict | None
    pictures: dict[str, Path]
    notes: list[str]

    @property
    def config(self) -> dict:
        """The resolved config with dotted keys."""
        return flatten(self.record.get("config"))

    @property
    def default(self) -> dict:
        """The experiment's config before overrides, with dotted keys; empty where unknown."""
        return flatten(self.record.get("default"))

    @property
    def last_step(self) -> int:
        """The greatest step in the metrics; 0 where there are none."""
        return max((row["step"] for row in self.metrics), default=0)

    @property
    def finished(self) -> bool:
        """Whether the run is marked as done or its metrics reach the last step."""
        return finished_step(self.path) is not None or self.last_step == self.config.get("train.steps")

    @property
    def last_evaluation(self) -> dict:
        """The newest row of kind "eval" without its kind; empty where there is none."""
        row = next((row for row in reversed(self.metrics) if row.get("kind") == "eval"), {})
        return {name: value for name, value in row.items() if name != "kind"}


def read_runs(run_dirs: Sequence[str | os.PathLike]) -> list[Run]:
    """Reads all runs; names are the shortest paths that tell the runs apart."""
    paths = [Path(run_dir).absolute() for run_dir in run_dirs]
    shared = Path(os.path.commonpath(paths)) if len(set(paths)) > 1 else paths[0].parent
    return [read_run(path, str(path.relative_to(shared))) for path in paths]


def read_run(path: Path, name: str) -> Run:
    """Reads one run's folder."""
    notes: list[str] = []

    def tell(sentence: str) -> None:
        notes.append(sentence.replace(f"{path}/", "").removesuffix("."))

    metrics, samples = read_metrics(path, tell), sample_files(path, tell)
    evaluations = evaluation_rows(_optional(path / "evaluations.json", tell))
    real, further = pictures(path, "samples/real.png", tell), pictures(path, "pictures/*.png", tell)
    manifold = _manifold(path, tell)
    return Run(name, path, _record(path, tell), metrics, evaluations, samples, next(real, None), manifold,
               {file.stem: file for file in further}, notes)


def _record(path: Path, tell: Tell) -> dict:
    try:
        return dict(description(path))
    except Unreadable as error:
        tell(str(error))
        return {}


def tell(runs: Sequence[Run]) -> None:
    """Logs what is broken, for those who write no report."""
    for run in runs:
        for note in run.notes:
            logging.warning("%s: %s.", run.path, note)


def flatten(tree, prefix: str = "") -> dict:
    """{"train": {"steps": 5}} -> {"train.steps": 5}. Lists are values; anything but a mapping at the top is {}."""
    if not isinstance(tree, Mapping):
        return {prefix[:-1]: tree} if prefix else {}
    if not tree and prefix:
        return {prefix[:-1]: {}}
    return {key: value for name, sub in tree.items() for key, value in flatten(sub, f"{prefix}{name}.").items()}


def evaluation_rows(stored) -> Rows:
    """Evaluations as rows: a list keeps its rows; {metric: value} and {metric: {...}} become one row per metric."""
    if isinstance(stored, Mapping):
        pairs = stored.items()
        return [{"metric": m, **v} if isinstance(v, Mapping) else {"metric": m, "value": v} for m, v in pairs]
    rows = stored if isinstance(stored, list) else []
    return [dict(row) if isinstance(row, Mapping) else {"value": row} for row in rows]


def group_by_config(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Label -> runs whose configs are equal but for the seed. A run without a config is a group of its own."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        same = {key: value for key, value in run.config.items() if key != "seed"}
        key = json.dumps(same, sort_keys=True, default=str) if same else f"no config: {run.path}"
        groups.setdefault(key, []).append(run)
    labelled: dict[str, list[Run]] = {}
    for members in groups.values():
        label = _group_label(members)
        labelled[label if label not in labelled else f"{label} ({len(labelled) + 1})"] = members
    return labelled


def furthest(members: Sequence[Run]) -> list[Run]:
    """The runs of a group whose last evaluation is at the greatest step of all: those that can be averaged."""
    steps = [run.last_evaluation.get("step", 0) for run in members]
    return [run for run, step in zip(members, steps, strict=True) if step == max(steps)]


def _group_label(members: Sequence[Run]) -> str:
    if len(members) == 1:
        return members[0].name
    shared = os.path.commonprefix([run.name for run in members])
    stem = re.sub(r"[/_\-=.,]*(seed)?[/_\-=.,]*$", "", shared) or members[0].name
    return f"{stem}, {len(members)} seeds"


def _optional(path: Path, tell: Tell):
    """The value of a JSON file; None where there is none, or it cannot be read."""
    try:
        return read_json(path, path.parent)
    except Missing:
        return None
    except Unreadable as error:
        tell(str(error))
        return None


def _manifold(path: Path, tell: Tell) -> dict | None:
    """manifold.json where it and its picture exist and it describes a grid."""
    layout = _optional(path / "manifold.json", tell)
    if layout is None or next(pictures(path, "manifold.png", tell), None) is None:
        return None
    counts = [layout.get("rows"), layout.get("columns")] if isinstance(layout, dict) else [None]
    if not all(isinstance(count, int) and count > 0 for count in counts):
        tell("manifold.json lacks its rows and columns.")
        return None
    z = layout.get("z")
    return {"rows": counts[0], "columns": counts[1], "z": z if isinstance(z, list) else []}
