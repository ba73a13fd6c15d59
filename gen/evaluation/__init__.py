"""Evaluators of samples, by name: the same functions in the training loop and in `scripts/evaluate.py`."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from gen.data import Dataset, mixtures
from gen.evaluation.modes import coverage


class Subject(NamedTuple):
    """What an evaluator looks at.

    Attributes:
      sample: n -> n fresh samples in data units; the same n gives the same samples at the same state.
      dataset: the data set the model was trained on.
      config: the run's config.
    """

    sample: Callable[[int], np.ndarray]
    dataset: Dataset
    config: Mapping


def modes(subject: Subject, samples: int = 2_500) -> dict[str, float]:
    """Modes covered, high-quality share and reverse KL on a 2-D mixture, as PacGAN counts them."""
    means, std = mixtures.components(subject.config.data)
    found = coverage(subject.sample(samples), means, std)
    return {name: float(value) for name, value in found._asdict().items()}


EVALUATORS = {"modes": modes}
