"""Own layers against Flax's: values, gradients, gradients of gradient norms, transformations, other platforms."""
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

from gen.errors import UserError
from gen.networks import layers, resnet

EXPLICIT = ((1, 1), (2, 0))
CASES = [  # kernel, strides, padding, (height, width), channels in, channels out
    ((4, 4), (2, 2), "SAME", (8, 8), 16, 24),
    ((4, 4), (2, 2), "SAME", (8, 8), 3, 16),
    ((4, 4), (1, 1), "VALID", (4, 4), 16, 1),
    ((3, 3), (1, 1), "SAME", (7, 6), 16, 16),
    ((3, 3), (2, 2), "SAME", (9, 8), 16, 16),
    ((5, 5), (2, 2), "SAME", (8, 9), 16, 16),
    ((3, 3), (2, 2), "VALID", (9, 8), 5, 4),
    ((4, 4), (1, 1), "SAME", (5, 6), 3, 4),
    ((2, 3), (1, 2), EXPLICIT, (6, 7), 16, 16),
    ((5, 4), (2, 1), EXPLICIT, (6, 7), 3, 2),
    ((1, 1), (1, 1), "SAME", (4, 3), 5, 6),
    ((3, 3), (1, 1), "SAME", (6, 5), 5, 2),
    ((4, 3), (1, 1), EXPLICIT, (6, 7), 4, 3),
    ((1, 1), (2, 2), "VALID", (5, 6), 5, 6),
    ((7, 1), (1, 1), "VALID", (8, 3), 4, 4),
]
PAIRS = {"conv": (layers.Conv, nn.Conv), "transpose": (layers.ConvTranspose, nn.ConvTranspose)}


def close(ours, theirs, tolerance=5e-5):
    """Equal to `tolerance` of the largest entry, leaf by leaf."""
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * float(jnp.max(jnp.abs(b))))


