"""VQ-VAE: the codebook by hand, the straight-through gradient, the autoregressive prior, a short training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from gen.data import Spec, load
from gen.families import vqvae
from gen.families.vqvae.codebook import averaged, embeddings, nearest, perplexity
from gen.networks.pixelcnn import MaskedConv, PixelCNN, draw
from gen.schema import complete

KEY = jax.random.key(0)
NETWORK = {"name": "residual", "width": 8, "inner": 4, "blocks": 1}


@pytest.fixture(scope="module")
def model():
    config = complete(ConfigDict({
        "family": "vqvae", "data": {"name": "digits"}, "halvings": 1, "codes": 8, "code_size": 3, "encoder": NETWORK,
        "decoder": NETWORK, "prior": {"name": "pixelcnn", "width": 8, "blocks": 1},
        "optimizer": {"name": "adam", "learning_rate": 0.01},
        "prior_optimizer": {"name": "adam", "learning_rate": 0.01},
        "train": {"steps": 10, "batch_size": 32, "log_every": 10, "evaluate_every": 0, "sample_every": 0,
                  "checkpoint_every": 0}}), {})
    family = vqvae.make(config, Spec((8, 8, 1), 10, "unit"))
    x = jnp.float32(load(config.data).train["x"][:64]) / 255
    return family._replace(update=jax.jit(family.update)), jax.jit(family.init)(KEY, {"x": x}), x


def test_codebook_moves_as_by_hand():
    codebook = {"counts": jnp.array([2.0, 1.0, 1.0]), "sums": jnp.array([[2.0, 0.0], [0.0, 1.0], [5.0, 5.0]])}
    z = jnp.array([[0.9, 0.1], [0.1, 1.2], [0.2, 0.8]])
    codes = nearest(z, embeddings(codebook))
    assert codes.tolist() == [0, 1, 1]
    after = averaged(codebook, z, codes, 0.9)
    np.testing.assert_allclose(after["counts"], [1.9, 1.1, 0.9], rtol=1e-6)
    np.testing.assert_allclose(after["sums"], [[1.89, 0.01], [0.03, 1.1], [4.5, 4.5]], rtol=1e-5)
    np.testing.assert_allclose(embeddings(after)[1], [0.03 / 1.1, 1.0], rtol=1e-4)


def test_nearest_is_the_smallest_distance():
    z, e = jax.random.normal(KEY, (40, 3)), jax.random.normal(jax.random.key(1), (7, 3))
    distances = np.linalg.norm(np.asarray(z)[:, None] - np.asarray(e), axis=-1)
    np.testing.assert_array_equal(nearest(z, e), distances.argmin(1))
    np.testing.assert_array_equal(nearest(e[:2], e[jnp.array([3, 1, 0, 1, 0])]), [2, 1])  # the first of equal ones
    assert 0 <= nearest(z[:1] * np.nan, e)[0] < 7


def test_perplexity_counts_codes_in_use():
    np.testing.assert_allclose(perplexity(jnp.array([0, 1, 2, 3]), 10), 4, rtol=1e-5)
    np.testing.assert_allclose(perplexity(jnp.zeros((2, 2), jnp.int32), 10), 1, rtol=1e-5)


@pytest.mark.slow
def test_training_reconstructs_and_the_prior_learns(model):
    family, state, x = model
    state, metrics = jax.jit(lambda s: jax.lax.scan(
        lambda s, key: family.update(s, {"x": x}, key), s, jax.random.split(KEY, 150)))(state)
    assert metrics["reconstruction_error"][-1] < 0.6 * metrics["reconstruction_error"][0]
    assert metrics["prior_nats_per_code"][-1] < metrics["prior_nats_per_code"][0] - 0.2
    assert metrics["perplexity"][-1] > 3
    found = jax.jit(family.evaluate)(state, {"x": x}, KEY)
    direct = jnp.square(x - family.methods["reconstruct"](state, x)).mean((1, 2, 3)) / x.var()
    np.testing.assert_allclose(found["reconstruction_error"], direct, rtol=1e-3)
    samples = jax.jit(family.sample, static_argnums=2)(state, KEY, 5)
    assert samples.shape == (5, 8, 8, 1) and jnp.isfinite(samples).all()


@pytest.mark.slow
def test_the_prior_does_not_move_the_autoencoder(model):
    family, state, x = model
    zero = state.replace(hypers=state.hypers | {"optimizer.learning_rate": jnp.float32(0)})
    after = family.update(zero, {"x": x}, KEY)[0]
    for a, b in zip(*(jax.tree.leaves(s.params["encoder"]) for s in (state, after)), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_pixelcnn_sees_earlier_codes_alone():
    net, codes = PixelCNN(5, width=8, blocks=2), jax.random.randint(KEY, (1, 4, 4), 0, 5)
    params, apply = jax.jit(net.init)(KEY, codes), jax.jit(net.apply)
    before = apply(params, codes)[0].reshape(16, 5)
    for i in range(16):
        moved = codes.reshape(-1).at[i].set((codes.reshape(-1)[i] + 1) % 5).reshape(1, 4, 4)
        change = jnp.abs(apply(params, moved)[0].reshape(16, 5) - before).max(-1)
        assert (change[:i + 1] == 0).all() and (i == 15 or change[i + 1] > 0)


@pytest.mark.parametrize("size, centre", [(7, False), (3, True), (3, False)])
def test_a_masked_convolution_is_that_of_the_whole_masked_kernel(size, centre):
    x, layer = jax.random.normal(KEY, (2, 6, 5, 3)), MaskedConv(4, size, centre, jnp.float32)
    params = layer.init(KEY, x)
    mask = np.zeros(size * size)
    mask[:size * size // 2 + centre] = 1

    def whole(params, x):
        kernel = params["params"]["kernel"] * mask.reshape(size, size, 1, 1)
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    (y, back), (expected, back_of_whole) = (jax.vjp(f, params, x) for f in (layer.apply, whole))
    np.testing.assert_allclose(y, expected, atol=1e-5)
    slope = jax.random.normal(jax.random.key(7), y.shape)
    for a, b in zip(*(jax.tree.leaves(f(slope)[0]["params"]["kernel"]) for f in (back, back_of_whole)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    np.testing.assert_allclose(back(slope)[1], back_of_whole(slope)[1], atol=1e-5)


def test_drawn_codes_follow_the_conditionals():
    """Each code repeats its left neighbour with a known probability."""
    def logits(codes):
        left = jnp.pad(codes, ((0, 0), (0, 0), (1, 0)))[..., :-1]
        return 2.0 * jax.nn.one_hot(left, 3)

    codes = np.asarray(draw(logits, KEY, 4000, (2, 3)))
    expected = np.exp(2) / (np.exp(2) + 2)
    np.testing.assert_allclose((codes[..., 1:] == codes[..., :-1]).mean(), expected, atol=0.01)
    np.testing.assert_allclose((codes[..., 0] == 0).mean(), expected, atol=0.02)
