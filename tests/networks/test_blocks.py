"""Conditioning, batch norm and its conditional form, spectral norm."""

import inspect
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from gen.errors import UserError
from gen.networks import DECODERS, ENCODERS, blocks
from gen.networks.layers import BatchNorm, Conv, Dense
from gen.networks.resnet_vae import ResidualDown

KEY = jax.random.key(0)
H = jax.random.normal(KEY, (16, 4, 4, 3)) * 2 + 1
LABELS = jax.nn.one_hot(jnp.arange(16) % 5, 5)


def test_conditional_batch_norm_starts_as_batch_norm():
    """In training and, with the statistics that it leaves, in evaluation."""
    own, plain = blocks.ConditionalBatchNorm(), BatchNorm(use_running_average=None)
    variables, expected = own.init(KEY, H, LABELS, train=True), plain.init(KEY, H, use_running_average=False)
    after, statistics = own.apply(variables, H, LABELS, train=True, mutable=["batch_stats"])
    value, plain_statistics = plain.apply(expected, H, use_running_average=False, mutable=["batch_stats"])
    np.testing.assert_allclose(after, value, atol=1e-5)
    evaluated = own.apply({**variables, **statistics}, H, LABELS, train=False)
    np.testing.assert_allclose(
        evaluated, plain.apply({**expected, **plain_statistics}, H, use_running_average=True), atol=1e-5)


def test_conditional_batch_norm_scales_and_shifts_by_label():
    own = blocks.ConditionalBatchNorm()
    variables = own.init(KEY, H, LABELS, train=True)
    variables["params"]["scale"]["kernel"] = jnp.arange(5.0)[:, None] * jnp.ones((5, 3))
    variables["params"]["shift"]["kernel"] = -jnp.arange(5.0)[:, None] * jnp.ones((5, 3))
    value, _ = own.apply(variables, H, LABELS, train=True, mutable=["batch_stats"])
    plain = (H - H.mean((0, 1, 2))) / jnp.sqrt(H.var((0, 1, 2)) + 1e-5)
    k = (jnp.arange(16.0) % 5)[:, None, None, None]
    np.testing.assert_allclose(value, (1 + k) * plain - k, atol=1e-4)


def test_join_repeats_the_condition_over_the_image():
    joined = blocks.join(H, LABELS)
    assert joined.shape == (16, 4, 4, 8)
    np.testing.assert_array_equal(joined[..., :3], H)
    np.testing.assert_array_equal(joined[7, 2, 3, 3:], LABELS[7])
    assert blocks.join(H, None) is H


def test_conditioning_by_batch_norm_needs_batch_norm():
    z = jnp.ones((16, 2))
    assert blocks.split_condition(z, LABELS, "concatenate", False)[0].shape == (16, 7)
    assert blocks.split_condition(z, LABELS, "batch_norm", True)[1] is LABELS
    with pytest.raises(UserError, match="needs batch_norm=true"):
        blocks.split_condition(z, LABELS, "batch_norm", False)
    with pytest.raises(UserError, match="Did you mean 'concatenate'"):
        blocks.split_condition(z, None, "concat", False)


class Layer(nn.Module):
    convolution: bool

    @nn.compact
    def __call__(self, x, train):
        layer = Conv(6, (3, 3)) if self.convolution else Dense(6)
        return blocks.constrained(layer, True, train=train)(x)


@pytest.mark.slow
@pytest.mark.parametrize("convolution, x", [(False, jnp.eye(4)[None]), (True, H)])
def test_spectral_norm_divides_by_the_largest_singular_value(convolution, x):
    """After some power iterations; the kernel of a convolution counts as a matrix [taps and channels, features]."""
    layer = Layer(convolution)
    variables = layer.init(KEY, x, train=True)
    for _ in range(50):
        y, updates = layer.apply(variables, x, train=True, mutable=["batch_stats"])
        variables = {**variables, **updates}
    (kernel,) = (leaf for leaf in jax.tree.leaves(variables["params"]) if leaf.ndim > 1)
    largest = np.linalg.svd(kernel.reshape(-1, 6), compute_uv=False)[0]
    plain = (Conv(6, (3, 3)) if convolution else Dense(6)).apply(
        {"params": {"kernel": kernel / largest, "bias": jnp.zeros(6)}}, x)
    np.testing.assert_allclose(y, plain, atol=1e-4)
    if not convolution:
        np.testing.assert_allclose(np.linalg.svd(y[0], compute_uv=False)[0], 1.0, rtol=1e-4)


