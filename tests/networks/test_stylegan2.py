"""StyleGAN2's networks: modulation by explicit weights, resampling by scipy, styles, noise; values of released code are
in tests/test_importing.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import upfirdn

from gen.errors import UserError
from gen.networks import DECODERS, ENCODERS, equalized, layers, resampling, stylegan2
from tests.helpers import parameter_counts

KEY = jax.random.key(0)
SMALL = {"width": 2, "largest": 4, "style_width": 6, "mapping_depth": 2}
PARAMETERS = {
    "stylegan2.py": (64, 0, 22_243_608, 23_407_361),
    "stylegan2.py:ffhq256": (256, 0, 24_767_458, 24_001_089),
    "stylegan2.py:cifar10": (32, 0, 19_947_539, 20_720_641),
    "cifar10_conditional.py:stylegan2": (32, 10, 20_215_315, 23_089_664),
}
"""Experiment to side, classes, and the parameters of generator and discriminator in NVlabs/stylegan2-ada-pytorch."""


@pytest.mark.slow
@pytest.mark.parametrize("experiment", PARAMETERS)
def test_presets_have_as_many_parameters_as_the_released_networks(experiment):
    side, classes, *expected = PARAMETERS[experiment]
    assert parameter_counts(experiment, side, classes) == tuple(expected)


def generator(**options):
    """A small generator of 16 x 16 images and its variables, with noise that counts."""
    network = DECODERS["stylegan2"](shape=(16, 16, 3), **SMALL | options)
    variables = network.init(KEY, jnp.ones((1, 5)), train=True)
    params = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf + 0.5 if "noise_strength" in str(path) else leaf, variables["params"])
    return network, variables | {"params": params}


def latents(n=3):
    return jax.random.normal(jax.random.key(1), (n, 5))


def test_modulation_is_that_of_the_weights_of_each_image():
    """Karras et al. 2020, eq. 1 and 3, image by image."""
    x, kernel = jax.random.normal(KEY, (3, 6, 6, 4)), jax.random.normal(jax.random.key(1), (3, 3, 4, 5))
    style = jax.random.normal(jax.random.key(2), (3, 4))
    found = stylegan2.modulated(x, kernel, style, layers.conv)
    for i in range(3):
        w = np.asarray(kernel) * np.asarray(style)[i][:, None]
        w = w / np.sqrt((w**2).sum((0, 1, 2)) + 1e-8)
        np.testing.assert_allclose(found[i], layers.conv(x[i:i + 1], jnp.asarray(w))[0], rtol=0, atol=2e-5)


def test_a_demodulated_layer_keeps_the_variance():
    """Its output has variance 1 where its input does, whatever the style (their section 2.2)."""
    x, kernel = jax.random.normal(KEY, (2, 32, 32, 64)), jax.random.normal(jax.random.key(1), (3, 3, 64, 64))
    style = jnp.stack([jnp.full(64, 100.0), jnp.linspace(0.1, 3, 64)])
    y = stylegan2.modulated(x, kernel, style, layers.conv)[:, 1:-1, 1:-1]
    np.testing.assert_allclose(y.var((1, 2, 3)), 1, atol=0.05)


@pytest.mark.parametrize("pad, stride", [(1, 2), (2, 1), (1, 1)])
def test_the_filter_is_scipys(pad, stride):
    x = np.random.default_rng(0).normal(size=(2, 8, 6, 3))
    taps = np.array([1, 3, 3, 1]) / 8
    expected = x
    for axis in (1, 2):
        padded = np.pad(expected, [(pad, pad) if a == axis else (0, 0) for a in range(4)])
        full = upfirdn(taps, padded, axis=axis)
        expected = np.take(full, np.arange(3, padded.shape[axis], stride), axis)
    np.testing.assert_allclose(resampling.filtered(jnp.asarray(x), pad, stride), expected, rtol=0, atol=1e-6)


def test_learning_rates_are_equalised():
    """Weights of N(0, 1 / m^2) whose outputs have variance m^2 / m^2 = 1; a step of Adam moves each layer alike."""
    x = jax.random.normal(KEY, (4096, 200))
    for multiplier in (1.0, 0.01):
        layer = equalized.Dense(64, multiplier=multiplier)
        variables = layer.init(jax.random.key(1), x)
        np.testing.assert_allclose(variables["params"]["kernel"].std() * multiplier, 1, rtol=0.05)
        np.testing.assert_allclose(layer.apply(variables, x).std(), 1, rtol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", stylegan2.ARCHITECTURES)
def test_images_are_functions_of_z_alone(architecture):
    """Of its direction, whose bits are the seed of the noise, and not of what stands beside it."""
    network, variables = generator(architecture=architecture)
    z = latents()
    apply = jax.jit(lambda z: network.apply(variables, z, train=False))
    np.testing.assert_allclose(apply(z)[1], apply(z[1:2])[0], rtol=0, atol=1e-5)
    assert jnp.abs(apply(z) - apply(z + 1e-6)).max() > 1e-2  # other noise
    plain, without = generator(architecture=architecture, noise="none")
    np.testing.assert_allclose(plain.apply(without, z, train=False), plain.apply(without, 7 * z, train=False),
                               rtol=0, atol=1e-4)


def test_noise_is_standard_normal_and_of_its_own_layer():
    network, _ = generator()
    noise = network.drawn(stylegan2.rows(latents(512)))
    assert [part.shape[1] for part in noise] == [4, 8, 8, 16, 16]
    a, b = noise[1:3]
    np.testing.assert_allclose([a.mean(), a.std(), (a * b).mean()], [0, 1, 0], atol=0.02)
    assert len(np.unique(np.asarray(a)[:, 0, 0, 0])) == 512


@pytest.mark.slow
def test_truncation_draws_styles_to_their_mean():
    network, variables = generator(noise="none")
    variables = variables | {"averages": {"style": jnp.linspace(-1, 1, 6)}}
    z = latents()

    def apply(**options):
        return network.apply(variables, z, train=False, **options)

    np.testing.assert_allclose(apply(truncation=1.0), apply(), rtol=0, atol=1e-5)
    collapsed = apply(truncation=0.0)
    np.testing.assert_allclose(collapsed, jnp.broadcast_to(collapsed[:1], collapsed.shape), rtol=0, atol=1e-6)
    assert apply(truncation=0.5).std(0).mean() < apply().std(0).mean()


@pytest.mark.slow
def test_styles_mix_at_a_layer():
    network, variables = generator(noise="none")
    first, second = latents(), latents()[::-1]

    def apply(z, **options):
        return network.apply(variables, z, train=False, **options)

    np.testing.assert_allclose(apply(first, second=second, crossover=network.style_count), apply(first), atol=1e-5)
    np.testing.assert_allclose(apply(first, second=second, crossover=0), apply(second), atol=1e-5)
    mixed = apply(first, second=second, crossover=jnp.array([1, 3, 5]))
    assert min(jnp.abs(mixed - apply(z)).max((1, 2, 3)).min() for z in (first[:1], second[2:])) > 1e-3


def test_training_mixes_as_often_as_asked_and_follows_the_mean_style():
    network, variables = generator(mixing=0.7)
    keys = stylegan2.rows(latents(2000))
    second, crossover = network.mixed(keys, 5)
    mixed = np.asarray(crossover) < network.style_count
    np.testing.assert_allclose(mixed.mean(), 0.7, atol=0.03)
    assert set(np.asarray(crossover)[mixed].tolist()) == set(range(1, network.style_count))
    np.testing.assert_allclose(second.std(), 1, atol=0.03)
    z = latents(8)
    _, after = network.apply(variables, z, train=True, mutable=["averages"])
    mapping = equalized.Mapping(6, 2)
    w = mapping.apply({"params": variables["params"]["mapping"]}, z, None)
    np.testing.assert_allclose(after["averages"]["style"], 0.005 * w.mean(0), rtol=1e-4, atol=1e-8)


def test_what_there_is_not_is_one_line():
    for options, message in (({"architecture": "dense"}, "architecture"), ({"noise": "loud"}, "noise")):
        with pytest.raises(UserError, match=message):
            DECODERS["stylegan2"](shape=(16, 16, 3), **SMALL | options).init(KEY, latents(), train=True)
    with pytest.raises(UserError, match="architecture"):
        ENCODERS["stylegan2"](width=2, architecture="dense").init(KEY, jnp.ones((1, 16, 16, 3)), train=True)
