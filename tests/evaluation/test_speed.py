"""Samples a second are of samples that were drawn for it, whatever was drawn before."""

import time

import numpy as np
import pytest

from gen.errors import UserError
from gen.evaluation import Subject
from gen.evaluation.speed import speed


def test_the_time_is_that_of_the_batches_after_the_first():
    """Samples that are kept from before cost nothing; each batch takes 20 ms, the first, which compiles, 200."""
    drawn = []

    def batch(n, i):
        time.sleep(0.02 if drawn else 0.2)
        drawn.append((n, i))
        return np.zeros((min(n, 500), 2))

    found = speed(Subject(lambda n: np.zeros((n, 2)), None, {}, batch=batch), 1_200)
    assert drawn == [(1_200, 0), (1_200, 0), (1_200, 1), (1_200, 2)]
    assert 0.5 * 1_500 / 0.06 < found["samples_per_s"] < 1_500 / 0.06
    few = speed(Subject(lambda n: np.zeros((n, 2)), None, {}, batch=batch), 40)
    assert 0.3 * 40 / 0.02 < few["samples_per_s"] < 40 / 0.02


def test_samples_without_batches_are_one_line():
    with pytest.raises(UserError, match="not drawn in batches"):
        speed(Subject(lambda n: np.zeros((n, 2)), None, {}), 10)
