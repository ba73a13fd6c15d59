"""The dispatch by shape, and pictures of points."""

import numpy as np
import pytest
from ml_collections import ConfigDict
from scipy import stats

from gen.data import Spec
from gen.errors import UserError
from gen.figures import data_picture, sample_picture, scene
from gen.figures.grids import image_grid
from gen.figures.points import field_grid, outside_count, place, plot_limits, scatter_picture


@pytest.mark.parametrize(("scale", "values"), [("unit", [0.0, 0.5, 1.0]), ("symmetric", [-1.0, 0.0, 1.0])])
def test_images_in_data_units_become_a_grid_of_pixels(scale, values):
    samples = np.stack([np.full((8, 8, 1), v, np.float32) for v in values])
    pixels = np.array([0, 128, 255], np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 1), np.uint8)
    picture = sample_picture(samples, Spec((8, 8, 1), 0, scale), rows=1)
    np.testing.assert_array_equal(picture, image_grid(pixels, rows=1))


def test_uint8_images_are_drawn_as_they_are_and_data_is_not_needed():
    images = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    np.testing.assert_array_equal(sample_picture(images, Spec((4, 4, 3), 0, "unit"), images), image_grid(images))


def test_points_become_a_scatter_in_limits_of_the_data():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(200, 2)).astype(np.float32)
    near, far = data[:50] * 0.5, data[:50] * 0.5 + 1000
    spec = Spec((2,), 1, "real")
    picture = sample_picture(near, spec, data)
    assert picture.shape == (480, 480, 3) and picture.dtype == np.uint8
    orange = lambda p: ((p[..., 0] > 200) & (p[..., 2] < 90)).sum()  # noqa: E731
    # Of samples far outside, nothing is drawn but the mark in the legend.
    assert orange(picture) > 10 * orange(sample_picture(far, spec, data))


def test_other_shapes_are_a_user_error():
    with pytest.raises(UserError, match="sample_every"):
        sample_picture(np.zeros((3, 5), np.float32), Spec((5,), 0, "real"))


def test_limits_are_square_around_the_data_whatever_its_outliers():
    points = np.concatenate([np.random.default_rng(1).uniform(-1, 1, (10_000, 2)) * [2, 1] + [3, 0], [[1e6, 0]]])
    left, right, bottom, top = plot_limits(points, margin=0.0)
    assert right - left == pytest.approx(top - bottom)
    np.testing.assert_allclose([left, right, (bottom + top) / 2], [1, 5, 0], atol=0.05)


def test_samples_outside_and_not_finite_are_counted():
    points = np.array([[0, 0], [2, 0], [0, -2], [np.nan, 0], [1, 1]])
    assert outside_count(points, (-1.0, 1.0, -1.0, 1.0)) == 3


def test_field_grid_has_y_along_rows_and_x_along_columns():
    log_density = stats.multivariate_normal([1.0, -0.5], [0.3, 0.7]).logpdf
    grid = field_grid(log_density, (-2.0, 2.0, -3.0, 1.0), resolution=5)
    np.testing.assert_allclose(grid.values[1, 3], log_density([grid.x[3], grid.y[1]]), rtol=1e-5)
    np.testing.assert_allclose((grid.x[[0, -1]], grid.y[[0, -1]]), [[-2, 2], [-3, 1]])


def test_contours_and_a_discriminator_change_the_picture_where_they_should():
    points = np.random.default_rng(0).normal(size=(20, 2)) * 0.05
    limits = (-1.0, 1.0, -1.0, 1.0)
    plain = scatter_picture(points, limits=limits)
    contours = scatter_picture(points, limits=limits, log_density=lambda p: -2 * (p**2).sum(-1))
    divided = scatter_picture(points, limits=limits, discriminator=lambda p: 20 * p[:, 0]).astype(int)
    assert (plain != contours).any()
    green_minus_red = divided[..., 1] - divided[..., 0]
    assert green_minus_red[240, 400] > 20 and green_minus_red[240, 100] < -20


