"""Exact precision and recall on the manifold of polygons (`gen.data.polygons`), with no features in between."""

import inspect

import numpy as np
from jaxtyping import Float, Int

from gen.data import RANGES
from gen.data.polygons import Pose, margin, project
from gen.data.polygons import polygons as source
from gen.errors import UserError
from gen.evaluation.comparison import named
from gen.evaluation.features import real_examples
from gen.evaluation.modes import reverse_kl
from gen.evaluation.types import Subject

TOLERANCE = 0.2
"""Largest relative distance of an image that counts as a polygon."""

BINS = 4
"""Cells along each of the coordinates row, column and angle."""


def polygons(subject: Subject, samples: int = 2_500) -> dict[str, float]:
    """`rates` of samples, and of as many test examples (`_real`). Raises UserError for data that are no polygons."""
    data = subject.config.data
    if data["name"] != "polygons":
        raise UserError(f"The evaluator polygons needs data.name=polygons, not {data['name']!r}.")
    real = np.concatenate(list(real_examples(subject.dataset, data, "test", samples)))
    rows = {"": subject.sample(samples), "_real": real}
    low = RANGES[subject.dataset.spec.range]
    return {f"{name}{row}": value for row, x in rows.items()
            for name, value in named(rates((np.float32(x) - low) / (1 - low), data), "polygons", len(x)).items()}


def rates(x: Float[np.ndarray, "n h w 1"], data) -> dict[str, float]:
    """Precision, recall and reverse KL of images in [0, 1].

    precision: share of images within `TOLERANCE` of the manifold and inside its parameters' range.
    recall: share of its cells that hold one of those; the cells (`cell`) are equally likely under the data, so
    that the recall of enough real examples is 1. reverse_kl: of their histogram, in nats.
    """
    options = {name: data.get(name, option.default) for name, option in inspect.signature(source).parameters.items()}
    sides, size, radius = tuple(options["sides"]), options["size"], options["radius"]
    pose, distance = project(x, sides, radius)
    inside = np.abs(pose.centre - size / 2).max(1) <= size / 2 - margin(radius) + 0.5
    good = (distance <= TOLERANCE) & inside
    cells = cell(Pose(*(values[good] for values in pose)), sides, size, radius)
    counts = np.bincount(cells, minlength=len(sides) * BINS**3)
    return {"precision": float(good.mean()), "recall": float((counts > 0).mean()), "reverse_kl": reverse_kl(counts)}


def cell(pose: Pose, sides: tuple[int, ...], size: int, radius: float) -> Int[np.ndarray, "n"]:
    """Number of the cell of each pose: k, and one of `BINS` equal parts of the range of row, column and angle."""
    low = margin(radius)
    unit = np.column_stack([(pose.centre - low) / (size - 2 * low), pose.angle * pose.sides / (2 * np.pi)])
    part = np.clip((unit * BINS).astype(np.int64), 0, BINS - 1)
    kind = np.searchsorted(np.sort(sides), pose.sides)
    return np.ravel_multi_index((kind, *part.T), (len(sides), BINS, BINS, BINS))
