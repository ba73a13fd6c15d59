"""R3GAN's networks: against the released code with the same weights, initial values, resampling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.networks import DECODERS, ENCODERS
from gen.networks.r3gan import Block, double, halve

KEY = jax.random.key(0)
TINY = {"width": 4, "largest": 8, "depth": 1, "groups": 2}
"""Widths of 4, 8, 8 at 16, 8 and 4 pixels: one of the two transitions changes the width."""


def applied(network, x):
    """The output with the weights 0.5 cos(i^2 (1 + k / 10)) at place i of the k-th array."""
    x = jnp.asarray(x, jnp.float32)
    shapes, tree = jax.tree.flatten(jax.eval_shape(lambda: network.init(KEY, x, train=True)))
    leaves = [jnp.asarray(0.5 * np.cos(np.arange(leaf.size) ** 2 * (1 + k / 10)).reshape(leaf.shape), jnp.float32)
              for k, leaf in enumerate(shapes)]
    return network.apply(jax.tree.unflatten(tree, leaves), x, train=True)


@pytest.mark.slow
def test_the_discriminator_is_the_released_one():
    """Values of R3GAN/Networks.py in torch: Discriminator([4, 8, 8], [2] * 3, [1] * 3, 2) without its last layer."""
    images = np.cos(np.arange(2 * 16 * 16 * 3) ** 2 * 0.7).reshape(2, 16, 16, 3)
    expected = [
        [0.781696, 0.0345718, -0.8693612, 0.1186017, 5.5838366, 1.1048706, 0.9044293, 0.5526044],
        [-1.232819, -0.1442277, -0.667593, 0.8457989, 7.3632131, 0.7486159, 1.0887312, 0.6539636],
    ]
    np.testing.assert_allclose(applied(ENCODERS["r3gan"](**TINY), images), expected, rtol=2e-5, atol=2e-5)


@pytest.mark.slow
def test_the_generator_is_the_released_one():
    """Values of R3GAN/Networks.py in torch: Generator(3, [8, 8, 4], [2] * 3, [1] * 3, 2)."""
    y = applied(DECODERS["r3gan"](shape=(16, 16, 3), **TINY), np.cos(np.arange(6) * 1.3).reshape(2, 3))
    corner = [[-0.4595253, 0.7295731, -1.0701783], [0.148939, 1.3731154, -1.4445168],
              [0.6654739, 1.4659805, -1.4761846]]
    edge = [[-1.1865807, -0.1251116, -1.5500906], [-1.0873176, -0.1652575, -1.6659441]]
    np.testing.assert_allclose(y[0, 0, :3], corner, rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(y[1, 15, 7:9], edge, rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(jnp.square(y).sum(), 6798.439, rtol=1e-5)


def test_one_by_one_convolutions_only_where_the_width_changes():
    """Of the image, and of 4 to 8 channels; not of 8 to 8."""
    shapes = jax.eval_shape(lambda: ENCODERS["r3gan"](**TINY).init(KEY, jnp.ones((2, 16, 16, 3)), train=True))["params"]
    found = [leaf["kernel"].shape for name, leaf in shapes.items() if name.startswith("Conv")]
    assert found == [(1, 1, 3, 4), (1, 1, 4, 8)]


@pytest.mark.slow
def test_r3gan_blocks_start_as_the_identity():
    block, x = Block(1.0, 2, 2, False, jnp.float32), jax.random.normal(KEY, (2, 4, 4, 4))
    y, variables = block.init_with_output(KEY, x, train=True)
    np.testing.assert_array_equal(y, x)
    inner = {"weights": 4 * 8 + 9 * 4 * 8 + 8 * 4, "biases": 8 + 8}
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == sum(inner.values())


@pytest.mark.slow
def test_r3gan_initial_values():
    """Standard deviation sqrt(2 / 1.04) L^(-1/4) / sqrt(fan_in) in a network of L blocks, here 3 stages of 1."""
    encoder = ENCODERS["r3gan"](width=64, groups=4, depth=1)
    init = jax.jit(lambda key: encoder.init(key, jnp.ones((2, 16, 16, 3)), train=True))
    params = init(KEY)["params"]["Block_0"]
    gain = np.sqrt(2 / 1.04) * 3**-0.25
    np.testing.assert_allclose(params["Conv_0"]["kernel"].std(), gain / np.sqrt(64), rtol=0.03)
    np.testing.assert_allclose(params["Conv_1"]["kernel"].std(), gain / np.sqrt(9 * 128 / 4), rtol=0.03)


@pytest.mark.slow
def test_resampling_keeps_constants_and_ramps_inside_and_pads_with_zeros():
    ramp = jnp.broadcast_to(jnp.arange(8.0)[None, :, None, None], (1, 8, 8, 1))
    np.testing.assert_allclose(double(ramp)[0, 2:-2, 4, 0], np.arange(1.0, 13) / 2 - 0.25 + 0.5, atol=1e-5)
    np.testing.assert_allclose(halve(ramp)[0, 1:-1, 2, 0], [2.5, 4.5], atol=1e-5)
    ones = jnp.ones((1, 8, 6, 2))
    down, up = halve(ones)[0, ..., 0], double(ones)[0, ..., 0]
    np.testing.assert_allclose(down, np.outer([7 / 8, 1, 1, 7 / 8], [7 / 8, 1, 7 / 8]), rtol=1e-6)
    np.testing.assert_allclose(up, np.outer([0.75, *[1] * 14, 0.75], [0.75, *[1] * 10, 0.75]), rtol=1e-6)
