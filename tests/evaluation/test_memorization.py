import numpy as np
import pytest
from ml_collections import ConfigDict
from scipy.spatial.distance import cdist
from scipy.stats import mannwhitneyu

from gen.data import load
from gen.errors import UserError
from gen.evaluation import Subject, memorization
from gen.evaluation.memorization import copying, nearest, picture

DIGITS = ConfigDict({"data": {"name": "digits", "range": "symmetric", "binarize": "none"}})


@pytest.fixture(scope="module")
def digits():
    return load(DIGITS.data)


def units(x):
    return np.float32(x) / 127.5 - 1


def test_nearest_is_that_of_all_distances(monkeypatch):
    rng = np.random.default_rng(0)
    x, train = rng.normal(size=(33, 5)) + 100, rng.normal(size=(47, 5)) + 100
    monkeypatch.setattr(memorization, "ROWS", 10)
    monkeypatch.setattr(memorization, "COLUMNS", 9)
    found, all_ = nearest(x, train), cdist(x, train)
    np.testing.assert_array_equal(found.index, all_.argmin(1))
    np.testing.assert_allclose(found.distance, all_.min(1))
    np.testing.assert_array_equal(nearest(train, train).distance, 0)


def test_copying_is_the_mann_whitney_statistic():
    rng = np.random.default_rng(1)
    samples, held_out = rng.integers(0, 9, 40).astype(float), rng.integers(2, 12, 30).astype(float)
    u = mannwhitneyu(held_out, samples).statistic
    found = copying(samples, held_out)
    assert found["nearer"] == pytest.approx(u / (40 * 30))
    assert found["near_copies"] == (samples < np.quantile(held_out, 0.01)).mean()
    assert copying(held_out, held_out) == {"nearer": pytest.approx(0.5), "near_copies": pytest.approx(1 / 30, abs=0.04)}


@pytest.mark.slow
def test_copies_blends_and_fresh_examples(digits):
    """Training images with a little noise are found out; test images are not."""
    noise = np.random.default_rng(2).normal(0, 0.01, (100, 8, 8, 1))
    rows = {
        "copies": units(digits.train["x"][:100]) + noise,
        "fresh": units(digits.test["x"][:100]),
        "noise": noise * 100,
    }
    found = {}
    for name, x in rows.items():
        result = memorization.memorization(Subject(lambda n, x=x: x[:n], digits, DIGITS), 100, features="raw")
        found[name] = result["nearer_raw_100_train"], result["near_copies_raw_100_train"]
        assert result["nearer_raw_148_train_real"] == pytest.approx(0.5, abs=0.08)
        assert result["near_copies_raw_148_train_real"] < 0.05
    assert found["copies"] == (1, 1)
    assert found["fresh"][0] == pytest.approx(0.5, abs=0.1) and found["fresh"][1] < 0.05
    assert found["noise"] == (0, 0)


def test_picture_shows_the_copied_image_beside_the_sample(digits):
    x = units(digits.train["x"][[5, 9]])
    image = picture(Subject(lambda n: x[:n], digits, DIGITS), samples=2, neighbours=3, features="raw")
    side = (image.shape[0] - 3 * 2) // 2
    assert image.shape[:2] == (2 * side + 6, 4 * side + 10)
    for row in range(2):
        top = 2 + row * (side + 2)
        cells = [image[top : top + side, 2 + i * (side + 2) :][:, :side] for i in range(4)]
        np.testing.assert_array_equal(cells[0], cells[1])
        assert not np.array_equal(cells[1], cells[2])
        np.testing.assert_array_equal(cells[0][:: side // 8, :: side // 8], digits.train["x"][[5, 9][row]])


def test_nothing_to_memorise_on_the_fly(digits):
    config = ConfigDict({"data": {"name": "stacked_mnist", "range": "unit", "binarize": "none"}})
    with pytest.raises(UserError, match="on the fly"):
        memorization.memorization(Subject(None, digits, config))
