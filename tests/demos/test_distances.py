"""The distances of the demo are those of `gen.probability.divergences`."""

import numpy as np
import pytest
from scipy import stats

from gen.probability import divergences

CASES = [((-1.0, 0.7, 0.0), (1.5, 1.0, 0.0)), ((0.0, 0.6, 4.0), (2.0, 0.6, 0.0)), ((-3.0, 2.0, 1.5), (3.0, 0.6, 4.0))]


def centres(n: int):
    return (np.arange(n) + 0.5) * 32 / n - 16


def masses(mean, std, apart, x):
    return sum(stats.norm(mean + side * apart, std).pdf(x) for side in (-0.5, 0.5)) / 2 * (x[1] - x[0])


def in_page(call, p, q, n=1600):
    body = "m.distances(m.pair(...a[0]), m.pair(...a[1]), m.centres(-16, 16, a[2]))"
    return call("distances mixtures", body, p, q, n)


@pytest.mark.parametrize(("p", "q"), CASES)
def test_all_distances_are_the_librarys(call, p, q):
    x = centres(1600)
    found, first, second = in_page(call, p, q), masses(*p, x), masses(*q, x)
    exact = {"forward": divergences.kl(first, second), "reverse": divergences.kl(second, first),
             "jsd": divergences.jensen_shannon(first, second), "tv": divergences.total_variation(first, second),
             "w1": divergences.wasserstein(x, x, first, second)}
    assert found == pytest.approx(exact, rel=1e-6, abs=1e-9)


def test_of_two_normals_they_are_the_closed_forms(call):
    found = in_page(call, (-1.0, 0.8, 0.0), (1.2, 0.8, 0.0))
    variance = np.full((1, 1, 1), 0.64)
    (kl,) = divergences.kl_gaussian(np.array([[-1.0]]), variance, np.array([[1.2]]), variance)
    assert found["forward"] == pytest.approx(kl, rel=1e-6) and kl == pytest.approx(2.2**2 / (2 * 0.64))
    assert found["w1"] == pytest.approx(2.2, abs=1e-6)
    assert found["tv"] == pytest.approx(2 * stats.norm.cdf(1.1 / 0.8) - 1, abs=1e-4)


def test_no_density_that_the_sliders_allow_is_0_on_the_line(call):
    """The Kullback-Leibler divergence is finite at the farthest that p and q can be apart."""
    found = in_page(call, (-3.0, 0.6, 4.0), (3.0, 0.6, 4.0))
    assert 0 < found["forward"] < 1e3 and found["jsd"] == pytest.approx(np.log(2), abs=0.1)
