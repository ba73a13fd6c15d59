"""Diffusion as a family: exact on Gaussian data with the exact denoiser; every part trains, guides and samples."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gen.data import Spec, load
from gen.errors import UserError
from gen.families import diffusion
from gen.networks import DENOISERS
from gen.objectives.diffusion import alpha, sigma
from tests.helpers import diffusion_config

KEY = jax.random.key(0)
IMAGES, POINTS = Spec((8, 8, 1), 10, "symmetric"), Spec((2,), 0, "real")
MEAN, STD = 0.7, 0.5
UNET = {"denoiser__name": "unet", "denoiser__width": 4, "denoiser__multiples": (1, 2), "denoiser__patch": 2,
        "denoiser__attention": True}
SIMPLE = {"loss__name": "simple"}
LEARNED = {"noise_schedule__name": "learned", "noise_schedule__width": 4}
VARIANTS = {
    "learned": LEARNED | {"conditional": False, "sampler__guidance": 0.0},
    "epsilon": SIMPLE | {"prediction": "epsilon", "noise_schedule__name": "linear", "sampler__name": "ddim"},
    "x": SIMPLE | {"prediction": "x", "denoiser__fourier": (1, 2), "sampler__clip": True},
    "unet": SIMPLE | UNET,
}


class Exact(nn.Module):
    """E[x | x_t] of x ~ N(MEAN, STD^2)."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, log_snr, condition=None, *, train):
        self.param("unused", nn.initializers.zeros, ())
        a, s = alpha(log_snr)[:, None], sigma(log_snr)[:, None]
        return MEAN + a * STD**2 / (a**2 * STD**2 + s**2) * (x - a * MEAN)


@pytest.fixture
def exact(monkeypatch):
    """A function of overrides that makes (family, state) with the exact denoiser."""
    monkeypatch.setitem(DENOISERS, "exact", Exact)

    def make(**overrides):
        plain = {"conditional": False, "denoiser__name": "exact", "prediction": "x", "sampler__steps": 0,
                 "sampler__guidance": 0.0, "ema_half_life": 0.0}
        family = diffusion.make(diffusion_config(**plain | overrides), POINTS)
        return family, family.init(KEY, {"x": jnp.zeros((2, 2))})

    return make


@pytest.fixture(scope="module")
def conditional():
    """(family, state) on digits, the state's denoiser moved away from its zeros."""
    family = diffusion.make(diffusion_config(ema_half_life=16.0), IMAGES)
    family = family._replace(update=jax.jit(family.update), evaluate=jax.jit(family.evaluate))
    state = jax.jit(family.init)(KEY, batch())
    moved = jax.tree.map(lambda v: v + 0.3 * jax.random.normal(KEY, v.shape), state.params["denoiser"])
    return family, state.replace(params=state.params | {"denoiser": moved}, ema={"denoiser": moved})


def batch(n=16):
    train = load({"name": "digits"}).train
    return {"x": jnp.float32(train["x"][:n] / 127.5 - 1), "label": jnp.asarray(train["label"][:n])}


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_variants_learn_and_evaluate_and_sample(name):
    family = diffusion.make(diffusion_config(optimizer__learning_rate=0.01, **VARIANTS[name]), IMAGES)
    data = batch(64)

    def run(state):
        keys = jax.random.split(KEY, 60)
        state, metrics = jax.lax.scan(lambda state, key: family.update(state, data, key), state, keys)
        return metrics["loss"], family.evaluate(state, data, KEY), family.sample(state, KEY, 3)

    loss, evaluated, samples = jax.jit(run)(jax.jit(family.init)(KEY, data))
    assert loss[-20:].mean() < 0.95 * loss[:5].mean()
    assert samples.shape == (3, 8, 8, 1) and jnp.isfinite(samples).all()
    assert name != "x" or jnp.abs(samples).max() <= 1
    np.testing.assert_allclose(evaluated["elbo"], evaluated["log_likelihood"] - evaluated["kl"], rtol=1e-5)
    np.testing.assert_allclose(evaluated["bits_per_dim"], -evaluated["elbo"] / (64 * np.log(2)), rtol=1e-5)


@pytest.mark.slow
def test_the_bound_approaches_the_log_likelihood(exact):
    """The closer the more steps, here of the same size in log_snr; some of the levels say the same as all."""
    x = MEAN + STD * jax.random.normal(KEY, (2_000, 2))
    truth = stats.norm.logpdf(x, MEAN, STD).sum(-1).mean()

    def gap(steps, levels):
        family, state = exact(timesteps=steps, bound_levels=levels, **LEARNED)
        return truth - jax.jit(family.evaluate)(state, {"x": x}, KEY)["elbo"].mean()

    coarse, fine, finest = gap(10, 10), gap(100, 100), gap(1000, 1000)
    assert coarse > 5 * fine and fine > 5 * finest and abs(finest) < 0.15
    np.testing.assert_allclose(gap(100, 10), fine, atol=0.1)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_samples_have_the_datas_mean_and_variance(exact, sampler):
    family, state = exact(timesteps=300, sampler__name=sampler, **SIMPLE)
    samples = jax.jit(family.sample, static_argnums=2)(state, KEY, 5_000)
    np.testing.assert_allclose(samples.mean(0), MEAN, atol=0.03)
    np.testing.assert_allclose(samples.std(0), STD, rtol=0.05)


