"""Exact precision and recall on the manifold of polygons (`gen.data.polygons`), with no features in between."""

import functools
import inspect
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int
from ml_collections import ConfigDict

from gen import config as configs
from gen.config.ranges import Count
from gen.data import RANGES, Dataset
from gen.data.polygons import Pose, margin, project
from gen.data.polygons import polygons as source
from gen.errors import UserError
from gen.evaluation.comparison import named
from gen.evaluation.features import real_examples
from gen.evaluation.modes import reverse_kl
from gen.evaluation.types import Subject

TOLERANCE = 0.15
"""Largest relative distance of an image that counts as a polygon; a disc of the same size is at 0.2 from them."""

BINS = 4
"""Cells along each of the coordinates row, column and angle."""


def polygons(subject: Subject, samples: Count = 2_500) -> dict[str, float]:
    """`rates` of samples, and of as many test examples (`_real`). Raises UserError for data that are no polygons."""
    data, dataset = subject.config.data, subject.dataset
    of_polygons(dataset, data)
    results = named(rates(subject.draw(samples), dataset.spec.range, data), "polygons", samples)
    return results | {f"{name}_real": v for name, v in _real(dataset, configs.to_json(data), samples).items()}


def of_polygons(dataset: Dataset, data: Mapping | ConfigDict) -> None:
    """Raises a UserError for data that are no polygons."""
    if data["name"] != "polygons":
        raise UserError(f"The evaluator polygons needs data.name=polygons, not {data['name']!r}.")


@functools.lru_cache(maxsize=4)
def _real(dataset: Dataset, data: str, samples: int) -> dict[str, float]:
    """Of test examples; computed once."""
    part = configs.from_json(data)
    x = np.concatenate(list(real_examples(dataset, part, "test", samples)))
    return named(rates(x, dataset.spec.range, part), "polygons", len(x))


def rates(x: Float[np.ndarray, "n h w 1"], range: str, data: Mapping | ConfigDict) -> dict[str, float]:
    """Precision, recall and reverse KL of images in data units, on the manifold that the config's `data` describes.

    precision: share of images within `TOLERANCE` of the manifold and inside its parameters' range.
    recall: share of its cells that hold one of those; the cells (`cell`) are equally likely under the data, so
    that the recall of enough real examples is 1. reverse_kl: of their histogram, in nats.
    """
    options = {name: data.get(name, option.default) for name, option in inspect.signature(source).parameters.items()}
    sides, size, radius = tuple(options["sides"]), options["size"], options["radius"]
    pose, distance = project((np.float32(x) - RANGES[range]) / (1 - RANGES[range]), sides, radius)
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
