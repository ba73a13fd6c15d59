"""What evaluators look at."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from gen.data import Dataset
from gen.errors import UserError
from gen.evaluation.checks import at_least, finite
from gen.families.types import TrainState
from gen.signals import Ask, asked, no_question

DRAWN = 500
"""Samples that are drawn together."""

Share = Callable[[str, int, Mapping[str, Any]], list]
"""(name of the work, how many parts, its options) -> the parts, computed by all processes (`gen.evaluation.shared`)."""


class Subject(NamedTuple):
    """What an evaluator looks at.

    Attributes:
      sample: n -> n fresh samples in data units; the same n gives the same samples at the same state.
      dataset: the data set the model was trained on.
      config: the run's config.
      state: the model's TrainState.
      methods: of its family, each a function of the state and more.
      ask: evaluators of many batches call it between them (`asked`).
      batch: (n, i) -> the i-th batch of n samples, all of the same size; None where samples are not drawn in batches.
      share: has all processes compute the parts of a work; None where this one is alone.
    """

    sample: Callable[[int], np.ndarray]
    dataset: Dataset
    config: Mapping
    state: TrainState | None = None
    methods: Mapping[str, Callable] = MappingProxyType({})
    ask: Ask = no_question
    batch: Callable[[int, int], np.ndarray] | None = None
    share: Share | None = None

    def parts(self, work: str, count: int, made: Callable[..., Callable[[int], Any]], **options: Any) -> list:
        """The `count` parts of a work, by this process or by all.

        Args:
          work: its name in `gen.evaluation.shared.WORK`.
          count: how many parts.
          made: the function of that name.
          **options: plain data.
        """
        if self.share:
            return self.share(work, count, options)
        part = made(self, **options)
        return [part(i) for i in asked(range(count), self.ask)]

    def draw(self, n: int) -> np.ndarray:
        """n samples; a UserError where that is not a positive number, or where one of them is not finite."""
        return finite(np.asarray(self.sample(at_least(1, n, "The number of samples"))), "samples")

    def method(self, name: str, user: str = "An evaluator") -> Callable:
        """The family's method of that name; a UserError, which says that `user` needs it, if it has none."""
        if name not in self.methods:
            raise UserError(f"{user} needs a model with the method {name!r}; this {self.config.family} has "
                            f"{', '.join(sorted(self.methods)) or 'none'}.")
        return self.methods[name]
