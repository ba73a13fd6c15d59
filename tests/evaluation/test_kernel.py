import numpy as np
import pytest

from gen.errors import UserError
from gen.evaluation.kernel import kid
from tests.helpers import squared_mmd as direct


@pytest.fixture
def rng():
    return np.random.default_rng(0)


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
