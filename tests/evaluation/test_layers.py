"""Shares of layers in the variance of samples: closed forms of functions of normals."""

import jax
import jax.numpy as jnp
import numpy as np

from gen.evaluation.layers import shares, variance_below


def below(function, n=200_000):
    """V_0..V_L of a function of independent standard normals from the top down."""
    z, other = (jax.random.normal(key, (3, n)) for key in jax.random.split(jax.random.key(0)))
    return [variance_below(function(*z), function(*z[:kept], *other[kept:])) for kept in range(4)]


def test_layers_that_add_up_have_the_shares_of_their_variances():
    found = below(lambda z3, z2, z1: jnp.stack([3 * z3 + z2, 2 * z2 + z1 + 5], -1))
    np.testing.assert_allclose(found, [9 + 1 + 4 + 1, 1 + 4 + 1, 1, 0], rtol=0.02)
    np.testing.assert_allclose(shares(found), [9 / 15, 5 / 15, 1 / 15], atol=0.01)


def test_what_two_layers_do_together_is_the_lower_ones():
    """Of z_3 z_1 (1 + z_2) everything is left until z_1 is known."""
    np.testing.assert_allclose(shares(below(lambda z3, z2, z1: z3 * z1 * (1 + z2))), [0, 0, 1], atol=0.02)


def test_pixels_are_added_up_and_examples_averaged():
    x, again = np.zeros((2, 3, 4, 1), np.float32), np.zeros((2, 3, 4, 1), np.float32)
    x[0, 1, 2], again[0, 1, 2], again[1, 0] = 2.0, 5.0, 1.0
    assert variance_below(x, again) == 0.5 * (9 + 4) / 2
