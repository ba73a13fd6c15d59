"""The very deep VAE's blocks: their activation, and what they keep for the gradient."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from gen.networks import very_deep
from gen.networks.very_deep import Bottleneck


def test_gelu_is_jaxs_own_to_second_order():
    x = jnp.linspace(-8, 8, 1601)
    for order in range(3):
        own, theirs = very_deep.gelu, lambda x: nn.gelu(x, approximate=False)
        for _ in range(order):
            own, theirs = (jax.grad(of) for of in (own, theirs))
        np.testing.assert_allclose(jax.vmap(own)(x), jax.vmap(theirs)(x), atol=2e-6)


def test_a_block_keeps_one_array_for_each_convolution_and_has_the_same_gradients(monkeypatch):
    block, x = Bottleneck(6, 5), random.normal(random.key(0), (2, 4, 4, 5))
    params = block.init(random.key(1), x)

    def value(params, x):
        return jnp.sum(jnp.sin(block.apply(params, x)))

    def kept():
        pull = jax.vjp(block.apply, params, x)[1]
        return sum(leaf.size for leaf in jax.tree.leaves(pull) if jnp.ndim(leaf) == 4 and leaf.shape[:3] == (2, 4, 4))

    found, kept_now = jax.grad(value, (0, 1))(params, x), kept()
    monkeypatch.setattr(very_deep, "of_gelu", lambda layer, x: layer(very_deep.gelu(x)))
    assert kept_now == 2 * 4 * 4 * (5 + 6 + 6 + 6) and kept() > 2.5 * kept_now
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found,
                 jax.grad(value, (0, 1))(params, x))
    again = Bottleneck(6, 5).init(random.key(1), x)
    jax.tree.map(np.testing.assert_array_equal, params, again)
