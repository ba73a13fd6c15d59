"""The training images nearest to an image in its pixels: how new is what the model shows?"""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from gen.data import Dataset, load
from gen.data.streaming import streamed
from gen.errors import UserError
from gen.evaluation.features import on_the_fly
from gen.runs import Run

NEIGHBOURS = 8
"""That are shown."""

BLOCK = 2_000
"""Training images that are compared at a time."""


class Neighbours(NamedTuple):
    """The nearest images, the nearest first.

    Attributes:
      images: themselves.
      distances: root mean squares of the differences of pixels in [0, 1]: 0 the same, 1 black against white.
      labels: theirs; None where there are none.
    """

    images: UInt8[np.ndarray, "k h w c"]
    distances: Float[np.ndarray, "k"]
    labels: Int[np.ndarray, "k"] | None


class Training:
    """The training images of a run, read when they are first asked for.

    Attributes:
      run: the run.
      dataset: its data set where it is read already, else None.
    """

    def __init__(self, run: Run, dataset: Dataset | None):
        self.run, self.dataset = run, dataset

    @functools.cached_property
    def examples(self) -> dict[str, np.ndarray]:
        """The training examples as they are stored.

        Raises:
          UserError: the data set is not there, holds images of another shape, or is never together in memory.
        """
        if on_the_fly(self.run.config.data):
            raise UserError("The training images are drawn anew in every step: none can be looked up.")
        found = self.dataset or load(self.run.config.data)
        if streamed(found.train):
            raise UserError("The training images are streamed from the disk: searching them all would take too long.")
        if found.train["x"].shape[1:] != tuple(self.run.spec.shape):
            raise UserError(f"The data set has examples of shape {found.train['x'].shape[1:]}, the model of "
                            f"{tuple(self.run.spec.shape)}: nothing can be compared.")
        return found.train

    def nearest(self, image: UInt8[np.ndarray, "h w c"], k: int = NEIGHBOURS) -> Neighbours:
        """The k training images nearest to `image`. Raises a UserError as `examples` does."""
        index, distances = nearest(image, self.examples["x"], k)
        labels = self.examples.get("label")
        return Neighbours(self.examples["x"][index], distances, None if labels is None else labels[index])


def nearest(image: UInt8[np.ndarray, "h w c"], images: UInt8[np.ndarray, "n h w c"], k: int
            ) -> tuple[Int[np.ndarray, "k"], Float[np.ndarray, "k"]]:
    """Indices of the k of `images` nearest to `image`, all where there are fewer, and their distances (`Neighbours`).

    Of equally near ones those that come first.
    """
    target = np.float32(image)
    squares = [np.square(np.float32(images[i:i + BLOCK]) - target).mean((1, 2, 3))
               for i in range(0, len(images), BLOCK)]
    distances = np.sqrt(np.concatenate(squares)) / 255
    index = np.argsort(distances, kind="stable")[:k]
    return index, distances[index]
