"""Shapes with known factors: areas and places in closed form, and what a factor changes."""

import numpy as np
import pytest

from gen.data import load, shapes
from gen.errors import UserError

SIZE, PARTS = 64, {"name": "shapes", "size": 32, "examples": 40, "test_examples": 400}


@pytest.fixture(scope="module")
def dataset():
    return load(PARTS)


def image(shape, scale=5, orientation=0, y=8, x=8):
    return shapes.images(np.int32([[shape, scale, orientation, y, x]]), SIZE)[0, ..., 0] / 255


@pytest.mark.parametrize(("shape", "area"), [(0, 2.0), (1, np.pi / 2), (2, 1.790)])
def test_areas_in_units_of_the_squared_radius(shape, area):
    """The heart's, 3.660 for its curve by quadrature, over 1.43^2."""
    for scale, factor in ((0, 0.5), (5, 1.0)):
        found = image(shape, scale, orientation=7).sum() / (SIZE * shapes.RADIUS * factor) ** 2
        assert found == pytest.approx(area, rel=0.02)


def test_the_centre_of_mass_is_the_place():
    x = image(0, y=15, x=0)
    pixel = (np.arange(SIZE) + 0.5) / SIZE
    assert (x.sum(1) @ pixel / x.sum(), x.sum(0) @ pixel / x.sum()) == pytest.approx((0.75, 0.25), abs=1e-3)


def test_an_ellipse_points_where_its_orientation_says():
    x, pixel = image(1, orientation=10), np.arange(SIZE) + 0.5
    up, right = np.meshgrid(-(pixel - pixel[x.sum(1) > 0].mean()), pixel - pixel[x.sum(0) > 0].mean(), indexing="ij")
    covariance = (x * up * right).sum() / (x * (up**2 + right**2) / 2).sum()
    assert covariance == pytest.approx((1 - 0.25) / (1 + 0.25), abs=0.02)  # its long axis at 45 degrees


def test_no_shape_reaches_the_border_and_all_images_differ(dataset):
    x = dataset.test["x"]
    assert x.shape == (400, 32, 32, 1) and x.dtype == np.uint8 and x.max() == 255
    assert max(x[:, [0, -1]].max(), x[:, :, [0, -1]].max()) == 0
    factors = np.unique(dataset.test["factors"], axis=0)
    assert len(np.unique(x.reshape(400, -1), axis=0)) > 0.99 * len(factors)


def test_factors_belong_to_their_images_and_are_equally_likely(dataset):
    assert dataset.spec[:3] == ((32, 32, 1), 3, "unit")
    factors = dataset.test["factors"]
    np.testing.assert_array_equal(shapes.images(factors[:9], 32), dataset.test["x"][:9])
    np.testing.assert_array_equal(factors[:, 0], dataset.test["label"])
    assert (factors >= 0).all() and (factors.max(0) == np.array(shapes.VALUES) - 1).all()
    correlation = np.corrcoef(factors.T) - np.eye(5)
    assert np.abs(correlation).max() < 0.2


def test_the_seed_decides(dataset):
    again, other = load(PARTS | {"test_examples": 5}), load(PARTS | {"test_examples": 5, "seed": 1})
    np.testing.assert_array_equal(again.train["x"], dataset.train["x"])
    assert (other.train["factors"] != dataset.train["factors"]).any()


def test_mistakes_are_explained():
    with pytest.raises(UserError, match="size=4"):
        load({"name": "shapes", "size": 4})
