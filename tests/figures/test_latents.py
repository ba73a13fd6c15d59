"""Latents to decode: quantiles of the manifold grid, great circles, traversals; and the pictures made of them."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gen.errors import UserError
from gen.figures.grids import load_png
from gen.figures.latents import (
    interpolation_latents,
    lerp,
    manifold_latents,
    manifold_picture,
    posterior_picture,
    reconstruction_picture,
    slerp,
    traversal_latents,
    write_manifold,
)


def pair(d=16, seed=0):
    return jax.random.normal(jax.random.key(seed), (2, 5, d))


def test_manifold_latents_are_midpoints_of_equal_probability():
    n = 7
    z = manifold_latents(n).reshape(n, n, 2)
    quantiles = (np.arange(n) + 0.5) / n
    np.testing.assert_allclose(stats.norm.cdf(z[..., 0]), np.tile(quantiles, (n, 1)), atol=1e-6)
    np.testing.assert_allclose(stats.norm.cdf(z[..., 1]), np.tile(quantiles[::-1, None], (1, n)), atol=1e-6)
    np.testing.assert_allclose(z.reshape(-1, 2).mean(0), 0, atol=1e-6)


@pytest.mark.parametrize("path", [lerp, slerp])
def test_paths_begin_and_end_at_their_endpoints(path):
    a, b = pair()
    np.testing.assert_allclose(path(a, b, 0.0), a, atol=1e-6)
    np.testing.assert_allclose(path(a, b, 1.0), b, atol=1e-6)


def test_slerp_of_equal_norms_is_a_great_circle_at_constant_speed():
    a, b = pair()
    a, b = (3 * x / jnp.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b))
    t = jnp.linspace(0, 1, 9)[:, None, None]
    path = np.asarray(slerp(a, b, t), np.float64)
    np.testing.assert_allclose(np.linalg.norm(path, axis=-1), 3, rtol=1e-5)
    angle = np.arccos(np.sum(np.asarray(a, np.float64) * np.asarray(b), -1) / 9)
    travelled = np.arccos(np.clip(np.sum(path[:-1] * path[1:], -1) / 9, -1, 1))
    np.testing.assert_allclose(travelled, np.tile(angle / 8, (8, 1)), rtol=1e-3)
    for i in range(path.shape[1]):
        assert np.linalg.matrix_rank(path[:, i], tol=1e-3) == 2  # in the plane of a and b


def test_slerp_of_orthogonal_axes_has_its_closed_form():
    angles = np.linspace(0, np.pi / 2, 5)
    path = slerp(jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]), jnp.linspace(0, 1, 5)[:, None])
    np.testing.assert_allclose(path, np.stack([np.cos(angles), np.sin(angles)], -1), atol=1e-6)


@pytest.mark.parametrize("b", [[1.0, 2.0], [2.0, 4.0], [-1.0, -2.0], [0.0, 0.0]])
def test_slerp_without_a_great_circle_is_linear(b):
    a, b = jnp.array([1.0, 2.0]), jnp.array(b)
    np.testing.assert_allclose(slerp(a, b, 0.25), lerp(a, b, 0.25), atol=1e-6)


def test_slerp_is_accurate_for_near_vectors_and_under_jit():
    a, b = jnp.array([1.0, 0.0]), jnp.array([np.cos(1e-3), np.sin(1e-3)], jnp.float32)
    np.testing.assert_allclose(jax.jit(slerp)(a, b, 0.5), [np.cos(5e-4), np.sin(5e-4)], atol=1e-7)


def test_interpolation_lays_each_path_in_a_row():
    a, b = pair(d=3)
    z = interpolation_latents(a, b, 4, path=lerp).reshape(5, 4, 3)
    np.testing.assert_allclose(z[:, 0], a, atol=1e-6)
    np.testing.assert_allclose(z[:, 3], b, atol=1e-6)
    np.testing.assert_allclose(z[2, 1], 2 / 3 * a[2] + 1 / 3 * b[2], atol=1e-6)


def test_traversal_changes_one_coordinate_per_row():
    z, values = jnp.array([0.1, 0.2, 0.3, 0.4]), np.array([-2.0, 0.0, 2.0])
    grid = traversal_latents(z, np.array([3, 1]), values).reshape(2, 3, 4)
    np.testing.assert_allclose(grid[0, :, 3], values)
    np.testing.assert_allclose(grid[1, :, 1], values)
    np.testing.assert_allclose(grid[0, :, :3], np.tile(z[:3], (3, 1)))


def test_reconstructions_stand_right_of_their_inputs():
    inputs, outputs = (np.random.default_rng(s).integers(0, 256, (3, 64, 64, 1), dtype=np.uint8) for s in (0, 1))
    picture = reconstruction_picture(inputs, outputs, columns=2)
    width = 64 + 1 + 64 + 6
    np.testing.assert_array_equal(picture[6:70, 6 + width : 70 + width], inputs[1])
    np.testing.assert_array_equal(picture[6:70, 71 + width : 135 + width], outputs[1])
    np.testing.assert_array_equal(picture[76:140, 6:70], inputs[2])


def test_manifold_files_describe_the_tiles(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (9, 4, 5, 1), dtype=np.uint8)
    z = manifold_latents(3)
    picture = load_png(write_manifold(tmp_path, images, z))
    layout = json.loads((tmp_path / "manifold.json").read_text())
    assert (layout["rows"], layout["columns"], layout["tile"]) == (3, 3, [4, 5])
    np.testing.assert_array_equal(picture[4:8, 10:15], images[5])
    np.testing.assert_allclose(layout["z"], z, atol=1e-4)


def test_manifolds_that_do_not_fit_are_user_errors(tmp_path):
    images = np.zeros((8, 4, 4, 1), np.uint8)
    with pytest.raises(UserError, match="square"):
        manifold_picture(images)
    with pytest.raises(UserError, match="4 images but 9 latents"):
        write_manifold(tmp_path, images[:4], manifold_latents(3))


@pytest.mark.parametrize("classes", [2, 12])
def test_posterior_means_are_drawn_in_colours_of_their_classes(classes):
    rng = np.random.default_rng(0)
    labels = np.arange(300, dtype=np.int32) % classes
    picture = posterior_picture(rng.normal(size=(300, 2)), labels, size=300)
    assert picture.shape == (300, 300, 3)
    strong = picture[(picture.max(-1).astype(int) - picture.min(-1)) > 100]
    assert len(np.unique(strong // 64, axis=0)) >= min(classes, 4)
