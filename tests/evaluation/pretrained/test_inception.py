"""The network's layers against loops and Flax's, and its tensors; `tests/parity` compares all of it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.evaluation.pretrained import inception
from gen.evaluation.pretrained.inception import EPSILON, Unit, average_pool, folded, max_pool, pooled

RNG = np.random.default_rng(0)


def window(x, i, j):
    return x[max(i - 1, 0):i + 2, max(j - 1, 0):j + 2]


def test_average_pool_divides_by_the_pixels_that_are_there():
    x = jnp.float32(RNG.normal(size=(2, 5, 6, 3)))
    expected = [[[window(np.asarray(image), i, j).mean((0, 1)) for j in range(6)] for i in range(5)] for image in x]
    np.testing.assert_allclose(average_pool(x), expected, atol=1e-6)


def test_max_pools():
    x = jnp.float32(RNG.normal(size=(2, 9, 8, 3)) - 5)
    np.testing.assert_array_equal(max_pool(x), nn.max_pool(x, (3, 3), (2, 2), "VALID"))
    expected = [[[window(np.asarray(image), i, j).max((0, 1)) for j in range(8)] for i in range(9)] for image in x]
    np.testing.assert_array_equal(pooled(x, jnp.maximum, -np.inf), expected)


def test_batch_norm_is_folded_into_the_convolution():
    x = jnp.float32(RNG.normal(size=(2, 6, 6, 3)))
    kernel = np.float32(RNG.normal(size=(5, 3, 3, 3)))
    parts = {name: np.float32(RNG.uniform(0.5, 2, 5)) for name in ("weight", "bias", "running_mean", "running_var")}
    tensors = {"fc.weight": np.ones((2, 2), np.float32), "a.conv.weight": kernel}
    params = folded(tensors | {f"a.bn.{name}": values for name, values in parts.items()})["params"]["a"]
    params = jax.tree.map(jnp.asarray, params)
    y = nn.Conv(5, (3, 3), use_bias=False).apply({"params": {"kernel": kernel.transpose(2, 3, 1, 0)}}, x)
    y = (y - parts["running_mean"]) / np.sqrt(parts["running_var"] + EPSILON) * parts["weight"] + parts["bias"]
    np.testing.assert_allclose(Unit(5, (3, 3)).apply({"params": params}, x), np.maximum(y, 0), atol=1e-5)


@pytest.mark.slow
def test_the_tensors_are_those_of_the_published_checkpoint():
    """566 tensors with 23,885,486 numbers: 94 of them count batches, and one is the logits' bias; neither is used."""
    shapes = inception.tensor_shapes()
    assert len(shapes) == 566 - 94 - 1
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 23_885_486 - 94 - inception.LOGITS
    assert shapes["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert shapes["Mixed_6c.branch7x7dbl_2.conv.weight"] == (160, 160, 7, 1)
    assert shapes["Mixed_7c.branch3x3dbl_3b.bn.running_var"] == (384,) and shapes["fc.weight"] == (1_008, 2_048)


@pytest.mark.slow
def test_shapes_of_the_outputs():
    image = jax.ShapeDtypeStruct((2, 299, 299, 3), np.float32)
    found, _ = jax.eval_shape(inception.Inception().init_with_output, jax.random.key(0), image)
    assert [output.shape for output in found] == [(2, 2_048), (2, 1_008), (2, 2_023)]


@pytest.mark.parametrize("name", ["Mixed_6d"])
def test_the_spatial_outputs_are_of_the_first_branch(name):
    image = jax.ShapeDtypeStruct((1, 299, 299, 3), np.float32)
    model = inception.Inception()
    shapes = jax.eval_shape(lambda x: model.init_with_output(jax.random.key(0), x, capture_intermediates=True), image)
    assert shapes[1]["intermediates"][name]["branch1x1"]["__call__"][0].shape == (1, 17, 17, 192)
