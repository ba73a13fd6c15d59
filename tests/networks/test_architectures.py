"""Published architectures: parameter counts worked out by hand, initial values, and the maths of single blocks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.networks import DECODERS, ENCODERS
from gen.networks.attention import SelfAttention
from gen.networks.resnet import DownBlock, UpBlock, double, halve

KEY = jax.random.key(0)


def parameters(network, *args):
    params = jax.eval_shape(lambda key: network.init(key, *args, train=True), KEY)["params"]
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def test_pacgan_ring_generator():
    """4 layers [400 without bias, batch norm], a linear layer to 2."""
    decoder = DECODERS["mlp"](shape=(2,), hidden=(400,) * 4, batch_norm=True, kernel_init="normal")
    assert parameters(decoder, jnp.ones((2, 2))) == 2 * 400 + 3 * 400**2 + 4 * 2 * 400 + 400 * 2 + 2


def test_pacgan_ring_discriminator():
    """3 maxout layers of 200 units of 5 pieces on 2 m inputs."""
    encoder = ENCODERS["maxout"](hidden=(200,) * 3, pieces=5, kernel_init="normal")
    assert parameters(encoder, jnp.ones((2, 4))) == 4 * 1000 + 2 * 200 * 1000 + 3 * 1000


def test_maxout_takes_the_largest_piece():
    encoder = ENCODERS["maxout"](hidden=(3,), pieces=5)
    x = jax.random.normal(KEY, (4, 2))
    h, variables = encoder.init_with_output(KEY, x, train=True)
    layer = variables["params"]["Dense_0"]
    pieces = np.asarray(x @ layer["kernel"] + layer["bias"]).reshape(4, 5, 3)
    np.testing.assert_allclose(h, pieces.max(1), atol=1e-6)


def test_normal_initial_values_have_deviation_002():
    encoder = ENCODERS["maxout"](kernel_init="normal")
    params = encoder.init(KEY, jnp.ones((2, 4)), train=True)["params"]
    np.testing.assert_allclose(params["Dense_1"]["kernel"].std(), 0.02, rtol=0.01)


def test_unrolled_gans_networks():
    """Generator 256-4x4x64-7x7x32-14x14x16-28x28x8-28x28x3; discriminator 3-2-4-8 channels, 4x4x8 features."""
    generator = parameters(DECODERS["unrolled"](shape=(28, 28, 3)), jnp.ones((2, 256)))
    norms = 2 * (64 + 32 + 16 + 8)
    assert generator == 256 * 1024 + 9 * (64 * 32 + 32 * 16 + 16 * 8) + norms + 9 * 8 * 3 + 3
    encoder = ENCODERS["unrolled"](width=2)
    assert parameters(encoder, jnp.ones((2, 28, 28, 3))) == 9 * (3 * 2 + 2 * 4 + 4 * 8) + 2 * (2 + 4 + 8)
    features = jax.eval_shape(lambda key: encoder.init_with_output(key, jnp.ones((2, 28, 28, 3)), train=True)[0], KEY)
    assert features.shape == (2, 4 * 4 * 8)


def test_infogan_networks():
    """Lucic et al.: dense 1024, dense 7x7x128, 4x4 stride-2 to 64 and out; the discriminator mirrors it."""
    generator = parameters(DECODERS["infogan"](shape=(28, 28, 1)), jnp.ones((2, 64)))
    flat, norms = 7 * 7 * 128, 2 * (1024 + 7 * 7 * 128 + 64)
    assert generator == 64 * 1024 + 1024 * flat + 16 * 128 * 64 + 16 * 64 + 1 + norms
    encoder = parameters(ENCODERS["infogan"](), jnp.ones((2, 28, 28, 1)))
    assert encoder == 16 * 64 + 64 + 16 * 64 * 128 + flat * 1024 + 2 * (128 + 1024)


def test_sngan_generator():
    """CIFAR-10: dense to 4x4x256, three residual blocks of two 3x3 convolutions and a 1x1 shortcut, 3x3 out."""
    block = 2 * (9 * 256**2 + 256) + 256**2 + 256 + 2 * 2 * 256
    expected = 128 * 4096 + 4096 + 3 * block + 2 * 256 + 9 * 256 * 3 + 3
    assert parameters(DECODERS["resnet"](shape=(32, 32, 3)), jnp.ones((2, 128))) == expected


def test_halving_undoes_doubling():
    x = jax.random.normal(KEY, (2, 3, 5, 4))
    np.testing.assert_allclose(halve(double(x)), x, rtol=1e-6)
    assert (double(x)[:, 2:4, 6:8] == x[:, 1:2, 3:4]).all()


@pytest.mark.parametrize("down, width", [(False, 4), (False, 6), (True, 4)])
def test_residual_block_with_a_dead_branch_is_its_shortcut(down, width):
    """Where the last convolution is 0 the block is x, through the 1x1 layer where the shape changes."""
    block, x = DownBlock(width, down, False, False, "lecun_normal", jnp.float32), jax.random.normal(KEY, (2, 4, 4, 4))
    params = block.init(KEY, x, train=True)["params"]
    params["Conv_1"] = jax.tree.map(jnp.zeros_like, params["Conv_1"])
    expected = halve(x) if down else x
    if "Conv_2" in params:
        expected = expected @ params["Conv_2"]["kernel"][0, 0] + params["Conv_2"]["bias"]
    assert ("Conv_2" in params) == (down or width != 4)
    np.testing.assert_allclose(block.apply({"params": params}, x, train=True), expected, atol=1e-5)


@pytest.mark.slow
def test_branches_begin_with_sqrt_2_times_the_initial_values():
    """As sngan_projection: GlorotUniform(sqrt 2) in the 3x3 layers, of twice the variance 2 / (fan_in + fan_out)."""
    params = DownBlock(64, True, False, False, "glorot_uniform", jnp.float32).init(
        KEY, jnp.ones((1, 4, 4, 64)), train=True)["params"]
    for name, gain, fan in (("Conv_0", 2, 9 * 64), ("Conv_1", 2, 9 * 64), ("Conv_2", 1, 64)):
        np.testing.assert_allclose(params[name]["kernel"].var(), gain * 2 / (2 * fan), rtol=0.05)
    up = UpBlock(64, False, "glorot_uniform", jnp.float32).init(
        KEY, jnp.ones((1, 2, 2, 64)), None, train=True)["params"]
    for name, gain, fan in (("Conv_0", 2, 9 * 64), ("Conv_1", 2, 9 * 64), ("Conv_2", 1, 64)):
        np.testing.assert_allclose(up[name]["kernel"].var(), gain * 2 / (2 * fan), rtol=0.05)


@pytest.mark.slow
def test_attention_starts_as_the_identity_and_mixes_pixels():
    """With gamma = 1: softmax of the pixels' inner products, computed here pixel by pixel."""
    layer, x = SelfAttention(), jax.random.normal(KEY, (2, 3, 4, 8))
    y, variables = layer.init_with_output(KEY, x, train=True)
    np.testing.assert_array_equal(y, x)
    params = variables["params"] | {"gamma": jnp.ones(())}
    w = {name: np.asarray(params[name]["kernel"])[0, 0] for name in ("query", "key", "value", "output")}
    pixels = np.asarray(x).reshape(2, 12, 8)
    scores = (pixels @ w["query"]) @ (pixels @ w["key"]).transpose(0, 2, 1)
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    expected = pixels + weights @ (pixels @ w["value"]) @ w["output"]
    np.testing.assert_allclose(layer.apply({"params": params}, x, train=True).reshape(2, 12, 8), expected, atol=1e-5)


def test_the_dirac_generator_is_one_learned_point():
    decoder = DECODERS["point"](shape=(2,), start=0.5)
    y, variables = decoder.init_with_output(KEY, jnp.ones((3, 1)), train=True)
    np.testing.assert_array_equal(y, np.full((3, 2), 0.5))
    assert jax.tree.map(jnp.shape, variables["params"]) == {"point": (2,)}