def draw(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def value_gradient_penalty(layer, params, x):
    """The output, its gradients in (params, x), and the gradient in params of the squared gradient norm in x."""
    def loss(params, x):
        y = layer.apply(params, x)
        return jnp.sum(jnp.tanh(y) ** 2), y

    def penalty(params):
        gradients, y = jax.grad(loss, (0, 1), has_aux=True)(params, x)
        return jnp.sum(gradients[1] ** 2), (y, gradients)
    second, (y, gradients) = jax.grad(penalty, has_aux=True)(params)
    return y, gradients, second


@pytest.mark.slow
@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("kernel, strides, padding, size, c, o", CASES)
def test_equals_flax_to_second_order(kind, kernel, strides, padding, size, c, o):
    own, theirs = (layer(o, kernel, strides, padding) for layer in PAIRS[kind])
    x = draw(0, 2, *size, c)
    params = theirs.init(jax.random.key(1), x)
    close(own.init(jax.random.key(1), x), params, 0)
    close(*jax.jit(lambda *args: [value_gradient_penalty(layer, *args) for layer in (own, theirs)])(params, x))


@pytest.mark.slow
@pytest.mark.parametrize("c, o, groups", [
    (8, 12, 4), (32, 64, 2), (32, 32, 32), (6, 3, 3), (64, 64, 4), (64, 128, 2), (96, 96, 3)])
def test_groups_equal_flax_to_second_order(c, o, groups):
    own, theirs = (layer(o, (3, 3), (2, 2), feature_group_count=groups) for layer in PAIRS["conv"])
    x = draw(0, 2, 7, 8, c)
    params = theirs.init(jax.random.key(1), x)
    close(*jax.jit(lambda *args: [value_gradient_penalty(layer, *args) for layer in (own, theirs)])(params, x))


@pytest.mark.parametrize("kernel", [(3, 3), (1, 3), (5, 1), (1, 1)])
@pytest.mark.parametrize("resize, plainly", [
    ("halve", lambda layer, x: resnet.halve(layer(x))), ("double", lambda layer, x: layer(resnet.double(x)))])
def test_a_convolution_that_halves_or_doubles_is_that_of_two_steps(kernel, resize, plainly):
    """Values and gradients, from two to three times fewer products."""
    one, two, x = layers.Conv(20, kernel, resize=resize), layers.Conv(20, kernel), draw(0, 3, 8, 6, 16)
    params = jax.tree.map(lambda a: a + draw(2, *a.shape), one.init(jax.random.key(1), x))
    assert jax.tree.map(jnp.shape, two.init(jax.random.key(1), x)) == jax.tree.map(jnp.shape, params)

    def objective(f):
        return jax.value_and_grad(lambda params, x: jnp.sum(jnp.tanh(f(params, x))**2), (0, 1))(params, x)

    close(objective(one.apply), objective(lambda params, x: plainly(partial(two.apply, params), x)))


def test_a_halving_convolution_multiplies_less():
    def flops(f):
        x = jax.ShapeDtypeStruct((8, 16, 16, 32), jnp.float32)
        w = jax.ShapeDtypeStruct((3, 3, 32, 32), jnp.float32)
        return jax.jit(f).trace(x, w).lower(lowering_platforms=("tpu",)).cost_analysis()["flops"]

    two = flops(lambda x, w: resnet.halve(layers.conv(x, w)))
    one = flops(lambda x, w: layers.RESIZING["halve"](x, layers._shifted_sum(w)))
    assert 2 < two / one < 2.4


@pytest.mark.parametrize("features, groups", [(12, 3), (9, 4)])
def test_a_number_of_groups_that_does_not_divide_is_a_user_error(features, groups):
    with pytest.raises(UserError, match=f"8 to {features} channels has no {groups} groups"):
        layers.Conv(features, (3, 3), feature_group_count=groups).init(jax.random.key(0), jnp.zeros((1, 4, 4, 8)))


@pytest.mark.slow
@pytest.mark.parametrize("kind, field", [("conv", {"feature_group_count": 2}), ("conv", {"kernel_dilation": 2}),
                                         ("conv", {"strides": 3}), ("transpose", {"kernel_dilation": (2, 2)}),
                                         ("transpose", {"strides": (3, 3)}), ("transpose", {"transpose_kernel": True}),
                                         ("conv", {"padding": 1}), ("transpose", {"padding": 1}),
                                         ("conv", {"use_bias": False}), ("conv", {"dtype": jnp.bfloat16})])
def test_other_fields_equal_flax(kind, field):
    own, theirs = (layer(**{"features": 6, "kernel_size": (3, 3), **field}) for layer in PAIRS[kind])
    x = draw(0, 2, 3, 8, 9, 4)
    params = theirs.init(jax.random.key(1), x)
    close(own.init(jax.random.key(1), x), params, 0)
    close(own.apply(params, x), theirs.apply(params, x), 2e-2 if "dtype" in field else 2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("rank", [1, 3])
def test_one_and_three_dimensions_equal_flax(kind, rank):
    own, theirs = (layer(4, (3,) * rank, (2,) * rank) for layer in PAIRS[kind])
    x = draw(0, 2, *(5, 6, 7)[:rank], 3)
    params = theirs.init(jax.random.key(1), x)
    close(own.apply(params, x), theirs.apply(params, x))


@pytest.mark.slow
@pytest.mark.parametrize("pads", [((-1, 2), (0, -1)), ((3, 3), (-2, -1))])
def test_negative_padding_crops(pads):
    x, w = draw(0, 2, 8, 7, 3), draw(1, 3, 3, 3, 4)
    cropped = lax.pad(x, 0.0, [(0, 0, 0), *[(lo, hi, 0) for lo, hi in pads], (0, 0, 0)])
    close(layers.conv(x, w, 1, pads), layers.conv(cropped, w, 1, "VALID"))


@pytest.mark.slow
def test_forward_mode():
    x, w, dx, dw = draw(0, 2, 8, 8, 16), draw(1, 4, 4, 16, 16), draw(2, 2, 8, 8, 16), draw(3, 4, 4, 16, 16)
    tangent = jax.jvp(partial(layers.conv, strides=2), (x, w), (dx, dw))[1]
    close(tangent, layers.conv(dx, w, 2) + layers.conv(x, dw, 2))


@pytest.mark.slow
@pytest.mark.parametrize("kind", PAIRS)
def test_vmap_over_parameters_and_scan(kind):
    own, theirs = (layer(16, (4, 4), (2, 2)) for layer in PAIRS[kind])
    x = draw(0, 3, 2, 8, 8, 16)
    params = jax.vmap(own.init)(jax.random.split(jax.random.key(1), 3), x)

    def penalties(layer, over):
        return jax.jit(lambda *args: over(partial(value_gradient_penalty, layer))(*args))(params, x)

    def scan(function):
        return lambda *args: lax.map(lambda pair: function(*pair), args)
    expected = penalties(theirs, jax.vmap)
    close(penalties(own, jax.vmap), expected)
    close(penalties(own, scan), expected)


@pytest.mark.slow
@pytest.mark.parametrize("function", [layers.conv, layers.conv_transpose])
@pytest.mark.parametrize("platform, convolutions", [("cuda", True), ("tpu", True), ("cpu", False)])
def test_lowers_to_convolutions_but_on_the_cpu(function, platform, convolutions):
    def penalty(w, x):
        return jnp.sum(jax.grad(lambda v: jnp.sum(function(v, w, 2) ** 2))(x) ** 2)
    arguments = jax.ShapeDtypeStruct((4, 4, 16, 32), jnp.float32), jax.ShapeDtypeStruct((2, 8, 8, 16), jnp.float32)
    text = export.export(jax.jit(jax.grad(penalty)), platforms=[platform])(*arguments).mlir_module()
    assert ("stablehlo.convolution" in text) == convolutions
    assert ("stablehlo.dot_general" in text) != convolutions


def test_wrong_padding_is_a_user_error():
    with pytest.raises(UserError, match="SAMEE"):
        layers.conv(jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1)), padding="SAMEE")
    with pytest.raises(UserError, match="2 dimensions"):
        layers.conv(jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1)), padding=((1, 1),))


@pytest.mark.slow
@pytest.mark.parametrize("layer", [layers.Conv, layers.ConvTranspose])
def test_the_gradient_of_a_bias_is_a_sum_in_float32(layer):
    """In bfloat16 a sum of ones stays at 256, where the next number is 258."""
    layer, x = layer(2, (1, 1), dtype=jnp.bfloat16), jnp.zeros((8, 32, 32, 1))
    variables = layer.init(jax.random.key(0), x)
    gradient = jax.grad(lambda v: layer.apply(v, x).astype(jnp.float32).sum())(variables)["params"]["bias"]
    np.testing.assert_array_equal(gradient, [8 * 32 * 32] * 2)
