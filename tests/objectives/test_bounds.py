"""Bounds: neutral settings, order, and gradients on a linear-Gaussian model."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from gen.data import Spec
from gen.distributions import Normal, standard_normal
from gen.errors import UserError
from gen.families import vae
from gen.objectives import bounds
from gen.objectives.bounds import BOUNDS, Sides, Terms
from tests.helpers import vae_config
from tests.linear import Linear

ROOT = Path(__file__).parents[2]
NEUTRAL = {
    "elbo": (3, {"beta": 1.0}),
    "monte_carlo_elbo": (3, {}),
    "capacity": (3, {"gamma": 1.0, "nats": 0.0, "step": jnp.int32(5)}),
    "capacity_per_example": (3, {"gamma": 1.0, "nats": 0.0, "step": jnp.int32(5)}),
    "free_bits": (3, {"nats": 0.0}),
    "free_bits_per_example": (3, {"nats": 0.0}),
    "balanced": (3, {}),
    "iwae": (1, {}),
    "miwae": (3, {"groups": 3}),
    "ciwae": (3, {"beta": 1.0}),
    "piwae": (1, {"groups": 1}),
    "stl": (3, {}),
    "stl_iwae": (1, {}),
    "dreg": (1, {}),
}
"""Samples and options at which each objective is the ELBO."""


def terms(k, b=4, key=0):
    """Random terms whose KL by group adds up to its Monte-Carlo estimate, which must be positive."""
    a, p, q = (jax.random.normal(i, (k, b)) for i in jax.random.split(jax.random.key(key), 3))
    kl = (q + 10 - p).mean(0)
    return Terms(a, p, q + 10, lambda: q + 10, jnp.stack([0.25 * kl, 0.75 * kl], -1))


def test_every_objective_has_a_neutral_setting_but_that_without_an_entropy():
    assert NEUTRAL.keys() == BOUNDS.keys() - {"rae"}


def test_the_regularized_autoencoder_is_that_of_its_paper():
    """Ghosh et al. 2020, eq. 11: |x - D(z)|^2 + beta / 2 |z|^2, for pixels of variance 1/2, up to a constant."""
    x, z = jax.random.normal(jax.random.key(0), (2, 1, 5, 3))
    log_likelihood = Normal(jnp.sin(z), jnp.full_like(z, -jnp.log(2) / 2)).log_prob(x).sum(-1)
    log_prior = standard_normal((3,)).log_prob(z).sum(-1)
    t = Terms(log_likelihood, log_prior, log_prior, lambda: log_prior, jnp.zeros((5, 1)))
    theirs = jnp.square(x - jnp.sin(z)).sum(-1) + 0.3 / 2 * jnp.square(z).sum(-1)
    difference = -bounds.regularized_autoencoder(t, 0.3) - theirs[0]
    np.testing.assert_allclose(difference, difference[0], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", NEUTRAL)
def test_objectives_are_the_elbo_at_their_neutral_setting(name):
    k, options = NEUTRAL[name]
    t = terms(k)
    value = BOUNDS[name](t, **options)
    value = value.model if isinstance(value, Sides) else value
    if name == "capacity":  # the KL is the batch's
        value, t = value.mean(), t._replace(log_likelihood=t.log_likelihood.mean(1, keepdims=True))
    np.testing.assert_allclose(value, t.log_w.mean(0).mean() if name == "capacity" else t.log_w.mean(0), rtol=1e-5)


def test_the_example_of_an_objective():
    source = re.search(r"(def renyi.*?)\n\n", (ROOT / "docs/extending.md").read_text(), re.DOTALL)[1]
    exec(source, names := dict(vars(bounds)))
    t = terms(5)
    np.testing.assert_allclose(names["renyi"](t, alpha=0.0), bounds.iwae(t), rtol=1e-5)
    np.testing.assert_allclose(names["renyi"](t, alpha=0.99), t.log_w.mean(0), atol=0.2)


def balanced_by_nvae(kl_all, coefficient, alpha):
    """`kl_balancer` of NVAE's released code, in numpy."""
    told = np.abs(kl_all).mean(0, keepdims=True) + 0.01
    told = told / alpha * told.sum()
    return coefficient * (kl_all * told / told.mean(1, keepdims=True)).sum(1), coefficient * told / told.mean()


