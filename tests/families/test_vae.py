"""VAEs as a family: every part trains, the terms are what they say, the second player of FactorVAE moves alone."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen import families
from gen.data import Spec, load
from gen.distributions import Normal
from gen.distributions.posteriors import DiagonalNormal, log_softplus
from gen.errors import UserError
from gen.families import vae
from gen.families.vae import one_layer
from gen.families.vae.hierarchical import merged
from gen.objectives.regularizers import REGULARIZERS
from tests.helpers import assert_same_bits, vae_config
from tests.linear import Linear

SPEC = Spec((8, 8, 1), 10, "unit")
KEY = jax.random.key(0)
FACTOR = {"regularizers__factor": True, "discriminator__name": "mlp", "discriminator__hidden": (8,),
          "discriminator_optimizer__name": "adam"}
VARIANTS = {
    "dreg": {"objective__name": "dreg", "samples": 3},
    "factor": FACTOR,
    "vamp": {"prior__name": "vamp", "prior__components": 5},
    "iaf": {"posterior__name": "iaf", "posterior__hidden": (8,)},
    "chain": {"hierarchy__name": "chain", "hierarchy__hidden": (8,), "objective__name": "iwae", "samples": 3},
    "ladder": {"hierarchy__name": "ladder", "hierarchy__hidden": (8,), "hierarchy__latents": (3, 2),
               "objective__name": "stl"},
    "logistic": {"likelihood__name": "discretized_logistic", "data__binarize": "none"},
    "conditional": {"conditional": True},
}


def make(spec=SPEC, **overrides):
    """The family of this config, its init and update compiled at their first call."""
    family = families.make(vae_config(**overrides), spec)
    return family._replace(init=jax.jit(family.init), update=jax.jit(family.update), evaluate=jax.jit(family.evaluate))


def batch(n=16, key=KEY):
    x = load({"name": "digits"}).train
    return {"x": jnp.float32(x["x"][:n] > 100), "label": jnp.asarray(x["label"][:n])}


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_variants_climb_and_evaluate_and_sample(name):
    family = make(optimizer__learning_rate=0.01, **VARIANTS[name])
    data = batch(16 * family.batches)

    def run(state):
        keys = jax.random.split(KEY, 60)
        state, metrics = jax.lax.scan(lambda state, key: family.update(state, data, key), state, keys)
        return metrics["elbo"], family.evaluate(state, data, KEY), family.sample(state, KEY, 3)

    elbo, evaluated, samples = jax.jit(run)(family.init(KEY, data))
    assert elbo[-10:].mean() > elbo[:5].mean() + 2
    assert samples.shape == (3, 8, 8, 1) and jnp.isfinite(samples).all()
    np.testing.assert_allclose(evaluated["elbo"], evaluated["log_likelihood"] - evaluated["kl"], rtol=1e-5)
    assert ("bits_per_dim" in evaluated) == (name == "logistic")


@pytest.mark.slow
def test_uniform_levels_without_information_have_eight_bits():
    """All parameters 0: q(z|x) is p(z), and each of the 256 levels is as likely."""
    family = make(likelihood__name="categorical", data__binarize="none")
    state = family.init(KEY, batch())
    found = family.evaluate(state.replace(params=jax.tree.map(jnp.zeros_like, state.params)), batch(), KEY)
    np.testing.assert_allclose(found["bits_per_dim"], 8, rtol=1e-5)
    np.testing.assert_allclose(found["elbo"], -64 * np.log(256), rtol=1e-5)


@pytest.mark.slow
def test_terms_of_a_linear_model_are_exact():
    """At the exact posterior log p(x, z) - log q(z|x) is log p(x), whatever z is; so is the ELBO with the closed KL."""
    model = Linear(error=0.0)
    log_w = model.family.methods["log_weights"](model.state, {"x": model.x}, KEY, 5)
    np.testing.assert_allclose(log_w, np.broadcast_to(model.log_likelihood(), (5, 6)), atol=2e-3)
    evaluate = jax.jit(jax.vmap(lambda key: model.family.evaluate(model.state, {"x": model.x}, key)["elbo"]))
    elbo = evaluate(jax.random.split(KEY, 4000)).mean(0)
    np.testing.assert_allclose(elbo, model.log_likelihood(), atol=0.1)


def broad(params):
    """A posterior wider than the prior, so that the weights have little variance, and a decoder that needs z."""
    def wider(path, v):
        path = jax.tree_util.keystr(path)
        return v * (2 if "decoder" in path else 0.3) + ("encoder" in path and "log_scale" in path and "bias" in path)

    return jax.tree_util.tree_map_with_path(wider, params)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chain", "ladder", "vamp", "iaf"])
def test_weights_average_to_the_same_likelihood_whatever_the_posterior(name):
    """E_q[w] = p(x) for any q: the estimate agrees with one from the prior, if the density of q is right."""
    overrides = VARIANTS[name] | ({"hierarchy__latents": (2,)} if "hierarchy__name" in VARIANTS[name] else {})
    family = make(Spec((2, 2, 1), 0, "unit"), **overrides)
    x = jnp.array([[1.0, 0.0], [0.0, 1.0]])[None, :, :, None]
    state = family.init(KEY, {"x": x})
    state = state.replace(params=broad(state.params))
    log_w = jax.jit(family.methods["log_weights"], static_argnums=3)(state, {"x": x}, KEY, 60_000)[:, 0]
    z = jax.jit(family.methods["latents"], static_argnums=2)(state, KEY, 60_000)
    means = jnp.clip(family.methods["decode"](state, z), 1e-6, 1 - 1e-6)
    p = jnp.exp((x * jnp.log(means) + (1 - x) * jnp.log1p(-means)).sum((1, 2, 3)))
    w = jnp.exp(log_w)
    error = np.sqrt(w.var() / len(w) + p.var() / len(p))
    assert abs(w.mean() - p.mean()) < 4 * error and error < 0.05 * p.mean()


@pytest.mark.slow
def test_a_ladders_closed_kl_agrees_with_its_weights():
    family = make(**VARIANTS["ladder"])
    state, data, keys = family.init(KEY, batch(4)), batch(4), jax.random.split(KEY, 500)
    elbo = jax.vmap(lambda key: family.evaluate(state, data, key)["elbo"])(keys)
    log_w = jax.jit(family.methods["log_weights"], static_argnums=3)(state, data, KEY, 500)
    error = np.sqrt((elbo.var(0) + log_w.var(0)) / 500)
    assert (jnp.abs(elbo.mean(0) - log_w.mean(0)) < 5 * error).all()


@pytest.mark.slow
def test_merging_by_precision_is_the_product_of_normals():
    q, p = Normal(jnp.array([1.0]), jnp.log(jnp.array([0.5]))), Normal(jnp.array([-1.0]), jnp.log(jnp.array([2.0])))
    z = jnp.linspace(-3, 3, 5)[:, None]
    difference = merged(q, p).log_prob(z) - q.log_prob(z) - p.log_prob(z)
    np.testing.assert_allclose(difference, jnp.full((5, 1), difference[0, 0]), atol=1e-5)


@pytest.mark.slow
def test_kl_warm_up_begins_without_the_divergence():
    """At step 0 the objective is the log-likelihood alone; after the warm-up, the ELBO."""
    family = make(schedules__kl_weight__name="warm_up", schedules__kl_weight__steps=10)
    state = family.init(KEY, batch())
    first = family.update(state, batch(), KEY)[1]
    late = family.update(state.replace(step=jnp.int32(10)), batch(), KEY)[1]
    np.testing.assert_allclose(-first["loss"], first["log_likelihood"], rtol=1e-6)
    np.testing.assert_allclose(-late["loss"], late["elbo"], rtol=1e-6)


@pytest.mark.slow
def test_a_warm_up_by_epoch_rises_in_stairs():
    """At the first of 2 stairs the objective has half the divergence."""
    path = "schedules__kl_weight"
    family = make(**{f"{path}__name": "stairs", f"{path}__steps": 10, f"{path}__count": 2})
    metrics = family.update(family.init(KEY, batch()), batch(), KEY)[1]
    np.testing.assert_allclose(-metrics["loss"], metrics["log_likelihood"] - 0.5 * metrics["kl"], rtol=1e-5)


@pytest.mark.parametrize("x", [-100.0, -16.1, -15.9, -3.0, 0.0, 5.0, 80.0])
def test_a_softplus_scale_and_its_gradient(x):
    value, slope = jax.value_and_grad(log_softplus)(jnp.float32(x))
    softplus = np.log1p(np.exp(x)) if x < 30 else x
    assert float(value) == pytest.approx(np.log(softplus) if softplus else x, rel=1e-5, abs=1e-6)
    assert float(slope) == pytest.approx((1 / (1 + np.exp(-x)) / softplus) if softplus else 1.0, rel=1e-4)


@pytest.mark.slow
def test_a_posterior_has_the_scale_that_its_config_asks_for():
    """The same parameters: log-scales s and log softplus(s); another word is one line."""
    exp, softplus = (make(posterior__scale=scale) for scale in ("exp", "softplus"))
    state, x = exp.init(KEY, batch()), batch()["x"]
    plain, other = (family.methods["encode"](state, x).log_scale for family in (exp, softplus))
    np.testing.assert_allclose(other, np.log(np.log1p(np.exp(plain))), rtol=1e-4, atol=1e-5)
    with pytest.raises(UserError, match="Unknown config.posterior.scale 'softmax'"):
        make(posterior__scale="softmax").init(KEY, batch())


@pytest.mark.slow
def test_log_variances_are_clipped_and_have_no_gradient_beyond():
    """Features 0.3 times -30, 1 and 30 as log-scales: log-variances -6, 0.6 and 2 of the bounds -6 and 2."""
    class Same(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            return x

    posterior = DiagonalNormal(Same(), 1, log_variance_bounds=(-6.0, 2.0))
    x = jnp.float32([[-30.0], [1.0], [30.0]])
    params = posterior.init(KEY, x, train=True)["params"]
    params = params | {"log_scale": {"kernel": jnp.full((1, 1), 0.3), "bias": jnp.zeros(1)}}

    def log_scale(x):
        return posterior.apply({"params": params}, x, train=True)[0].log_scale

    np.testing.assert_allclose(2 * log_scale(x)[:, 0], [-6, 0.6, 2], rtol=1e-6)
    np.testing.assert_allclose(jax.grad(lambda x: log_scale(x).sum())(x)[:, 0], [0, 0.3, 0], rtol=1e-6)


@pytest.mark.slow
def test_the_output_bias_begins_at_the_mean_of_the_data():
    data = batch(500)
    family = make(output_bias="data_mean")
    state = family.init(KEY, data)
    state = state.replace(params=jax.tree_util.tree_map_with_path(
        lambda path, v: v if "output" in str(path) and v.ndim == 1 else v * 0, state.params))
    decoded = family.methods["decode"](state, jnp.zeros((1, 2)))[0]
    np.testing.assert_allclose(decoded, jnp.clip(data["x"].mean(0), 1e-3, 1 - 1e-3), atol=1e-4)


@pytest.mark.slow
def test_weight_zero_leaves_the_elbo():
    """Of every regularizer."""
    family = make(**FACTOR, **{f"regularizers__{name}__weight": 0.0 for name in REGULARIZERS})
    data = batch(32)
    metrics = family.update(family.init(KEY, data), data, KEY)[1]
    np.testing.assert_allclose(metrics["loss"], -metrics["elbo"], rtol=1e-6)
    assert all(abs(metrics[name]) > 1e-4 for name in REGULARIZERS)


@pytest.mark.slow
def test_a_regularizer_counts_with_its_weight():
    family = make(regularizers__dip_ii__weight=0.5)
    metrics = family.update(family.init(KEY, batch()), batch(), KEY)[1]
    np.testing.assert_allclose(metrics["loss"], -metrics["elbo"] + 0.5 * metrics["dip_ii"], rtol=1e-6)


@pytest.mark.slow
def test_factors_discriminator_moves_with_its_own_optimizer_alone():
    family = make(**FACTOR)
    data = batch(32)
    before = family.init(KEY, data)
    still = before.replace(hypers=before.hypers | {"optimizer.learning_rate": jnp.float32(0)})
    after = family.update(still, data, KEY)[0]
    assert_same_bits(before.params["encoder"], after.params["encoder"])
    a, b = (jax.tree.leaves(state.params["discriminator"]) for state in (before, after))
    assert any((u != v).any() for u, v in zip(a, b, strict=True))
    frozen = before.replace(hypers=before.hypers | {"discriminator_optimizer.learning_rate": jnp.float32(0)})
    assert_same_bits(before.params["discriminator"], family.update(frozen, data, KEY)[0].params["discriminator"])


@pytest.mark.slow
def test_a_sweep_over_hypers_is_one_program():
    family = make()
    states = jax.vmap(family.init, (0, None))(jax.random.split(KEY, 2), batch())
    states = states.replace(hypers=states.hypers | {"objective.beta": jnp.array([1.0, 0.0])})
    metrics = jax.vmap(family.update, (0, None, None))(states, batch(), KEY)[1]
    np.testing.assert_allclose(-metrics["loss"], [metrics["elbo"][0], metrics["log_likelihood"][1]], rtol=1e-6)


@pytest.mark.slow
def test_conditional_models_use_the_label():
    family = make(**VARIANTS["conditional"])
    state = family.init(KEY, batch())
    z = jnp.zeros((2, 2))
    decoded = family.methods["decode"](state, z, jnp.array([0, 1]))
    assert jnp.abs(decoded[0] - decoded[1]).max() > 1e-3
    a, b = (family.methods["encode"](state, batch()["x"][:1], jnp.array([i])).loc for i in (0, 1))
    assert jnp.abs(a - b).max() > 1e-3
    with pytest.raises(UserError, match="needs the labels"):
        family.methods["decode"](state, z)


@pytest.mark.parametrize("overrides, spec, message", [
    ({}, Spec((2,), 0, "real"), "bernoulli likelihood needs data in the range unit"),
    ({"conditional": True}, Spec((8, 8, 1), 0, "unit"), "needs labels"),
    ({"conditional": True, "prior__name": "vamp"}, SPEC, "no vamp prior"),
    ({"hierarchy__name": "chain", "prior__name": "mixture"}, SPEC, "prior.name=standard_normal"),
    ({"regularizers__factor": True}, SPEC, "config.discriminator"),
    ({"posterior__name": "iaf", "prior__name": "vamp"}, SPEC, "is a flow"),
    ({"samples": 0}, SPEC, "config.samples = 0: must be at least 1"),
    ({"kl_weight": -5.0}, SPEC, "config.kl_weight = -5.0: must be at least 0"),
    ({"posterior__log_variance_bounds": (2.0, -6.0)}, SPEC, "config.posterior.log_variance_bounds"),
    ({"prior__name": "mixture", "prior__components": 0}, SPEC, "config.prior.components = 0: must be at least 1"),
    ({"objective__name": "miwae", "objective__groups": 0}, SPEC, "config.objective.groups = 0: must be at least 1"),
    ({"objective__name": "capacity", "objective__steps": 0}, SPEC, "config.objective.steps = 0: must be at least 1"),
    ({"likelihood__name": "normal", "likelihood__scale": 0.0}, SPEC, "config.likelihood.scale = 0.0: must be above 0"),
    ({"hierarchy__name": "chain", "hierarchy__latents": ()}, SPEC, "at least one more layer"),
])
def test_mistakes_are_explained(overrides, spec, message):
    with pytest.raises(UserError, match=message):
        vae.make(vae_config(**overrides), spec)


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [{"objective__name": "stl"}, {"regularizers__total_correlation__weight": 1.0},
                                       {"regularizers__dip_i__weight": 1.0}])
def test_what_needs_a_density_or_moments_refuses_flows(overrides):
    family = make(posterior__name="iaf", **overrides)
    with pytest.raises(UserError, match="which a flow does not give"):
        family.update(family.init(KEY, batch()), batch(), KEY)


@pytest.mark.slow
def test_a_flow_is_part_of_codes_and_reconstructions():
    """Two reversals and shifts later, the code is not the mean of the noise; the samples lie around it."""
    config = vae_config(**VARIANTS["iaf"], posterior__steps=3)
    family, model = vae.make(config, SPEC), one_layer.build(config, SPEC)
    state, x = jax.jit(family.init)(KEY, batch()), batch(4)["x"]
    encoder = state.params["encoder"] | {
        "loc": {"kernel": state.params["encoder"]["loc"]["kernel"], "bias": jnp.array([2.0, -2.0])},
        "log_scale": jax.tree.map(lambda v: 0 * v - 5 * (v.ndim == 1), state.params["encoder"]["log_scale"])}
    state = state.replace(params=state.params | {"encoder": encoder})
    assert "encode" not in family.methods
    code = family.methods["code"](state, x)
    z = jnp.stack([model.infer(state.params, state.variables, {"x": x}, key, 1, train=False)[0].latents.z
                   for key in jax.random.split(KEY, 20)])
    np.testing.assert_allclose(z.mean(0), code, atol=0.05)
    assert jnp.abs(code - jnp.array([2.0, -2.0])).max() > 0.5
    np.testing.assert_allclose(family.methods["reconstruct"](state, x), family.methods["decode"](state, code))


def test_one_layer_takes_one_temperature():
    family = make(SPEC)
    state = family.init(KEY, {"x": jnp.zeros((4, 8, 8, 1))})
    draw = family.methods["latents"]
    np.testing.assert_array_equal(draw(state, KEY, 5, [0.5]), draw(state, KEY, 5, 0.5))
    np.testing.assert_allclose(draw(state, KEY, 5, 0.5), draw(state, KEY, 5) / 2, rtol=1e-6)
    with pytest.raises(UserError, match="2 temperatures for 1 layers"):
        draw(state, KEY, 5, [0.5, 1.0])
