"""Numbers that are computed once: the same ones, and a product of matrices on the CPU alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.settled import settled


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 7)])
def test_the_numbers_and_their_gradients_are_the_same(shape):
    x, slope = (jax.random.normal(jax.random.key(i), shape) for i in range(2))
    y, back = jax.vjp(settled, x)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(back(slope)[0], slope)
    np.testing.assert_array_equal(jax.vmap(settled)(x) if len(shape) > 1 else y, x)


@pytest.mark.parametrize("platform, products", [("cpu", 1), ("cuda", 0), ("tpu", 0)])
def test_there_is_a_product_on_the_cpu_alone(platform, products):
    text = jax.jit(settled).trace(jnp.ones((2, 3))).lower(lowering_platforms=(platform,)).as_text()
    assert text.count("dot_general") == products
