"""What evaluators look at."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from gen.data import Dataset
from gen.errors import UserError
from gen.evaluation.checks import at_least, finite
from gen.families.types import TrainState
from gen.signals import Ask, no_question


class Subject(NamedTuple):
    """What an evaluator looks at.

    Attributes:
      sample: n -> n fresh samples in data units; the same n gives the same samples at the same state.
      dataset: the data set the model was trained on.
      config: the run's config.
      state: the model's TrainState.
      methods: of its family, each a function of the state and more.
      ask: evaluators of many batches call it between them (`asked`).
    """

    sample: Callable[[int], np.ndarray]
    dataset: Dataset
    config: Mapping
    state: TrainState | None = None
    methods: Mapping[str, Callable] = MappingProxyType({})
    ask: Ask = no_question

    def draw(self, n: int) -> np.ndarray:
        """n samples; a UserError where that is not a positive number, or where one of them is not finite."""
        return finite(np.asarray(self.sample(at_least(1, n, "The number of samples"))), "samples")

    def method(self, name: str, user: str = "An evaluator") -> Callable:
        """The family's method of that name; a UserError, which says that `user` needs it, if it has none."""
        if name not in self.methods:
            raise UserError(f"{user} needs a model with the method {name!r}; this {self.config.family} has "
                            f"{', '.join(sorted(self.methods)) or 'none'}.")
        return self.methods[name]