@pytest.mark.slow
def test_ddim_with_all_its_noise_is_ddpm(exact):
    family, state = exact(timesteps=20, sampler__name="ddim", sampler__eta=1.0)
    other, _ = exact(timesteps=20)
    np.testing.assert_allclose(family.sample(state, KEY, 50), other.sample(state, KEY, 50), atol=1e-4)


def test_latents_decode_and_invert(exact):
    """The flow that transports N(0, 1) to the data is z -> MEAN + STD z; as many steps there as back."""
    family, state = exact(timesteps=1000, sampler__steps=200, **SIMPLE)
    z = family.methods["latents"](state, KEY, 50)
    x = jax.jit(family.methods["decode"])(state, z)
    np.testing.assert_allclose(x, MEAN + STD * z, atol=0.05)
    again = jax.jit(family.methods["invert"])(state, x)
    assert again.shape == z.shape
    np.testing.assert_allclose(jax.jit(family.methods["decode"])(state, again), x, atol=0.02)


def test_noised_and_denoise(exact):
    family, state = exact(**SIMPLE)
    x, t = MEAN + STD * jax.random.normal(KEY, (20_000, 2)), jnp.full(20_000, 0.5)
    x_t = family.methods["noised"](state, x, t, jax.random.key(1))
    np.testing.assert_allclose(jnp.square(x_t).mean(), 0.5 * (MEAN**2 + STD**2) + 0.5, atol=0.02)
    error = jnp.square(family.methods["denoise"](state, x_t, t) - x).mean()
    np.testing.assert_allclose(error, 1 / (1 / STD**2 + 1), rtol=0.03)  # signal and noise are alike at t = 1/2


@pytest.mark.slow
def test_guidance(conditional):
    """Of weight 0 it is the conditional model, with or without the pass for it; more of it moves away."""
    family, state = conditional
    label = jnp.array([1, 2, 3])
    plain = jax.jit(lambda label: family.sample(state, KEY, 3, label=label, guidance=0.0))
    guided = jax.jit(lambda weight: family.sample(state, KEY, 3, label=label, guidance=weight))
    np.testing.assert_allclose(guided(0.0), plain(label), atol=1e-4)
    assert jnp.abs(guided(2.0) - plain(label)).max() > 0.01
    assert jnp.abs(plain(label + 1) - plain(label)).max() > 0.01


@pytest.mark.slow
def test_a_dropped_label_is_not_seen(conditional):
    family, state = conditional
    data = batch()
    other = data | {"label": (data["label"] + 1) % 10}
    for dropout, same in ((1.0, True), (0.0, False)):
        hypers = state.hypers | {"label_dropout": jnp.float32(dropout)}
        a, b = (family.update(state.replace(hypers=hypers), d, KEY)[1]["loss"] for d in (data, other))
        assert (a == b) == same


@pytest.mark.slow
def test_the_average_follows_the_denoiser_and_is_what_is_evaluated(conditional):
    family, before = conditional
    after = family.update(before, batch(), KEY)[0]
    for a, p, q in zip(*map(jax.tree.leaves, (after.ema, before.params["denoiser"], after.params["denoiser"])),
                       strict=True):
        np.testing.assert_allclose(a, 0.5 * p + 0.5 * q, atol=1e-6)
    moved = after.replace(params=after.params | {"denoiser": jax.tree.map(jnp.zeros_like, after.params["denoiser"])})
    np.testing.assert_array_equal(*(family.evaluate(state, batch(), KEY)["elbo"] for state in (after, moved)))


@pytest.mark.parametrize("message, spec, overrides", [
    ("does not teach a noise schedule", IMAGES, LEARNED | SIMPLE),
    ("needs labels", POINTS, {}),
    ("points have no range", POINTS,
     {"conditional": False, "sampler__guidance": 0.0, "sampler__clip": True}),
    ("bound_levels=11", IMAGES, {"bound_levels": 11}),
    ("Unknown config.prediction 'noise'", IMAGES, {"prediction": "noise"}),
])
def test_parts_that_do_not_fit_together_are_refused(message, spec, overrides):
    with pytest.raises(UserError, match=message):
        diffusion.make(diffusion_config(**overrides), spec)


def test_images_that_do_not_halve_are_refused():
    with pytest.raises(UserError, match="multiples of 4, not examples of shape"):
        diffusion.make(diffusion_config(**UNET), Spec((6, 6, 1), 10, "symmetric")).init(KEY, batch())


def test_an_unconditional_model_takes_no_label(exact):
    family, state = exact()
    with pytest.raises(UserError, match="trained without labels"):
        family.sample(state, KEY, 2, label=jnp.zeros(2, jnp.int32))
