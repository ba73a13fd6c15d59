import numpy as np
import pytest
from ml_collections import ConfigDict
from scipy import stats

from gen.data import load
from gen.data.mixtures import components, grid_means, log_density, ring_means
from gen.errors import UserError


def test_ring_has_eight_distinct_means_an_eighth_turn_apart():
    means, std = components({"name": "ring"})
    assert std == 0.01
    assert len(np.unique(means.round(9), axis=0)) == 8
    np.testing.assert_allclose(means[[0, 2, 4, 6]], [[1, 0], [0, 1], [-1, 0], [0, -1]], atol=1e-12)
    gaps = np.linalg.norm(means - np.roll(means, 1, axis=0), axis=1)
    np.testing.assert_allclose(gaps, 2 * np.sin(np.pi / 8))


def test_grid_is_the_published_one():
    means, std = components(ConfigDict({"name": "grid", "range": "unit"}))
    assert std == 0.05
    expected = [(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)]
    np.testing.assert_allclose(means, expected)


def test_options_move_the_components():
    means, std = components({"name": "ring", "modes": 3, "radius": 2.0, "std": 0.5})
    np.testing.assert_allclose(means, 2 * ring_means(3, 1.0))
    assert std == 0.5
    np.testing.assert_allclose(grid_means(2, 3.0), [[-1.5, -1.5], [-1.5, 1.5], [1.5, -1.5], [1.5, 1.5]])


def test_line_is_centred():
    means, std = components({"name": "line", "modes": 3, "spacing": 2.0})
    assert std == 0.5
    np.testing.assert_allclose(means, [[-2], [0], [2]])


@pytest.mark.parametrize("name", ["ring", "grid", "line"])
def test_log_density(name):
    """By scipy, component by component."""
    config = {"name": name, "std": 0.3}
    x, (means, std) = np.random.default_rng(0).normal(size=(7, 1 if name == "line" else 2)), components(config)
    parts = [stats.multivariate_normal(mean, std**2 * np.eye(len(mean))).pdf(x) for mean in means]
    np.testing.assert_allclose(log_density(config)(x), np.log(np.mean(parts, 0)), rtol=1e-10)
    with pytest.raises(UserError, match="no density"):
        log_density(config | {"std": 0.0})


@pytest.mark.parametrize("name", ["ring", "grid", "line"])
def test_points_are_the_mixture(name):
    config = {"name": name, "examples": 20_000}
    data = load(config)
    means, std = components(config)
    x, label = data.train["x"], data.train["label"]
    assert x.shape == (20_000, means.shape[1]) and x.dtype == np.float32 and label.dtype == np.int32
    assert stats.chisquare(np.bincount(label, minlength=len(means))).pvalue > 1e-3
    noise = (x - means[label]) / std
    assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(noise[:, 0], np.roll(noise[:, -1], name == "line"))[0, 1]) < 0.03


def test_spec_and_splits():
    data = load({"name": "ring", "range": "unit", "examples": 50, "test_examples": 30})
    assert data.spec[:3] == ((2,), 8, "real")
    assert len(data.train["x"]) == 50 and len(data.test["x"]) == 30
    assert not np.array_equal(data.train["x"][:30], data.test["x"])


def test_seed_fixes_the_draw():
    first, again = load({"name": "grid", "examples": 9}), load({"name": "grid", "examples": 9, "test_examples": 5})
    np.testing.assert_array_equal(first.train["x"], again.train["x"])
    assert not np.array_equal(first.train["x"], load({"name": "grid", "examples": 9, "seed": 1}).train["x"])


@pytest.mark.parametrize("option", [{"modes": 0}, {"std": -1.0}, {"examples": 0}, {"test_examples": 0}])
def test_impossible_mixtures(option):
    with pytest.raises(UserError, match=next(iter(option)).replace("std", "std=-1")):
        load({"name": "ring", **option})


def test_components_of_images():
    with pytest.raises(UserError, match="mixture 'mnist'.*grid, line, ring"):
        components({"name": "mnist"})