@pytest.mark.parametrize("sizes", [(), (4.0, 1.0, 2.0)])
def test_balancing_is_that_of_nvae_during_the_warm_up(sizes):
    """Value, and gradient by the KL, whose weights are held."""
    t, kl = terms(3), jnp.float32(np.random.default_rng(0).gamma(1.0, [[9.0, 0.1, 1.0]] * 4))
    expected, weights = balanced_by_nvae(np.float64(kl), 0.3, np.array(sizes or (1.0,) * 3))

    def value(kl, beta=0.3):
        return bounds.balanced(t._replace(kl=kl).tempered(jnp.float32(beta)), sizes)

    np.testing.assert_allclose(t.log_likelihood.mean(0) - value(kl), expected, rtol=1e-5)
    np.testing.assert_allclose(-jax.grad(lambda kl: value(kl).sum())(kl), np.tile(weights, (4, 1)), rtol=1e-5)
    np.testing.assert_allclose(value(kl, 1.0), bounds.elbo(t._replace(kl=kl)), rtol=1e-6)


def test_sizes_are_of_all_groups():
    with pytest.raises(UserError, match="one for each of the 2 groups"):
        bounds.balanced(terms(3), (1.0,))


@pytest.mark.slow
def test_iwae_matches_scipy_and_its_relatives_lie_between_it_and_the_elbo():
    t = terms(6)
    expected = logsumexp(np.asarray(t.log_w), axis=0) - np.log(6)
    np.testing.assert_allclose(bounds.iwae(t), expected, rtol=1e-5)
    grouped = logsumexp(np.asarray(t.log_w).reshape(3, 2, 4), axis=0) - np.log(3)
    np.testing.assert_allclose(bounds.miwae(t, groups=2), grouped.mean(0), rtol=1e-5)
    for between in (bounds.miwae(t, groups=2), bounds.ciwae(t, beta=0.3)):
        assert (between < bounds.iwae(t)).all() and (between > t.log_w.mean(0)).all()


def test_capacity_holds_the_mean_kl_of_the_batch_at_its_target():
    """KLs 2.1, 3.5 and 1.3 have the mean 2.3: 0.3 from C = 2, where each example's own is 0.767 away on average."""
    kl, zeros = jnp.float32([[2.0, 0.1], [3.0, 0.5], [1.3, 0.0]]), jnp.zeros((2, 3))
    t, options = Terms(zeros, zeros, zeros, lambda: zeros, kl), {"gamma": 1.0, "nats": 4.0, "steps": 100}
    assert -bounds.capacity(t, jnp.int32(50), **options).mean() == pytest.approx(0.3, abs=1e-5)
    np.testing.assert_allclose(-bounds.capacity_per_example(t, jnp.int32(50), **options), [0.1, 1.5, 0.7], rtol=1e-5)
    assert -bounds.capacity(t, jnp.int32(500), **options).mean() == pytest.approx(1.7, abs=1e-5)


def test_a_warm_up_weighs_what_is_compared_with_nats_and_does_not_scale_it():
    """At a weight of 0.1 a KL of 2.3 is as far from 2 nats, and a group of 1.2 above 1, as without."""
    kl, zeros = jnp.float32([[2.0, 0.1], [3.0, 0.5], [1.3, 0.0]]), jnp.zeros((2, 3))
    t = Terms(zeros, zeros, zeros, lambda: zeros, kl).tempered(0.1)
    assert -bounds.capacity(t, jnp.int32(9), gamma=1.0, nats=2.0, steps=1).mean() == pytest.approx(0.03, abs=1e-5)
    np.testing.assert_allclose(-bounds.free_bits(t, nats=1.0), 0.1 * (kl[:, 0] + 1), rtol=1e-5)


