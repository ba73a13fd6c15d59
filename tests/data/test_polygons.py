import numpy as np
import pytest
from ml_collections import ConfigDict

from gen.data import load
from gen.data.polygons import RADIUS, SIDES, SIZE, Pose, project, render
from gen.errors import UserError
from gen.evaluation import EVALUATORS, Subject
from gen.evaluation.polygons import BINS, TOLERANCE, cell

CONFIG = ConfigDict({"data": {"name": "polygons", "range": "symmetric", "examples": 50, "test_examples": 600}})


@pytest.fixture(scope="module")
def dataset():
    return load(CONFIG.data)


@pytest.fixture(scope="module")
def projected(dataset):
    return project(np.float32(dataset.test["x"]) / 255)


def area(k):
    return k / 2 * RADIUS**2 * np.sin(2 * np.pi / k)


@pytest.mark.parametrize("k", [3, 4, 5, 8])
@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_rendered_mass_is_the_area(k, angle):
    image = np.asarray(render(np.float32([13.3, 15.1, angle]), k, SIZE, RADIUS, 8))
    assert image.sum() == pytest.approx(area(k), rel=0.01)


def test_sides_parallel_to_the_axes_are_exact():
    """A square of apothem 3 around (14.25, 14): 6 columns wholly covered, rows 11 and 17 to 3/4 and 1/4."""
    image = np.asarray(render(np.float32([14.25, 14, 0]), 4, 28, 3 * np.sqrt(2), 4))
    expected = np.zeros((28, 28))
    expected[11:18, 11:17] = 1
    expected[11], expected[17] = expected[11] * 0.75, expected[17] * 0.25
    np.testing.assert_allclose(image, expected, atol=1e-5)


@pytest.mark.slow
def test_rotation_by_a_full_symmetry_changes_nothing():
    place = np.float32([14, 13, 0.4])
    for k in SIDES:
        turned = place + np.float32([0, 0, 2 * np.pi / k])
        np.testing.assert_allclose(render(place, k, 28, 7.0, 5), render(turned, k, 28, 7.0, 5), atol=1e-5)


@pytest.mark.slow
def test_data(dataset):
    assert dataset.spec[:3] == ((28, 28, 1), 3, "symmetric")
    x, label = dataset.test["x"], dataset.test["label"]
    assert x.dtype == np.uint8 and x.max() == 255
    assert max(x[:, [0, -1]].max(), x[:, :, [0, -1]].max()) < 128  # corners are blurred by half a pixel
    for i, k in enumerate(SIDES):
        np.testing.assert_allclose(x[label == i].sum((1, 2, 3)) / 255, area(k), rtol=0.03)
    again = load({"name": "polygons", "examples": 50, "test_examples": 9})
    np.testing.assert_array_equal(again.train["x"], dataset.train["x"])
    np.testing.assert_array_equal(again.train["label"], dataset.train["label"])
    assert not np.array_equal(load({"name": "polygons", "examples": 9, "seed": 1}).train["x"], dataset.train["x"][:9])


@pytest.mark.slow
def test_projection_of_data_finds_them_up_to_rounding(dataset, projected):
    np.testing.assert_array_equal(projected.pose.sides, np.array(SIDES)[dataset.test["label"]])
    assert projected.distance.max() < 0.01


@pytest.mark.slow
def test_projection_finds_the_parameters():
    rng = np.random.default_rng(0)
    centre, angle, k = rng.uniform(8, 20, (40, 2)), rng.uniform(0, 2 * np.pi / 5, 40), rng.choice(SIDES, 40)
    places = np.float32(np.column_stack([centre, angle]))
    x = np.stack([render(place, int(n), SIZE, RADIUS, 5) for place, n in zip(places, k, strict=True)])
    pose, distance = project(np.float32(x)[..., None])
    np.testing.assert_allclose(pose.centre, centre, atol=1e-3)
    np.testing.assert_array_equal(pose.sides, k)
    turn = 2 * np.pi / k
    np.testing.assert_allclose((pose.angle - angle + turn / 2) % turn, turn / 2, atol=1e-3)
    assert distance.max() < 1e-3


@pytest.mark.slow
def test_other_images_are_far_from_the_manifold():
    row, column = np.mgrid[:28, :28] + 0.5
    disc = np.clip(6.5 - np.hypot(row - 14, column - 14), 0, 1)
    small = np.asarray(render(np.float32([14, 14, 0]), 4, 28, 5.0, 4))
    hexagon = np.asarray(render(np.float32([14, 14, 0]), 6, 28, 7.0, 6))
    two = np.maximum(render(np.float32([8, 8, 0]), 4, 28, 7.0, 4), render(np.float32([20, 20, 0]), 4, 28, 7.0, 4))
    x = np.float32(np.stack([disc, small, hexagon, two, np.zeros((28, 28)), np.ones((28, 28))]))[..., None]
    distance = project(x).distance
    assert distance.min() > 1.2 * TOLERANCE and distance[4] == pytest.approx(1, abs=1e-5)
    assert np.isfinite(distance).all()


@pytest.mark.slow
def test_cells_are_equally_likely(projected):
    counts = np.bincount(cell(projected.pose, SIDES, SIZE, RADIUS), minlength=3 * BINS**3)
    assert len(counts) == 192
    assert ((counts - 600 / 192) ** 2).sum() / (600 / 192) == pytest.approx(191, abs=5 * np.sqrt(2 * 191))


def test_cell_numbers():
    poses = Pose(np.array([[8.0, 8.0], [19.99, 8.0], [8.0, 14.1]]), np.array([0.0, 0.0, 1.0]), np.array([3, 4, 5]))
    np.testing.assert_array_equal(cell(poses, SIDES, SIZE, RADIUS), [0, 64 + 3 * 16, 128 + 2 * 4 + 3])


@pytest.mark.slow
def test_evaluator(dataset):
    """Of half of the polygons: full precision, the recall of their cells. Of noise: nothing."""
    real = np.float32(dataset.test["x"]) / 127.5 - 1
    triangles = real[dataset.test["label"] == 0]
    found = EVALUATORS["polygons"](Subject(lambda n: triangles[:n], dataset, CONFIG), samples=len(triangles))
    name = f"polygons_{len(triangles)}"
    assert found[f"precision_{name}"] == 1 and 0.25 < found[f"recall_{name}"] <= 1 / 3
    assert found[f"reverse_kl_{name}"] == pytest.approx(np.log(3), abs=0.25)
    assert found[f"precision_{name}_real"] == 1
    assert found[f"recall_{name}_real"] == pytest.approx(1 - np.exp(-len(triangles) / 192), abs=0.07)
    noise = np.random.default_rng(0).uniform(-1, 1, (20, 28, 28, 1))
    assert EVALUATORS["polygons"](Subject(lambda n: noise, dataset, CONFIG), 20)["precision_polygons_20"] == 0


@pytest.mark.parametrize("option", [{"sides": ()}, {"sides": (2, 3)}, {"radius": 13.0}, {"examples": 0}])
def test_impossible_polygons(option):
    with pytest.raises(UserError, match="Polygons need"):
        load({"name": "polygons", **option})
