"""Samples a second are of samples that were drawn for it, whatever was drawn before."""

import time

import numpy as np
import pytest

from gen.errors import UserError
from gen.evaluation import Subject
from gen.evaluation.speed import speed


@pytest.mark.parametrize("n, batches, size", [(1_200, 3, 500), (40, 1, 40)])
def test_the_time_is_that_of_the_batches_after_the_first(n, batches, size, monkeypatch):
    """Each takes 20 ms, the first, which compiles, 200; samples that were kept from before are not asked for."""
    drawn, asked, now = [], [], [0.0]

    def batch(n, i):
        now[0] += 0.02 if drawn else 0.2
        drawn.append((n, i))
        return np.zeros((min(n, 500), 2))

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    found = speed(Subject(None, None, {}, ask=lambda: asked.append(1), batch=batch), n)
    assert drawn == [(n, 0)] + [(n, i) for i in range(batches)] and len(asked) == batches
    assert found["samples_per_s"] == pytest.approx(size * batches / (0.02 * batches))


def test_samples_without_batches_are_one_line():
    with pytest.raises(UserError, match="not drawn in batches"):
        speed(Subject(lambda n: np.zeros((n, 2)), None, {}), 10)
    with pytest.raises(UserError, match="samples hold a NaN"):
        speed(Subject(None, None, {}, batch=lambda n, i: np.full((n, 2), np.nan)), 10)
