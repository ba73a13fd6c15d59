"""Our numbers beside those of independent packages; `python -m tests.parity` prints the differences."""

import numpy as np
import pytest

from tests.parity.comparisons import Row, comparisons, difference, measured, missing

pytestmark = pytest.mark.filterwarnings("ignore")
"""What the other packages are warned of is theirs."""


SLOW = {stage: [pytest.mark.slow] for stage in ("inception", "features", "measurement")}
"""Stage to its marks: a network of 24 million numbers is compiled."""


@pytest.mark.slow
@pytest.mark.parametrize("comparison", [
    pytest.param(c, id=f"{c.stage}: {c.what}", marks=SLOW.get(c.stage, [])) for c in comparisons()])
def test_agrees(comparison):
    if reason := missing(comparison):
        pytest.skip(reason)
    row = measured(comparison)
    assert row.holds, row


def test_a_difference_is_seen():
    ours, theirs = {"a": np.array([1.0, 2.0]), "b": np.zeros(2)}, {"a": np.array([1.0, 4.0]), "b": np.zeros(2)}
    assert difference(ours, theirs) == 0.5 and difference(theirs, theirs) == 0
    assert difference(np.float32([1e-3]), np.zeros(1)) == pytest.approx(1e-3)
    assert np.isnan(difference(np.array([np.nan, 0]), np.ones(2)))
    with pytest.raises(ValueError, match="shapes"):
        difference(np.zeros(2), np.zeros(3))
    assert not Row("", "", "", 1e-3, float("nan")).holds and not Row("", "", "", 1e-3, 2e-3).holds
