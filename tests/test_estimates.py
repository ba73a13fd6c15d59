"""Means and standard errors against scipy and by hand."""

import numpy as np
import pytest
from scipy import stats

from gen.estimates import Estimate, difference, estimate


def test_mean_and_standard_error_by_hand():
    found = estimate([1.0, 2.0, 6.0])
    assert found.mean == 3 and found.n == 3
    assert found.error == pytest.approx((14 / 2 / 3) ** 0.5)  # squares 4 + 1 + 9, over n - 1, over n


def test_standard_error_against_scipy():
    values = np.random.default_rng(0).normal(1e6, 1e-3, 7)
    assert estimate(values.tolist()).error == pytest.approx(stats.sem(values), rel=1e-6)


def test_one_value_and_values_that_are_not_finite_have_no_error():
    assert estimate([2.5]) == Estimate(2.5, None, 1)
    assert estimate([1.0, float("inf")]) == Estimate(float("inf"), None, 2)
    assert np.isnan(estimate([1.0, float("nan")]).mean)
    with pytest.raises(ValueError):
        estimate([])


def test_errors_of_a_difference_add_in_squares():
    assert difference(Estimate(5.0, 0.3, 4), (7.0, 0.4)) == Estimate(-2.0, pytest.approx(0.5), 4)
    assert difference(Estimate(5.0, 0.3, 4), (7.0, None)) == Estimate(-2.0, None, 4)
    assert difference(Estimate(5.0, None, 1), (7.0, 0.4)) == Estimate(-2.0, None, 1)