def test_the_scene_of_points_is_their_data_density_and_discriminator():
    """A conditional discriminator has no one field; what the data is not, is not drawn; images need nothing."""
    data, methods = np.zeros((3, 2), np.float32), {"discriminate": lambda state, x: state * x[:, 0]}
    ring = {"data": {"name": "ring", "std": 0.1}}
    shown = scene(ConfigDict(ring), methods, 2.0, data)
    assert shown.keys() == {"data", "log_density", "discriminator"}
    np.testing.assert_allclose(shown["discriminator"](np.float32([[3, 0]])), [6])
    assert scene(ConfigDict(ring | {"conditioning": {"name": "projection"}}), methods, 2.0, data).keys() == {
        "data", "log_density"}
    assert scene(ConfigDict({"data": {"name": "ring", "std": 0.0}}), {}, 2.0, data).keys() == {"data"}
    assert scene(ConfigDict(ring), methods, 2.0, np.zeros((3, 8, 8, 1))) == {}


def test_points_of_a_line_are_a_histogram_over_the_density():
    """The area of the samples moves with them, the discriminator's line with its logits."""
    x = np.random.default_rng(0).normal(size=(500, 1)).astype(np.float32)
    known = {"data": x, "log_density": lambda x: stats.norm.logpdf(x[:, 0])}
    pictures = [sample_picture(x + shift, Spec((1,), 0, "real"), **known,
                               discriminator=lambda x, slope=slope: slope * x[:, 0])
                for shift, slope in ((0.0, 1.0), (1.0, 1.0), (0.0, 5.0))]
    assert (pictures[0] != pictures[1]).any() and (pictures[0] != pictures[2]).any()


def orange(picture):
    red, _, blue = np.moveaxis(picture.astype(int), -1, 0)
    return int((red - blue > 70).sum())


def test_data_that_is_a_single_point_leaves_room_for_samples_around_it():
    """As the Dirac-GAN's, whose fake point circles around the real one at a distance of up to two."""
    data, angle = np.zeros((100, 2), np.float32), np.linspace(0, 2 * np.pi, 60)
    circle = np.float32(2 * np.stack([np.cos(angle), np.sin(angle)], -1))
    assert outside_count(circle, plot_limits(data)) == 0
    marks = orange(scatter_picture(circle, data)) - orange(scatter_picture(circle[:1] + 100, data))
    assert marks > 200


def test_a_picture_of_real_examples_has_neither_samples_nor_a_discriminator():
    data = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    spec = Spec((2,), 1, "real")
    assert orange(sample_picture(data, spec, data)) > 500
    picture = data_picture(data, spec)
    assert orange(picture) == 0 and np.ptp(picture.astype(int), axis=-1).max() < 60  # greys, and the white page
    images = np.zeros((4, 8, 8, 1), np.uint8)
    np.testing.assert_array_equal(data_picture(images, Spec((8, 8, 1), 0, "unit")), image_grid(images))
    with pytest.raises(UserError, match="sample_every"):
        data_picture(np.zeros((3, 5), np.float32), Spec((5,), 0, "real"))


def test_a_picture_of_real_numbers_has_their_density_alone():
    data, spec = np.random.default_rng(0).normal(size=(500, 1)).astype(np.float32), Spec((1,), 1, "real")
    density = lambda x: stats.norm.logpdf(x[:, 0])  # noqa: E731
    assert orange(sample_picture(data, spec, data, log_density=density)) > 1_000
    assert orange(data_picture(data, spec, density)) == 0


@pytest.mark.slow
def test_samples_may_have_colours_of_their_own():
    samples, limits = np.array([[-1.0, 0.0], [1.0, 0.0]]), (-2.0, 2.0, -2.0, 2.0)
    colours = np.array([[255, 0, 0], [0, 0, 255]], np.uint8)
    picture = scatter_picture(samples, limits=limits, colours=colours)
    for sample, colour in zip(samples, colours, strict=True):
        x, y = place(sample, limits)
        np.testing.assert_allclose(picture[int(y * 480), int(x * 480)].astype(int), colour, atol=2)
