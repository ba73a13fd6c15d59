import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.stats import ortho_group

from gen.errors import UserError
from gen.evaluation.frechet import fid, merged, moments, sqrt, squared_distance


def covariance(rng, d, rank=None):
    x = rng.normal(size=(d, rank or d))
    return x @ x.T / d


def test_gaussians_of_one_dimension():
    d2 = squared_distance(np.array([1.0]), np.array([[4.0]]), np.array([-2.0]), np.array([[9.0]]))
    assert d2 == pytest.approx((1 + 2) ** 2 + (2 - 3) ** 2)


def test_commuting_covariances():
    """Of covariances with common eigenvectors: ||m1 - m2||^2 + sum_i (sqrt(a_i) - sqrt(b_i))^2."""
    rng = np.random.default_rng(0)
    basis = ortho_group.rvs(6, random_state=0)
    a, b, m1, m2 = rng.uniform(0, 4, 6), rng.uniform(0, 4, 6), rng.normal(size=6), rng.normal(size=6)
    expected = ((m1 - m2) ** 2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert squared_distance(m1, (basis * a) @ basis.T, m2, (basis * b) @ basis.T) == pytest.approx(expected)


def test_general_covariances_agree_with_the_matrix_square_root():
    rng = np.random.default_rng(1)
    s1, s2, m = covariance(rng, 20), covariance(rng, 20), np.zeros(20)
    expected = np.trace(s1 + s2 - 2 * sqrtm(s1 @ s2).real)
    assert squared_distance(m, s1, m, s2) == pytest.approx(expected)
    assert squared_distance(m, s2, m, s1) == pytest.approx(expected)
    np.testing.assert_allclose(sqrt(s1) @ sqrt(s1), s1, atol=1e-12)


def test_singular_covariances():
    """Gaussians on orthogonal lines: the cross term is 0. On the same line: one dimension."""
    e0, e1, m = np.diag([4.0, 0, 0]), np.diag([0, 9.0, 0]), np.zeros(3)
    assert squared_distance(m, e0, m, e1) == pytest.approx(4 + 9)
    assert squared_distance(m, e0, m, 9 * e0) == pytest.approx((2 - 6) ** 2)
    flat = covariance(np.random.default_rng(2), 50, rank=10)
    assert squared_distance(np.zeros(50), flat, np.zeros(50), flat) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("sizes", [(100,), (1, 99), (37, 41, 22)])
def test_moments_of_a_stream_are_those_of_the_whole(sizes):
    x = np.random.default_rng(3).normal(1000, 1, (100, 4))
    found = moments(np.split(x, np.cumsum(sizes)[:-1]))
    np.testing.assert_allclose(found.mean, x.mean(0), rtol=1e-14)
    np.testing.assert_allclose(found.covariance, np.cov(x, rowvar=False), rtol=1e-9)
    assert found.n == 100


def test_moments_are_float64_and_merge_in_any_order():
    x = np.random.default_rng(4).normal(size=(60, 3)).astype(np.float32)
    a, b = moments([x[:20]]), moments([x[20:]])
    assert a.mean.dtype == a.scatter.dtype == np.float64
    for one, other in zip(merged(a, b), merged(b, a), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_fid_of_features():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2_500, 5))
    assert fid(x, x)["fid"] == pytest.approx(0, abs=1e-9)
    assert fid(x + 2, x)["fid"] == pytest.approx(4 * 5)
    assert fid(np.float32(3 * x), x)["fid"] == pytest.approx(
        4 * ((x.mean(0)) ** 2).sum() + 4 * np.trace(np.cov(x, rowvar=False)), rel=1e-5)


def test_too_few_samples():
    with pytest.raises(UserError, match="two samples"):
        fid(np.zeros((1, 3)), np.zeros((5, 3)))
