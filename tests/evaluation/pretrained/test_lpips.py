"""LPIPS with random weights against plain convolutions and its formula; what it is told wrongly is one line."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.errors import UserError
from gen.evaluation.pretrained import lpips, weights
from gen.evaluation.pretrained.lpips import LPIPS, converted, normalised, tensor_shapes
from gen.evaluation.pretrained.weights import Weights

RNG = np.random.default_rng(0)


def random_tensors(trunk: str) -> dict[str, np.ndarray]:
    """Of about unit maps; the heads are positive, as the published ones are."""
    found = {name: np.float32(RNG.normal(size=shape) * (2 / max(np.prod(shape[1:]), 1)) ** 0.5)
             for name, shape in tensor_shapes(trunk).items()}
    return {name: np.abs(value) if name.startswith("lin") else 0.1 * value if name.endswith("bias") else value
            for name, value in found.items()}


ALEX = random_tensors("alex")


@pytest.fixture
def loaded(monkeypatch):
    """Random weights in the place of the published ones."""
    monkeypatch.setattr(weights, "load", lambda published: Weights(converted("alex", ALEX), "ab" * 32, "alex"))


def images(n: int = 3, side: int = 40) -> np.ndarray:
    return np.float32(RNG.uniform(-1, 1, (n, side, side, 3)))


def alex_maps(x):
    """Of AlexNet, by XLA's convolutions."""
    found = []
    for index, stride, padding, pool in ((0, 4, 2, False), (3, 1, 2, True), (6, 1, 1, True), (8, 1, 1, False),
                                         (10, 1, 1, False)):
        if pool:
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 3, 3), (1, 1, 2, 2), "VALID")
        kernel = ALEX[f"features.{index}.weight"]
        x = jax.lax.conv_general_dilated(x, kernel, (stride, stride), [(padding, padding)] * 2)
        x = jnp.maximum(x + ALEX[f"features.{index}.bias"][:, None, None], 0)
        found.append(np.float64(x))
    return found


def test_the_distance_is_the_formula(loaded):
    x, y = images(), images()
    shift, scale = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
    maps = [alex_maps(jnp.float32(((image - shift) / scale).transpose(0, 3, 1, 2))) for image in (x, y)]
    expected = 0
    for i, (a, b) in enumerate(zip(*maps, strict=True)):
        a, b = (m / np.linalg.norm(m, axis=1, keepdims=True) for m in (a, b))
        expected = expected + ((a - b) ** 2 * ALEX[f"lin{i}.model.1.weight"]).sum(1).mean((1, 2))
    np.testing.assert_allclose(lpips.lpips(x, y, "alex"), expected, rtol=2e-5)


def test_a_distance(loaded):
    x, y = images(), images()
    np.testing.assert_array_equal(lpips.lpips(x, x, "alex"), np.zeros(3))
    np.testing.assert_allclose(lpips.lpips(x, y, "alex"), lpips.lpips(y, x, "alex"), rtol=1e-6)
    nearer = lpips.lpips(x, x + 0.1 * (y - x), "alex")
    assert (nearer < lpips.lpips(x, y, "alex")).all() and (nearer > 0).all()
    grey = x[..., :1]
    np.testing.assert_array_equal(lpips.lpips(grey, y[..., :1], "alex"),
                                  lpips.lpips(grey.repeat(3, -1), y[..., :1].repeat(3, -1), "alex"))


def test_gradients_are_those_of_differences(loaded):
    x, y, direction = images(1), images(1), images(1)
    gradient = jax.grad(lambda x: lpips.lpips(x, y, "alex")[0])(jnp.asarray(x))
    step = 2e-3
    ends = [float(lpips.lpips(x + sign * step * direction, y, "alex")[0]) for sign in (1, -1)]
    assert float((gradient * direction).sum()) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=0.05)
    assert np.isfinite(jax.grad(lambda x: lpips.lpips(x, x, "alex")[0])(jnp.asarray(x))).all()


def test_the_gradient_at_maps_of_zeros_is_zero():
    x = jnp.float32([[3, 4], [0, 0]])
    np.testing.assert_allclose(normalised(x), [[0.6, 0.8], [0, 0]], atol=1e-7)
    gradient = jax.grad(lambda x: normalised(x).sum())(x)
    np.testing.assert_allclose(gradient, [[0.2 - 0.6 * 1.4 / 5, 0.2 - 0.8 * 1.4 / 5], [0, 0]], atol=1e-6)


@pytest.mark.parametrize("trunk, numbers, heads", [("vgg", 14_714_688, 1_472), ("alex", 2_469_696, 1_152)])
def test_the_tensors_are_those_of_the_published_files(trunk, numbers, heads):
    shapes = tensor_shapes(trunk)
    count = {part: sum(int(np.prod(shape)) for name, shape in shapes.items() if name.startswith(part))
             for part in ("features", "lin")}
    assert count == {"features": numbers, "lin": heads}
    made = jax.eval_shape(LPIPS(trunk).init, jax.random.key(0), *2 * (jnp.zeros((1, 32, 32, 3)),))
    zeros = converted(trunk, {name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
    assert jax.tree.map(np.shape, made) == jax.tree.map(np.shape, zeros)


@pytest.mark.parametrize("trunk, last, fewer", [
    ("vgg", "features_28", lambda n: n // 16),
    ("alex", "features_10", lambda n: (((n - 7) // 4 + 1 - 3) // 2 + 1 - 3) // 2 + 1),
])
def test_the_smallest_images_leave_one_position(trunk, last, fewer):
    side = lpips.SMALLEST[trunk]
    image = jax.ShapeDtypeStruct((1, side, side, 3), np.float32)
    params = jax.eval_shape(LPIPS(trunk).init, jax.random.key(0), image, image)
    apply = partial(LPIPS(trunk).apply, capture_intermediates=True)
    _, state = jax.eval_shape(apply, params, image, image)
    assert state["intermediates"][last]["__call__"][0].shape[1:3] == (1, 1)
    assert fewer(side) == 1 and fewer(side - 1) == 0


def refused(*arguments) -> str:
    with pytest.raises(UserError) as error:
        lpips.lpips(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_cannot_be_compared(loaded):
    x = images()
    assert "of one size; these are [3, 40, 40, 3] and [2, 40, 40, 3]" in refused(x, x[:2], "alex")
    assert "1 or 3" in refused(x[..., :2], x[..., :2], "alex") and "[40, 40, 3]" in refused(x[0], x[0], "alex")
    assert "31 pixels a side at least; these are 30x40" in refused(x[:, :30], x[:, :30], "alex")
    assert "floats in [-1, 1], not uint8" in refused(np.uint8(x), x, "alex")
    assert "trunk of LPIPS 'squeeze'" in refused(x, x, "squeeze")


def test_absent_weights_name_the_command_and_both_files(tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path))
    message = refused(images(), images())
    assert "prepare_weights.py --name=lpips_vgg`" in message and "vgg16-397923af.pth, vgg.pth, in this order" in message
