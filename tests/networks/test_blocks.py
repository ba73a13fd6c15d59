"""Conditioning, conditional batch norm, spectral norm."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.errors import UserError
from gen.networks import blocks
from gen.networks.layers import BatchNorm, Conv, Dense

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