@pytest.mark.slow
def test_free_bits_has_no_gradient_below_them():
    t = terms(2)
    gradient = jax.grad(lambda kl: bounds.free_bits(t._replace(kl=kl), nats=5.0).sum())(t.kl)
    assert (t.kl.mean(0)[0] < 5 < t.kl.mean(0)[1]) and (gradient[:, 0] == 0).all() and (gradient[:, 1] == -1).all()
    expected = t.log_likelihood.mean() - 5 - t.kl[:, 1].mean()
    np.testing.assert_allclose(bounds.free_bits(t, nats=5.0).mean(), expected, rtol=1e-5)


def test_free_bits_of_each_example_are_those_of_the_released_code():
    """boilr's kl.clamp(min=free_bits).mean(0): no gradient of an example below, that of the others as without."""
    kl, zeros = jnp.float32([[0.1, 2.0], [0.9, 0.3]]), jnp.zeros((1, 2))
    t = Terms(zeros, zeros, zeros, lambda: zeros, kl)
    value, gradient = jax.value_and_grad(
        lambda kl: -bounds.free_bits_per_example(t._replace(kl=kl), nats=0.5).mean())(kl)
    assert value == pytest.approx((0.5 + 0.9 + 2.0 + 0.5) / 2)
    np.testing.assert_allclose(gradient, [[0, 0.5], [0.5, 0]])


def test_tempering_scales_the_divergence_alone():
    t = terms(3)
    np.testing.assert_allclose(bounds.elbo(t.tempered(0.3)), bounds.elbo(t, beta=0.3), rtol=1e-6)
    np.testing.assert_allclose(t.tempered(0.0).log_w, t.log_likelihood, rtol=1e-6)


@pytest.mark.slow
def test_bounds_rise_with_k_to_the_likelihood():
    model = Linear(error=0.4)
    def value(k, key):
        log_w = model.family.methods["log_weights"](model.state, {"x": model.x}, key, k)
        return bounds.log_mean_exp(log_w)

    means = [jax.jit(jax.vmap(lambda key, k=k: value(k, key)))(jax.random.split(jax.random.key(k), 4000 // k)).mean()
             for k in (1, 4, 16, 64)]
    assert means == sorted(means)
    assert means[0] < means[-1] - 0.1
    np.testing.assert_allclose(means[-1], model.log_likelihood().mean(), atol=0.05)


def flat(gradients, part="encoder"):
    return np.concatenate([np.asarray(g).reshape(len(g), -1) for g in jax.tree.leaves(gradients[part])], -1)


def estimates(name, n=3000, k=4, first=0, error=0.3, **options):
    overrides = {f"objective__{key}": value for key, value in options.items()}
    return Linear(error, objective__name=name, samples=k, **overrides).gradients(n, first)


@pytest.fixture(scope="module")
def iwae():
    return estimates("iwae", n=12_000)


def same_mean(a, b):
    """Whether two sets of gradients have the same mean: no coordinate differs by 5 standard errors."""
    error = np.sqrt(a.var(0) / len(a) + b.var(0) / len(b))
    return (np.abs(a.mean(0) - b.mean(0)) < 5 * error + 1e-6).all()


@pytest.mark.slow
def test_dreg_is_unbiased_for_iwae_and_has_less_variance(iwae):
    dreg = estimates("dreg", first=1)
    assert same_mean(flat(dreg), flat(iwae))
    assert flat(dreg).var(0).sum() < 0.5 * flat(iwae).var(0).sum()


@pytest.mark.slow
def test_dreg_is_unbiased_during_the_warm_up():
    """At a third of the way both estimate the gradient of the tempered bound, which is far from the bound's own."""
    def warming(name, n, first):
        return flat(Linear(0.3, objective__name=name, samples=4, kl_weight=1 / 3).gradients(n, first))

    plain, dreg = warming("iwae", 12_000, 3), warming("dreg", 3_000, 4)
    assert same_mean(dreg, plain) and dreg.var(0).sum() < 0.5 * plain.var(0).sum()
    assert not same_mean(dreg, flat(estimates("dreg", first=1)))


@pytest.mark.slow
def test_dreg_is_unbiased_beside_a_vamp_prior():
    """The pseudo-input's posterior is the prior: its gradient belongs to the model's side."""
    def gradients(name, n, first):
        overrides = {"prior__name": "vamp", "prior__components": 1, "likelihood__name": "normal", "latents": 1,
                     "encoder__hidden": (), "decoder__hidden": (), "optimizer__name": "sgd", "data__binarize": "none",
                     "optimizer__learning_rate": 1.0, "samples": 4, "objective__name": name}
        family, x = vae.make(vae_config(**overrides), Spec((2, 1, 1), 0, "unit")), jnp.array([[0.9, 0.2], [0.1, 0.6]])
        batch = {"x": x[..., None, None]}
        state = jax.jit(family.init)(jax.random.key(3), batch)
        state = state.replace(params=jax.tree.map(lambda v: 2 * v, state.params))

        def one(key):
            after, _ = family.update(state, batch, key)
            return jax.tree.map(lambda a, b: a - b, after.params, state.params)

        return flat(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(first), n)))

    assert same_mean(gradients("dreg", 30_000, 1), gradients("iwae", 30_000, 0))


