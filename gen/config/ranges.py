"""The ranges of a config's numbers, as types: `width: Count = 64`, `weight: NonNegative[Option] = 1.0`.

A range stands where its option is declared, in the signature of a part or in a family's schema, and is checked when a
config is read (`gen.config.parts.resolve`).
"""

import math
from typing import Annotated, NamedTuple, TypeVar

T = TypeVar("T")


class Range(NamedTuple):
    """Numbers from `low` to `high`, with the borders unless they are open."""

    low: float | int = -math.inf
    high: float | int = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, number: float | int) -> bool:
        if not math.isfinite(number):
            return False
        above = number > self.low if self.open_low else number >= self.low
        return above and (number < self.high if self.open_high else number <= self.high)

    def __str__(self) -> str:
        words = [] if math.isinf(self.low) else [f"{'above' if self.open_low else 'at least'} {self.low}"]
        words += [] if math.isinf(self.high) else [f"{'below' if self.open_high else 'at most'} {self.high}"]
        return " and ".join(words) or "any number"


def at_least(low: float | int) -> Range:
    """[low, inf)."""
    return Range(low)


def above(low: float | int) -> Range:
    """(low, inf)."""
    return Range(low, open_low=True)


Count = Annotated[int, at_least(1)]
"""A whole number of things that must be there."""

Natural = Annotated[int, at_least(0)]
"""A whole number, 0 where there need be none."""

Real = Annotated[T, Range()]
"""Any finite number: `Real[float]`."""

NonNegative = Annotated[T, at_least(0)]
Positive = Annotated[T, above(0)]
Probability = Annotated[T, Range(0, 1)]
"""From 0 to 1, both included."""

Decay = Annotated[T, Range(0, 1, open_high=True)]
"""What is kept of a moving average: at least 0 and below 1."""

Fraction = Annotated[T, Range(0, 1, open_low=True)]
"""A part of a whole: above 0 and at most 1."""

Interior = Annotated[T, Range(0, 1, open_low=True, open_high=True)]
"""A part that leaves a rest: above 0 and below 1."""

Seed = Annotated[int, Range(0, 2**32, open_high=True)]
"""What the draws of generated data and of initial values begin with."""