NORMED = [(table, name) for table, part in (("encoders", ENCODERS), ("decoders", DECODERS))
          for name, network in part.items() if "batch_norm" in inspect.signature(network).parameters]


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def applied(table, name, momentum, epsilon):
    """(output, batch statistics afterwards) of one application in training of a small network with batch norm."""
    small = {"hidden": (6, 5)} if name == "mlp" else {"width": 2}
    options = {"batch_norm": True, "batch_norm_momentum": momentum, "batch_norm_epsilon": epsilon} | small
    network = ENCODERS[name](**options) if table == "encoders" else DECODERS[name](shape=(16, 16, 1), **options)
    x = jax.random.normal(jax.random.key(1), (6, 16, 16, 1) if table == "encoders" else (6, 3))
    variables = network.init(jax.random.key(0), x, train=True)
    out, after = network.apply(variables, x, train=True, mutable=["batch_stats"])
    return out, flatten_dict(after["batch_stats"])


@pytest.mark.slow
@pytest.mark.parametrize("table, name", NORMED)
def test_momentum_and_epsilon_reach_every_batch_norm(table, name):
    """A batch moves running statistics by 1 - momentum from 0 and 1; an endless epsilon leaves nothing of the input."""
    _, own = applied(table, name, 0.0, 1e-5)
    _, half = applied(table, name, 0.75, 1e-5)
    assert len(own) >= 2
    for path, value in own.items():
        np.testing.assert_allclose(half[path], 0.75 * (path[-1] == "var") + 0.25 * value, rtol=1e-4, atol=1e-6)
    out, _ = applied(table, name, 0.0, 1e20)
    np.testing.assert_allclose(out, jnp.broadcast_to(out[:1], out.shape), atol=1e-6)
    assert np.ptp(applied(table, name, 0.0, 1e-5)[0], axis=0).max() > 1e-4


def test_kaiming_normal_is_torchs():
    """Variance 2 / fan_in, and 4.55 % of a normal lie beyond two standard deviations, where he_normal ends."""
    draws = {name: blocks.initializer(name)(KEY, (50, 4_000)) / 0.2 for name in ("kaiming_normal", "he_normal")}
    assert draws["kaiming_normal"].std() == pytest.approx(1, abs=0.01)
    assert (jnp.abs(draws["kaiming_normal"]) > 2.4).mean() == pytest.approx(0.0164, abs=2e-3)
    assert jnp.abs(draws["he_normal"]).max() < 2.4


@pytest.mark.slow
def test_sonnets_residual_encoder_has_a_relu_and_biases_that_the_plain_one_has_not():
    """Blocks that add 1 to everything: relu(c) + 1 of the 3x3 convolution's output c, beside relu(c + 1)."""
    x, options = 20 * jax.random.normal(KEY, (2, 8, 8, 3)), {"width": 4, "inner": 3, "blocks": 1, "block_bias": True}

    def applied(stem):
        network = ResidualDown(stem_relu=stem, **options)
        params = network.init(KEY, x, train=True)["params"]
        stack = jax.tree.map(jnp.zeros_like, params["ResidualStack_0"])
        plain = network.apply({"params": params | {"ResidualStack_0": stack}}, x, train=True)
        stack["Conv_1"]["bias"] = jnp.ones(4)
        return plain, network.apply({"params": params | {"ResidualStack_0": stack}}, x, train=True)

    (plain, activated), (_, bare) = applied(True), applied(False)
    np.testing.assert_allclose(activated, plain + 1, rtol=1e-5)
    assert bare.min() == 0 and (bare <= activated + 1e-6).all()
    assert "bias" not in ResidualDown().init(KEY, x, train=True)["params"]["ResidualStack_0"]["Conv_0"]
