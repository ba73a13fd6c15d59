"""BigGAN's networks and PyTorch-StudioGAN's forms of others: sizes of the released code, latents by parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.errors import UserError
from gen.networks import DECODERS, ENCODERS
from gen.networks.attention import SelfAttention
from tests.helpers import parameter_counts

KEY = jax.random.key(0)
PARAMETERS = {
    "cifar10_conditional.py:dcgan": (3_812_355, 2_931_009), "cifar10_conditional.py:sngan": (4_304_387, 1_055_105),
    "cifar10_conditional.py": (9_416_196, 2_415_170),
    "cifar10_resnet.py:wgan_gp": (4_276_739, 1_053_825), "cifar10_resnet.py": (4_276_739, 1_053_825),
    "cifar10_resnet.py:ssgan": (4_276_739, 1_054_341), "cifar10_resnet.py:projection": (4_304_387, 1_055_105),
    "little_data.py": (4_304_387, 4_207_361),
}
"""Experiment to the parameters of generator and discriminator in the released code.

Counted there for PyTorch-StudioGAN, from the sizes of its layers for mimicry and DiffAugment's BigGAN.
"""


@pytest.mark.slow
@pytest.mark.parametrize("experiment", PARAMETERS)
def test_players_have_as_many_parameters_as_the_released_ones(experiment):
    assert parameter_counts(experiment) == PARAMETERS[experiment]


@pytest.mark.slow
def test_each_block_has_latents_of_its_own():
    """The first part of z alone makes the first maps: other parts of z reach the image by the norms of their block."""
    network = DECODERS["biggan"](shape=(16, 16, 3), width=2, attention=0)
    z, label = jax.random.normal(KEY, (4, 9)), jax.nn.one_hot(jnp.arange(4), 5)
    variables = network.init(KEY, z, label, train=True)
    scales = [variables["params"][f"UpBlock_{i}"]["ConditionalBatchNorm_0"]["scale"]["kernel"].shape[0] for i in (0, 1)]
    assert variables["params"]["Dense_0"]["kernel"].shape[0] == 3 and scales == [3 + 5, 3 + 5]
    y = network.apply(variables, z, label, train=False)
    for part in range(3):
        other = network.apply(variables, z.at[:, 3 * part].add(1.0), label, train=False)
        assert jnp.abs(other - y).max() > 1e-4
    with pytest.raises(UserError, match="3 parts here: 10 is no multiple"):
        network.init(KEY, jnp.ones((1, 10)), train=True)


def test_pooled_attention_is_that_of_the_largest_keys():
    """By numpy, each query against the largest of 2x2 keys."""
    layer, x = SelfAttention(pooled=True), jax.random.normal(KEY, (2, 4, 4, 16))
    params = layer.init(KEY, x, train=True)["params"] | {"gamma": jnp.float32(0.7)}
    q, k, v = (np.asarray(x) @ np.asarray(params[name]["kernel"])[0, 0] for name in ("query", "key", "value"))
    k, v = (a.reshape(2, 2, 2, 2, 2, -1).max((2, 4)).reshape(2, 4, -1) for a in (k, v))
    logits = np.einsum("bhwc,bkc->bhwk", q, k)
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    mixed = np.einsum("bhwk,bkc->bhwc", weights, v) @ np.asarray(params["output"]["kernel"])[0, 0]
    np.testing.assert_allclose(layer.apply({"params": params}, x, train=True), x + 0.7 * mixed, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_every_layer_of_the_generator_has_spectral_norm_where_asked():
    """All but the norms' own scales: of each layer a singular vector and a value."""
    z, label = jnp.ones((2, 9)), jnp.ones((2, 5))
    for norm in (True, False):
        network = DECODERS["biggan"](shape=(16, 16, 3), width=2, attention=8, spectral_norm=norm)
        variables = jax.eval_shape(lambda network=network: network.init(KEY, z, label, train=True))
        kernels = [path for path, _ in jax.tree_util.tree_leaves_with_path(variables["params"])
                   if "kernel" in str(path)]
        found = [path for path, _ in jax.tree_util.tree_leaves_with_path(variables["batch_stats"])
                 if str(path[-1]).endswith("/sigma')]") or "/sigma" in str(path[-1])]
        assert len(found) == (len(kernels) if norm else 0)


def test_pooling_is_the_sum_or_the_mean():
    x = jax.random.normal(KEY, (2, 8, 8, 3))
    networks = [ENCODERS["resnet"](width=2, pooling=pooling) for pooling in ("sum", "mean")]
    variables = networks[0].init(KEY, x, train=True)
    summed, mean = (network.apply(variables, x, train=True) for network in networks)
    np.testing.assert_allclose(summed, 4 * mean, rtol=1e-5)
