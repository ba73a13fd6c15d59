"""Memorisation: are samples nearer to the training examples than fresh real examples are?

Every sample, and every held-out real example, has a distance to its nearest training example. A model that generalises
draws samples whose distances are distributed like the held-out ones; copies lie nearer. Source: Meehan, Chaudhuri &
Dasgupta, A Non-Parametric Test to Detect Data-Copying in Generative Models, 2020.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from gen import config as configs
from gen.config.ranges import Count
from gen.data import Dataset, to_uint8
from gen.errors import UserError
from gen.evaluation import classifiers as kept
from gen.evaluation.checks import finite
from gen.evaluation.comparison import named
from gen.evaluation.features import extractor, on_the_fly, real_examples, real_features
from gen.evaluation.types import Subject
from gen.figures.grids import image_grid
from gen.precision import exact

ROWS, COLUMNS = 500, 5_000
NEAR = 0.01
"""A sample is a near copy if it is nearer than all but this share of the held-out examples are."""


class Nearest(NamedTuple):
    """Attributes:
    index: of the nearest training example, [n].
    distance: to it, L2 in the space of the features, [n].
    """

    index: Int[np.ndarray, "n"]
    distance: Float[np.ndarray, "n"]


def nearest(x: Float[np.ndarray, "n d"], train: Float[np.ndarray, "m d"]) -> Nearest:
    """Returns the nearest vector of `train` to each of `x`, in blocks of fixed memory.

    The search is in float32, about the mean of `train`; the distances returned are then computed anew in float64.
    Raises UserError for vectors that are not finite.
    """
    x, train = finite(x), finite(train)
    centre = train.mean(0)
    x32, train32 = np.float32(x - centre), np.float32(train - centre)
    index, least = np.zeros(len(x), np.int64), np.full(len(x), np.inf, np.float32)
    for column in range(0, len(train), COLUMNS):
        block = jnp.asarray(train32[column : column + COLUMNS])
        for row in range(0, len(x), ROWS):
            rows = slice(row, row + ROWS)
            at, value = map(np.asarray, _block(x32[rows], block))
            better = value < least[rows]
            index[rows], least[rows] = np.where(better, at + column, index[rows]), np.where(better, value, least[rows])
    difference = np.asarray(x, np.float64) - train[index]
    return Nearest(index, np.sqrt((difference**2).sum(1)))


@jax.jit
@exact
def _block(x: Float[Array, "r d"], y: Float[Array, "c d"]) -> tuple[Int[Array, "r"], Float[Array, "r"]]:
    """Index and ||y||^2 - 2 x . y of the nearest y: the squared distance but for ||x||^2, which does not rank."""
    score = (y * y).sum(1) - 2 * x @ y.T
    return score.argmin(1), score.min(1)


def copying(samples: Float[np.ndarray, "n"], held_out: Float[np.ndarray, "m"]) -> dict[str, float]:
    """Returns what distances to the nearest training example say, of samples and of held-out real examples.

    nearer: P(d_sample < d_held_out) + P(=) / 2 over all pairs, the Mann-Whitney statistic U / (n m); 1/2 for
    samples distributed like held-out examples, above it for copies.
    near_copies: share of samples nearer than the 1 % quantile of the held-out distances.
    """
    ordered = np.sort(held_out)
    below, not_above = (np.searchsorted(ordered, samples, side).mean() for side in ("left", "right"))
    nearer = 1 - (below + not_above) / (2 * len(ordered))
    return {"nearer": float(nearer), "near_copies": float((samples < np.quantile(held_out, NEAR)).mean())}


def memorization(
    subject: Subject, samples: Count = 10_000, features: str = "lenet", classifiers: str = kept.FOLDER
) -> dict[str, float]:
    """`copying` of samples against the second half of the test examples; the real-data row is that of the first half.

    Raises UserError where the training examples are drawn on the fly: there is nothing to memorise.
    """
    data, dataset = subject.config.data, subject.dataset
    train = _training_features(subject, features, classifiers)
    first, second = _held_out(dataset, configs.to_json(data), features, classifiers)
    extract = extractor(features, dataset, data, classifiers)
    distance = nearest(extract(subject.draw(samples)), train).distance
    real = named(copying(first, second), features, len(first), "train")
    return named(copying(distance, second), features, samples, "train") | {f"{k}_real": v for k, v in real.items()}


def picture(
    subject: Subject, samples: Count = 10, neighbours: int = 4, features: str = "lenet",
    classifiers: str = kept.FOLDER,
) -> UInt8[np.ndarray, "h w c"]:
    """A row for each sample: the sample, then its nearest training images. Raises UserError as `memorization` does."""
    data, dataset = subject.config.data, subject.dataset
    train = _training_features(subject, features, classifiers)
    images = np.concatenate(list(real_examples(dataset, data, "train")))
    x = subject.draw(samples)
    vectors = extractor(features, dataset, data, classifiers)(x)
    order = [np.linalg.norm(train - vector, axis=1).argsort()[:neighbours] for vector in vectors]
    rows = np.concatenate([np.concatenate([x[i : i + 1], images[near]]) for i, near in enumerate(order)])
    return image_grid(np.asarray(to_uint8(jnp.asarray(rows), dataset.spec.range)), rows=samples)


def _training_features(subject: Subject, features: str, classifiers: str) -> Float[np.ndarray, "n f"]:
    data = subject.config.data
    if on_the_fly(data):
        raise UserError(f"Memorisation cannot be measured: training examples of {data['name']!r} are drawn on the fly.")
    return real_features(subject.dataset, data, "train", 0, features, classifiers)


@functools.lru_cache(maxsize=4)
def _held_out(dataset: Dataset, data: str, features: str, classifiers: str) -> tuple[np.ndarray, np.ndarray]:
    """Distances of both halves of the test examples to the training examples; computed once."""
    part = configs.from_json(data)
    train, test = (real_features(dataset, part, split, 0, features, classifiers) for split in ("train", "test"))
    return tuple(np.array_split(nearest(test, train).distance, 2))
