"""What evaluators look at."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from gen.data import Dataset


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
