import numpy as np
import pytest

from gen.errors import UserError
from gen.evaluation.kernel import kid, polynomial, squared_mmd


def direct(x, y):
    """The estimate as its double sums, one kernel value at a time."""
    def k(a, b):
        return (np.dot(a, b) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_kernel():
    assert polynomial(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))[0, 0] == (11 / 2 + 1) ** 3


def test_squared_mmd_is_the_double_sum(rng):
    x, y = rng.normal(size=(13, 4)), rng.normal(0.5, 2, size=(9, 4))
    assert squared_mmd(x, y) == pytest.approx(direct(x, y))


def test_mean_and_standard_error_over_subsets(rng):
    x, y = rng.normal(size=(25, 3)), rng.normal(size=(33, 3)) + 1
    parts = [direct(x[i : i + 8], y[i : i + 8]) for i in (0, 8, 16)]
    found = kid(x, y, subset=8)
    assert found["kid"] == pytest.approx(np.mean(parts))
    assert found["kid_se"] == pytest.approx(np.std(parts, ddof=1) / np.sqrt(3))
    assert kid(x, y, subset=100) == {"kid": pytest.approx(direct(x, y[:25]))}


def test_unbiased_for_equal_distributions(rng):
    """Over many draws the mean is 0 within its standard error, and the reported error is the spread between draws."""
    draws = [kid(rng.normal(size=(60, 3)), rng.normal(size=(60, 3)), subset=20) for _ in range(300)]
    values, errors = (np.array([draw[name] for draw in draws]) for name in ("kid", "kid_se"))
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(300)
    assert np.sqrt((errors**2).mean()) == pytest.approx(values.std(), rel=0.15)


def test_constant_shift_has_a_closed_form():
    """Of point masses at a and b the estimate is k(a, a) + k(b, b) - 2 k(a, b)."""
    x, y = np.full((5, 2), 1.0), np.full((5, 2), 2.0)
    assert kid(np.float32(x), np.float32(y))["kid"] == pytest.approx(2**3 + 5**3 - 2 * 3**3)


def test_too_few(rng):
    with pytest.raises(UserError, match="two samples"):
        kid(rng.normal(size=(1, 2)), rng.normal(size=(9, 2)))
