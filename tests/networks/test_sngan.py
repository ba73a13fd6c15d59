"""SNGAN's convolutional networks and the forms of DCGAN's: their sizes are those of the released code."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.errors import UserError
from gen.networks import DECODERS, ENCODERS
from gen.networks.dcgan import levels
from tests.helpers import parameter_counts

KEY = jax.random.key(0)
PARAMETERS = {
    "dcgan": (11_429_632, 4_309_441), "wgan": (3_584_003, 5_860_865), "wgan_gp": (3_584_003, 5_860_865),
    "sngan": (3_584_003, 5_860_865), "wgan_gp_resnet": (4_276_739, 1_053_825), "sngan_resnet": (4_276_739, 1_053_824),
}
"""Of generator and discriminator in w86763777/pytorch-gan-collections, counted there."""


@pytest.mark.slow
@pytest.mark.parametrize("method", PARAMETERS)
def test_players_of_the_table_have_as_many_parameters_as_the_released_ones(method):
    assert parameter_counts(f"cifar10_unconditional.py:{method}") == PARAMETERS[method]


def test_maps_shrink_three_times_and_a_size_that_does_not_is_one_line():
    network = ENCODERS["sngan"](width=2)
    for side in (32, 48):
        shapes, _ = jax.eval_shape(partial(network.init_with_output, KEY, train=True), jnp.ones((1, side, side, 3)))
        assert shapes.shape == (1, (side // 8) ** 2 * 16)
        made = DECODERS["sngan"](shape=(side, side, 3), width=2)
        shapes, _ = jax.eval_shape(partial(made.init_with_output, KEY, train=True), jnp.ones((1, 5)))
        assert shapes.shape == (1, side, side, 3)
    with pytest.raises(UserError, match="halve square images three times"):
        network.init(KEY, jnp.ones((1, 28, 28, 1)), train=True)


@pytest.mark.slow
def test_the_discriminator_is_its_formula():
    """Three 3x3 and 4x4 convolutions by lax, leaky ReLU of slope 0.1."""
    network, x = ENCODERS["sngan"](width=2), jax.random.normal(KEY, (2, 16, 16, 3))
    params = network.init(KEY, x, train=True)["params"]
    h = x
    for i in range(7):
        stride = 2 if i in (1, 3, 5) else 1
        kernel = params[f"Conv_{i}"]["kernel"]
        assert kernel.shape[:2] == ((4, 4) if stride == 2 else (3, 3))
        h = jax.lax.conv_general_dilated(h, kernel, (stride, stride), ((1, 1), (1, 1)),
                                         dimension_numbers=("NHWC", "HWIO", "NHWC")) + params[f"Conv_{i}"]["bias"]
        h = jnp.where(h > 0, h, 0.1 * h)
    np.testing.assert_allclose(network.apply({"params": params}, x, train=True), h.reshape(2, -1), rtol=0, atol=1e-6)


def test_dcgans_maps_may_shrink_further_with_a_5x5_window_and_norm_after_the_activation():
    assert levels((32, 32, 3), 2) == (2, 4) and levels((32, 32, 3)) == (4, 3)
    with pytest.raises(UserError, match="smallest=3"):
        levels((32, 32, 3), 3)
    x, means = jax.random.normal(KEY, (8, 8, 8, 3)), {}
    for last in (True, False):
        network = ENCODERS["dcgan"](width=2, kernel_size=5, smallest=2, norm_last=last, bias=False)
        features, variables = network.init_with_output(KEY, x, train=True)
        params = variables["params"]
        assert params["Conv_0"].keys() == {"kernel"} and params["Conv_1"]["kernel"].shape == (5, 5, 2, 4)
        means[last] = jnp.abs(features.reshape(8, 2, 2, 4).mean((0, 1, 2)))
    assert (means[True] < 1e-5).all() and (means[False] > 0.1).all()  # with norm_last it is the last layer
