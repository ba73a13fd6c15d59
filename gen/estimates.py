"""Means over seeds and their standard errors."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Estimate(NamedTuple):
    """A mean, its standard error (None where unknown), and of how many values."""

    mean: float
    error: float | None
    n: int


def estimate(values: Sequence[float]) -> Estimate:
    """Returns the mean of n values and its standard error sqrt(sum (x - mean)^2 / (n - 1) / n).

    One value has no standard error; nor have values that are not all finite. No values at all are a ValueError.
    """
    n = len(values)
    if not n:
        raise ValueError("an estimate needs a value")
    mean = math.fsum(values) / n if all(map(math.isfinite, values)) else sum(values) / n
    if n == 1 or not math.isfinite(mean):
        return Estimate(mean, None, n)
    return Estimate(mean, math.sqrt(math.fsum((x - mean) ** 2 for x in values) / (n - 1) / n), n)


def difference(ours: Estimate, published: tuple[float, float | None]) -> Estimate:
    """Returns ours - published, with the standard error sqrt(a^2 + b^2) of independent estimates if both are known."""
    mean, error = published
    known = ours.error is not None and error is not None
    return Estimate(ours.mean - mean, math.hypot(ours.error, error) if known else None, ours.n)
