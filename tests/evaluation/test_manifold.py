import numpy as np
import pytest
from prdc import compute_prdc
from scipy.spatial.distance import cdist

from gen.errors import UserError
from gen.evaluation import manifold
from gen.evaluation.manifold import distances, prdc, radii


@pytest.mark.parametrize(("n", "m", "shift", "k"), [(700, 520, 0.0, 5), (300, 900, 0.7, 3), (64, 1_100, 2.0, 5)])
def test_agrees_with_the_reference_package(n, m, shift, k):
    rng = np.random.default_rng(n)
    fake, real = rng.normal(shift, 1.2, (n, 6)), rng.normal(size=(m, 6))
    expected = compute_prdc(real_features=real, fake_features=fake, nearest_k=k)
    found = prdc(fake, real, k)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(float(value), abs=1e-12), name


def test_single_precision_features_far_from_the_origin():
    rng = np.random.default_rng(0)
    fake, real = (np.float32(rng.normal(shift, 1, (300, 4)) + 500) for shift in (0.3, 0))
    expected = compute_prdc(real_features=np.float64(real), fake_features=np.float64(fake), nearest_k=5)
    assert prdc(fake, real) == {name: pytest.approx(float(value), abs=1e-12) for name, value in expected.items()}


@pytest.mark.parametrize("rows", [1, 7, 1_000])
def test_distances_in_chunks(rows):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(20, 3)) + 50, rng.normal(size=(11, 3)) + 50
    chunks = list(distances(x, y, rows))
    assert max(len(squared) for _, squared in chunks) <= rows
    np.testing.assert_allclose(np.concatenate([squared for _, squared in chunks]), cdist(x, y) ** 2, atol=1e-10)
    assert [chunk.start for chunk, _ in chunks] == list(range(0, 20, rows))


def test_radii_leave_the_vector_itself_out():
    x = np.arange(5.0)[:, None]
    np.testing.assert_allclose(radii(x, 1), 1)
    np.testing.assert_allclose(radii(x, 2), [4, 1, 1, 1, 4])
    np.testing.assert_array_equal(radii(np.zeros((4, 2)), 2), 0)


def test_radii_across_chunks(monkeypatch):
    x = np.random.default_rng(2).normal(size=(50, 3))
    whole = radii(x, 4)
    monkeypatch.setattr(manifold, "ROWS", 7)
    np.testing.assert_allclose(radii(x, 4), whole)
    np.testing.assert_allclose(whole, np.sort(cdist(x, x) ** 2)[:, 4], atol=1e-12)


def test_collapse_and_distance():
    """Copies of one real example: precise, no recall. Far samples: neither."""
    real = np.random.default_rng(3).normal(size=(200, 2))
    collapsed = prdc(np.repeat(real[:1], 50, 0) + 1e-3 * real[:50], real)
    assert collapsed["precision"] == 1 and collapsed["recall"] <= 0.05 and collapsed["coverage"] < 0.1
    assert prdc(real + 100, real) == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


def test_too_few():
    with pytest.raises(UserError, match="more than 5"):
        prdc(np.zeros((5, 2)), np.zeros((50, 2)))