@pytest.mark.slow
@pytest.mark.parametrize("name, elbo", [("piwae", "monte_carlo_elbo"), ("dreg", "stl"), ("iwae", "monte_carlo_elbo"),
                                        ("stl_iwae", "stl"), ("miwae", "monte_carlo_elbo")])
def test_gradients_at_the_neutral_setting_are_those_of_the_elbo(name, elbo):
    """Of both sides, by the path derivative where the objective has one."""
    found, expected = (estimates(objective, n=5, k=1) for objective in (name, elbo))
    for part in ("encoder", "decoder"):
        np.testing.assert_allclose(flat(found, part), flat(expected, part), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_dreg_leaves_the_decoders_gradient_as_it_is(iwae):
    dreg = estimates("dreg", n=10)
    plain = estimates("iwae", n=10)
    np.testing.assert_allclose(flat(dreg, "decoder"), flat(plain, "decoder"), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_stl_is_unbiased_for_the_elbo_and_has_less_variance_near_the_exact_posterior():
    plain, stl = (estimates(name, k=1, error=0.05, first=i) for i, name in enumerate(("monte_carlo_elbo", "stl")))
    assert same_mean(flat(stl), flat(plain))
    assert flat(stl).var(0).sum() < 0.1 * flat(plain).var(0).sum()


@pytest.mark.slow
def test_stl_has_no_variance_at_the_exact_posterior():
    exact = flat(estimates("stl", n=20, k=1, error=0.0))
    assert np.abs(exact).max() < 1e-4 < 0.1 < np.abs(flat(estimates("monte_carlo_elbo", n=20, k=1, error=0.0))).max()


@pytest.mark.slow
def test_stl_iwae_is_biased():
    """Roeder's estimator drops a score whose mean is not zero for k > 1; DReG keeps it (Tucker et al. 2019)."""
    assert not same_mean(flat(estimates("stl_iwae", n=12_000, first=2)), flat(estimates("dreg", n=12_000, first=1)))


@pytest.mark.slow
def test_piwae_gives_each_side_its_own_objective():
    piwae, miwae, iwae = (estimates(name, n=5, **options) for name, options in (
        ("piwae", {"groups": 2}), ("miwae", {"groups": 2}), ("iwae", {})))
    np.testing.assert_allclose(flat(piwae), flat(miwae), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(flat(piwae, "decoder"), flat(iwae, "decoder"), rtol=1e-3, atol=1e-4)
    assert np.abs(flat(piwae) - flat(iwae)).max() > 1e-2
