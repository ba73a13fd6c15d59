import numpy as np
import pytest
from ml_collections import ConfigDict

from gen.data import load
from gen.errors import UserError
from gen.evaluation import Subject, features, modes
from gen.evaluation.modes import Coverage, coverage, digit_modes, reverse_kl

MEANS = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])


def test_coverage_counts_good_samples_of_each_mode():
    """Within 3 std, border included: 3 good samples of mode 0, 1 of mode 1; mode 2 has a bad one, mode 3 none."""
    samples = np.array([[0, 0], [3, 0], [0, -2.9], [10, 1], [0, 13.01]])
    found = coverage(samples, MEANS, 1.0)
    p = np.array([3, 1]) / 4
    assert found == (2, 0.8, pytest.approx((p * np.log(4 * p)).sum()))


@pytest.mark.parametrize("seen", [1, 2, 4])
def test_even_coverage_of_some_modes(seen):
    """KL(uniform on `seen` of 4 modes || uniform) = log(4 / seen)."""
    samples = np.repeat(MEANS[:seen], 50, axis=0)
    assert coverage(samples, MEANS, 0.1) == Coverage(seen, 1.0, pytest.approx(np.log(4 / seen), abs=1e-12))


def test_no_good_sample():
    assert coverage(MEANS + 5, MEANS, 1.0) == (0, 0.0, np.inf)


def test_distance_is_euclidean():
    """A square box of half width 3 std would count this sample."""
    assert coverage(np.array([[2.5, 2.5]]), MEANS, 1.0).modes == 0


def test_evaluator_with_its_real_row():
    config = ConfigDict({"data": {"name": "ring", "modes": 8, "radius": 1.0, "std": 0.01}})
    dataset = load(config.data)
    collapsed = Subject(lambda n: np.tile(np.float32([[1, 0]]), (n, 1)), dataset, config)
    found = modes.modes(collapsed)
    assert (found["modes"], found["high_quality"]) == (1, 1) and found["reverse_kl"] == pytest.approx(np.log(8))
    assert found["modes_real"] == 8 and found["reverse_kl_real"] < 0.01
    assert found["high_quality_real"] == pytest.approx(1 - np.exp(-4.5), abs=0.01)  # of a 2-D Gaussian within 3 std
    assert all(isinstance(value, float) for value in found.values())


def test_reverse_kl_of_a_perfect_sampler():
    """With n draws over m modes it is (m - 1) / (2 n) on average, which explains 0.019 of stacked MNIST."""
    rng = np.random.default_rng(0)
    draws = [reverse_kl(np.bincount(rng.integers(1_000, size=26_000), minlength=1_000)) for _ in range(20)]
    assert np.mean(draws) == pytest.approx(999 / 52_000, rel=0.05)


def test_digit_modes():
    counts = np.zeros(1_000, int)
    counts[:10], counts[500:504] = 5, 1
    found = digit_modes(counts)
    p = counts[counts > 0] / 54
    assert (found["modes"], found["modes5"]) == (14, 10)
    assert found["reverse_kl"] == pytest.approx(np.log(1_000) + (p * np.log(p)).sum())
    assert found["effective_modes"] == pytest.approx(np.exp(-(p * np.log(p)).sum()))
    assert digit_modes(np.ones(1_000, int))["effective_modes"] == pytest.approx(1_000)
    assert digit_modes(np.zeros(1_000, int))["effective_modes"] == 0


@pytest.fixture
def levels(monkeypatch):
    """MNIST with constant images of brightness 20 x label, and a classifier that reads the brightness."""
    label = np.arange(40, dtype=np.int32) % 10
    part = {"x": np.broadcast_to((20 * label).astype(np.uint8)[:, None, None, None], (40, 28, 28, 1)), "label": label}
    monkeypatch.setattr("gen.data.images.mnist", lambda *args, **options: (part, part, 10))
    model = features.classifier.Classifier({}, 1.0, (28, 28, 1), 10)

    def outputs(classifier, x):
        level = np.rint(x.mean((1, 2, 3)) * 255 / 20).astype(int)
        return np.eye(10, dtype=np.float32)[level], np.eye(10, dtype=np.float32)[level]

    monkeypatch.setattr(features.classifiers, "load", lambda data, spec, folder, network: model)
    monkeypatch.setattr(features.classifier, "outputs", outputs)


@pytest.mark.parametrize("name", ["stacked_mnist", "stacked_mnist_fixed"])
def test_stacked_modes_read_each_channel(levels, name):
    """Samples of digits (1, 2, 3), (1, 2, 4), ... are counted as such; the real row draws all digits."""
    config = ConfigDict({"data": {"name": name, "range": "symmetric", "binarize": "none"}})
    triples = np.array([[1, 2, 3]] * 6 + [[9, 8, 7]] * 2)
    x = np.float32(triples * 20 / 127.5 - 1)[:, None, None] * np.ones((1, 28, 28, 1), np.float32)
    found = modes.stacked_modes(Subject(lambda n: x, load(config.data), config), samples=4_000)
    assert (found["modes_lenet_8"], found["modes5_lenet_8"]) == (2, 1)
    assert found["effective_modes_lenet_8"] == pytest.approx(np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25))))
    assert 970 < found["modes_lenet_4k_real"] < 994  # 1000 (1 - exp(-4)) = 982
    assert found["reverse_kl_lenet_4k_real"] == pytest.approx(999 / 8_000, rel=0.2)


def test_stacked_modes_of_other_data():
    config = ConfigDict({"data": {"name": "digits", "range": "unit", "binarize": "none"}})
    with pytest.raises(UserError, match="stacked_mnist.*'digits'"):
        modes.stacked_modes(Subject(None, load(config.data), config))
