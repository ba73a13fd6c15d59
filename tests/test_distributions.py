"""Distributions, flows, priors and likelihoods against numpyro, scipy, sums over all values and Jacobians."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as npd
import pytest
from scipy import stats

from gen.distributions import (
    Bernoulli,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    DiscretizedNormal,
    Normal,
    NormalMixture,
    PixelCategorical,
    kl_normal,
)
from gen.distributions.flows import InverseAutoregressiveFlow, RealNVP
from gen.distributions.likelihoods import LIKELIHOODS
from gen.distributions.priors import PRIORS
from gen.distributions.quantized import from_level, to_level
from gen.networks.masked import MADE

KEY = jax.random.key(0)


def normals(*shape, n=2, key=KEY):
    return [jax.random.normal(k, shape) for k in jax.random.split(key, n)]


def jitter(params, scale=0.3):
    """Parameters away from their initial values, so that flows are no identities."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(7), len(leaves))
    return tree.unflatten([v + scale * jax.random.normal(k, v.shape) for k, v in zip(keys, leaves, strict=True)])


@pytest.mark.slow
def test_normal_and_its_kl_match_numpyro():
    loc, log_scale, x = normals(5, 3, n=3)
    loc2, log_scale2 = normals(5, 3, key=jax.random.key(1))
    ours, theirs = Normal(loc, log_scale), npd.Normal(loc, jnp.exp(log_scale))
    np.testing.assert_allclose(ours.log_prob(x), theirs.log_prob(x), rtol=1e-5, atol=1e-5)
    kl = npd.kl_divergence(theirs, npd.Normal(loc2, jnp.exp(log_scale2)))
    np.testing.assert_allclose(kl_normal(ours, Normal(loc2, log_scale2)), kl, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_normal_samples_have_its_moments():
    p = Normal(jnp.full(200_000, 1.5), jnp.full(200_000, jnp.log(0.5)))
    x = p.sample(KEY)
    np.testing.assert_allclose([x.mean(), x.std()], [1.5, 0.5], atol=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("logit", [-80.0, -2.0, 0.0, 3.0, 80.0])
def test_bernoulli_matches_numpyro(logit):
    for x in (0.0, 1.0):
        theirs = npd.Bernoulli(logits=jnp.array(logit)).log_prob(jnp.array(x))
        np.testing.assert_allclose(Bernoulli(jnp.array(logit)).log_prob(jnp.array(x)), theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("x", [0.0, 0.3, 1.0])
def test_bernoulli_is_exact_for_any_logit_and_so_is_its_derivative(x):
    """x l - log(1 + e^l) in double precision, and x - sigmoid(l): at 0 and where e^l overflows, too."""
    logits = jnp.array([-200.0, -20.0, -1e-3, 0.0, 1e-3, 20.0, 200.0])
    value, derivative = jax.vmap(jax.value_and_grad(lambda logit: Bernoulli(logit).log_prob(jnp.float32(x))))(logits)
    exact = np.float64(logits)
    np.testing.assert_allclose(value, x * exact - np.logaddexp(0, exact), rtol=1e-6, atol=2e-7)
    np.testing.assert_allclose(derivative, x - 1 / (1 + np.exp(-exact)), atol=2e-7)


def test_bernoulli_is_linear_in_grey_values():
    p = Bernoulli(jnp.array(0.7))
    expected = 0.3 * p.log_prob(jnp.array(1.0)) + 0.7 * p.log_prob(jnp.array(0.0))
    np.testing.assert_allclose(p.log_prob(jnp.array(0.3)), expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("low", [0.0, -1.0])
@pytest.mark.parametrize("log_scale", [-7.0, -4.0, -1.0, 1.0])
@pytest.mark.parametrize("loc", [-1.5, 0.0, 0.31, 1.0, 2.0])
def test_discretized_logistic_sums_to_one(low, log_scale, loc):
    values = from_level(jnp.arange(256), low)
    log_p = DiscretizedLogistic(jnp.full(256, loc), jnp.full(256, log_scale), low).log_prob(values)
    np.testing.assert_allclose(jnp.exp(log_p).sum(), 1, atol=2e-4)


def test_discretized_logistic_is_the_difference_of_scipys_distribution_function():
    loc, scale, half = 0.4, 0.05, 0.5 / 255
    x = np.arange(1, 255) / 255
    expected = np.log(stats.logistic.cdf(x + half, loc, scale) - stats.logistic.cdf(x - half, loc, scale))
    p = DiscretizedLogistic(jnp.full(254, loc), jnp.full(254, np.log(scale)))
    np.testing.assert_allclose(p.log_prob(jnp.float32(x)), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_discretized_logistic_has_gradients_far_from_the_value():
    grad = jax.grad(lambda loc: DiscretizedLogistic(loc, jnp.array(-6.0)).log_prob(jnp.array(0.9)))(jnp.array(0.0))
    np.testing.assert_allclose(grad, jnp.exp(6.0), rtol=1e-2)


@pytest.mark.parametrize("low, loc, scale", [(0.0, 0.4, 0.05), (-1.0, -0.99, 0.001), (-1.0, 1.5, 0.3)])
def test_discretized_normal_is_the_difference_of_scipys_distribution_function(low, loc, scale):
    x = np.float64(from_level(jnp.arange(256), low))
    edges = np.r_[-np.inf, (x[1:] + x[:-1]) / 2, np.inf]
    p = DiscretizedNormal(jnp.full(256, loc), jnp.full(256, np.log(scale)), low).log_prob(jnp.float32(x))
    np.testing.assert_allclose(jnp.exp(p), np.diff(stats.norm.cdf(edges, loc, scale)), atol=1e-5)


@pytest.mark.slow
def test_discretized_normal_has_gradients_far_from_the_value():
    grad = jax.grad(lambda loc: DiscretizedNormal(loc, jnp.log(0.01)).log_prob(jnp.array(0.9)))(jnp.array(0.0))
    np.testing.assert_allclose(grad, 0.9 / 1e-4, rtol=0.02)


@pytest.mark.slow
def test_logistic_mixture_is_the_mixture_of_its_components_and_sums_to_one():
    logits, loc, log_scale = normals(256, 3, n=3)
    log_scale = log_scale - 2
    logits, loc, log_scale = (jnp.broadcast_to(v[:1], v.shape) for v in (logits, loc, log_scale))
    values = from_level(jnp.arange(256), -1.0)
    log_p = DiscretizedLogisticMixture(logits, loc, log_scale, -1.0).log_prob(values)
    parts = [DiscretizedLogistic(loc[:, i], log_scale[:, i], -1.0).log_prob(values) for i in range(3)]
    direct = np.exp(np.stack(parts, -1)) @ np.asarray(jax.nn.softmax(logits[0]))
    np.testing.assert_allclose(jnp.exp(log_p), direct, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(jnp.exp(log_p).sum(), 1, atol=2e-4)


@pytest.mark.slow
def test_categorical_matches_numpyro_on_levels():
    logits = jax.random.normal(KEY, (4, 256))
    level = jnp.array([0, 17, 200, 255])
    theirs = npd.Categorical(logits=logits).log_prob(level)
    np.testing.assert_allclose(PixelCategorical(logits).log_prob(from_level(level, 0.0)), theirs, rtol=1e-5)


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_levels_are_the_inverse_of_their_values(low):
    assert (to_level(from_level(jnp.arange(256), low), low) == jnp.arange(256)).all()


@pytest.mark.slow
def test_samples_of_a_quantized_distribution_follow_its_probabilities():
    p = DiscretizedLogistic(jnp.full(100_000, 0.99), jnp.full(100_000, -4.0))
    levels = np.asarray(to_level(p.sample(KEY), 0.0))
    probability = jnp.exp(DiscretizedLogistic(jnp.full(256, 0.99), jnp.full(256, -4.0)).log_prob(
        from_level(jnp.arange(256), 0.0)))
    np.testing.assert_allclose(np.bincount(levels, minlength=256) / 1e5, probability, atol=5e-3)


@pytest.mark.slow
def test_normal_mixture_matches_scipy():
    loc, log_scale = normals(4, 3)
    logits, z = jnp.array([0.1, -1.0, 0.5, 2.0]), jax.random.normal(jax.random.key(3), (10, 3))
    densities = [stats.multivariate_normal(m, np.diag(np.exp(2 * s))).pdf(z)
                 for m, s in zip(np.asarray(loc), np.asarray(log_scale), strict=True)]
    expected = np.log(np.asarray(jax.nn.softmax(logits)) @ np.array(densities))
    np.testing.assert_allclose(NormalMixture(logits, loc, log_scale).log_prob(z), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_normal_mixture_samples_have_its_mean():
    loc = jnp.array([[0.0, 5.0], [2.0, -5.0]])
    p = NormalMixture(jnp.log(jnp.array([0.25, 0.75])), loc, jnp.full((2, 2), -1.0))
    np.testing.assert_allclose(p.sample(KEY, 100_000).mean(0), [1.5, -2.5], atol=0.05)


def log_determinant(function, z):
    jacobian = jax.jit(jax.vmap(jax.jacobian(function)))(z)
    return np.linalg.slogdet(jacobian)[1]


@pytest.mark.slow
@pytest.mark.parametrize("d", [1, 2, 5])
def test_real_nvp_inverts_and_its_log_determinant_is_the_jacobians(d):
    flow, z = RealNVP(d, layers=4, hidden=(16,)), jax.random.normal(KEY, (6, d))
    params = jitter(jax.jit(flow.init)(KEY, z))
    y, log_det = flow.apply(params, z)
    assert jnp.abs(y - z).max() > 0.1
    np.testing.assert_allclose(flow.apply(params, y, method="inverse"), z, atol=1e-4)
    np.testing.assert_allclose(log_det, log_determinant(lambda z: flow.apply(params, z)[0], z), atol=1e-4)


@pytest.mark.slow
def test_iaf_log_determinant_is_the_jacobians():
    flow, z, context = InverseAutoregressiveFlow(3, (16,)), *normals(1, 6, 4)
    params = jitter(jax.jit(flow.init)(KEY, z, context[0]))
    y, log_det = jax.jit(flow.apply)(params, z, context[0])
    jacobian = jax.jit(jax.vmap(jax.jacobian(lambda v, c: flow.apply(params, v[None, None], c[None])[0][0, 0])))
    expected = np.linalg.slogdet(jacobian(z[0], context[0]))[1]
    assert jnp.abs(y - z).max() > 0.1
    np.testing.assert_allclose(log_det[0], expected, atol=1e-4)


@pytest.mark.slow
def test_made_is_autoregressive_and_uses_its_context():
    net, z, context = MADE((32, 32), 2), *normals(3, 5)
    params = jitter(net.init(KEY, z, context))
    jacobian = jax.jit(jax.jacobian(lambda v: net.apply(params, v, context[0])))(z[0])
    upper = np.triu(np.ones((5, 5)))[:, None, :]
    assert (jacobian * upper == 0).all()
    assert (jnp.abs(jacobian).sum(1)[np.tril_indices(5, -1)] > 0).all()
    other = net.apply(params, z[0], context[1]) - net.apply(params, z[0], context[0])
    assert (jnp.abs(other[1:]) > 0).all() and (other[0] == 0).all()


def prior(name, shape=(4, 4, 1), **options):
    module = PRIORS[name](latents=3, shape=shape, range="unit", **options)
    encode = lambda x: Normal(x.reshape(len(x), -1)[:, :3] * 2, x.reshape(len(x), -1)[:, 3:6] - 1)  # noqa: E731
    params = jitter(module.init(KEY, jnp.zeros((1, 3)), encode, method="log_prob"))
    return module, params, encode


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mixture", "vamp", "real_nvp", "standard_normal"])
def test_prior_samples_have_the_entropy_that_its_density_says(name):
    """E_p[p'(z) / p(z)] = 1 for any normalised density p': here a normal fitted to the samples."""
    small = {"real_nvp": {"layers": 2, "hidden": (8,)}, "standard_normal": {}}
    module, params, encode = prior(name, **small.get(name, {"components": 5}))
    z = module.apply(params, KEY, 20_000, encode, method="sample")
    log_p = module.apply(params, z, encode, method="log_prob")
    fitted = stats.multivariate_normal(z.mean(0), np.cov(z.T) * 0.5)
    assert jnp.std(z) > 0.3
    np.testing.assert_allclose(np.exp(fitted.logpdf(z) - log_p).mean(), 1, atol=0.1)


@pytest.mark.slow
def test_vamp_prior_is_the_mixture_of_posteriors_at_its_pseudo_inputs():
    module, params, encode = prior("vamp", components=6)
    z = jax.random.normal(KEY, (7, 3))
    q = encode(jax.nn.sigmoid(params["params"]["pseudo_inputs"]))
    direct = jax.nn.logsumexp(q.log_prob(z[:, None]).sum(-1), axis=1) - jnp.log(6)
    np.testing.assert_allclose(module.apply(params, z, encode, method="log_prob"), direct, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_vamp_prior_begins_at_examples():
    module, _, _ = prior("vamp", components=3)
    x = jax.random.uniform(KEY, (2, 4, 4, 1))
    inputs = jax.nn.sigmoid(module.set_examples(x)["pseudo_inputs"])
    np.testing.assert_allclose(inputs, 0.05 + 0.9 * x[jnp.array([0, 1, 0])], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_likelihoods_give_a_density_and_a_mean_of_the_examples_shape(name):
    likelihood = LIKELIHOODS[name](range=LIKELIHOODS[name].ranges[0])
    out = 0.1 * jax.random.normal(KEY, (2, 4, 4, likelihood.channels(3)))
    params = likelihood.init(KEY, out)
    p, x = likelihood.apply(params, out), from_level(jnp.full((2, 4, 4, 3), 100), 0.0)
    total = likelihood.log_prob(p, x, 1)
    assert p.mean().shape == p.sample(KEY).shape == x.shape and total.shape == (2,)
    assert jnp.isfinite(p.log_prob(x)).all()
    np.testing.assert_allclose(total, p.log_prob(x).reshape(2, -1).sum(-1), rtol=1e-5)


def conditional_mixture(*shape, channels=3, components=4, key=KEY):
    """(decoder's output, the distribution) of random parameters, scales from below a level to the whole range."""
    likelihood = LIKELIHOODS["conditional_logistic_mixture"](range="symmetric", components=components)
    out = jax.random.normal(key, (*shape, likelihood.channels(channels)))
    first = components * (1 + channels)
    out = out.at[..., first:first + components * channels].add(-2)
    return out, likelihood.apply({}, out)


@pytest.mark.slow
def test_the_conditional_mixture_is_scipys_logistics_with_the_channels_in_turn():
    """In float64 from distribution functions, on both tails; levels at both edges, and scales that are bounded."""
    m = 4
    out, p = conditional_mixture(300)
    levels = np.random.default_rng(0).integers(0, 256, (300, 3))
    levels[:60] = np.random.default_rng(1).choice([0, 1, 254, 255], (60, 3))
    x = levels / 127.5 - 1
    logits, loc, scale, r = np.split(np.asarray(out, np.float64), [m, 4 * m, 7 * m], axis=-1)
    loc, scale, r = loc.reshape(-1, 3, m), np.exp(np.maximum(scale, -7)).reshape(-1, 3, m), np.tanh(r).reshape(-1, 3, m)
    loc[:, 1] += r[:, 0] * x[:, :1]
    loc[:, 2] += r[:, 1] * x[:, :1] + r[:, 2] * x[:, 1:2]
    edges = [np.where(levels == end, np.inf, (x + half) * 1.0)[..., None] * sign for end, half, sign in
             ((255, 1 / 255, 1), (0, -1 / 255, 1))]
    edges[1] = np.where(levels[..., None] == 0, -np.inf, edges[1])
    upper, lower = ((edge - loc) / scale for edge in edges)
    mass = np.where(lower > 0, stats.logistic.sf(lower) - stats.logistic.sf(upper),
                    stats.logistic.cdf(upper) - stats.logistic.cdf(lower))
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = np.log((weights * mass.prod(1)).sum(-1))
    keep = expected > -100
    assert keep.mean() > 0.9
    np.testing.assert_allclose(p.log_prob(jnp.float32(x))[keep], expected[keep], rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_the_conditional_mixture_sums_to_one_and_its_samples_follow_it():
    """Over all 65,536 pairs of levels of two channels."""
    _, p = conditional_mixture(1, channels=2, components=3)
    pairs = from_level(jnp.stack(jnp.meshgrid(jnp.arange(256), jnp.arange(256), indexing="ij"), -1), -1.0)
    probability = np.exp(np.asarray(jax.vmap(jax.vmap(p.log_prob))(pairs), np.float64))[..., 0]
    np.testing.assert_allclose(probability.sum(), 1, rtol=1e-5)
    values = np.asarray(from_level(jnp.arange(256), -1.0))
    exact = np.stack([(probability.sum(1 - i) * values).sum() for i in range(2)])
    draws = np.asarray(jax.vmap(p.sample)(jax.random.split(KEY, 20_000)))[:, 0]
    np.testing.assert_array_less(np.abs(draws.mean(0) - exact), 5 * draws.std(0) / 20_000**0.5)
    np.testing.assert_array_equal(np.unique(to_level(jnp.asarray(draws), -1.0)) // 256, 0)
    both = np.einsum("ij,i,j->", probability, values, values)
    np.testing.assert_allclose((draws[:, 0] * draws[:, 1]).mean(), both, atol=0.02)


def test_the_mean_of_the_conditional_mixture_follows_the_channels_before_in_each_component():
    likelihood = LIKELIHOODS["conditional_logistic_mixture"](range="symmetric", components=2)
    loc = jnp.array([[0.2, -0.4], [0.1, 0.3]])
    out = jnp.concatenate([jnp.log(jnp.array([0.25, 0.75])), loc.ravel(), jnp.full(4, -5.0), jnp.arctanh(
        jnp.array([0.5, -0.5]))])
    np.testing.assert_allclose(likelihood.apply({}, out).mean(), [0.25 * 0.2 - 0.75 * 0.4, 0.25 * 0.2 + 0.75 * 0.5],
                               rtol=1e-5)


def test_the_scale_of_the_shared_normal_is_the_error_where_it_is_best():
    """Rybkin et al. 2021, eq. 4: the likelihood is stationary in the scale at the root mean squared error."""
    out, x = normals(50, 3)
    best = {"params": {"log_scale": jnp.log(jnp.sqrt(jnp.square(x - out).mean()))}}
    likelihood = LIKELIHOODS["normal_shared"](range="real")
    slope = jax.grad(lambda params: likelihood.log_prob(likelihood.apply(params, out), x, 1).sum())(best)
    np.testing.assert_allclose(slope["params"]["log_scale"], 0, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bernoulli", "normal", "normal_shared"])
def test_the_output_for_a_mean_has_that_mean(name):
    likelihood, mean = LIKELIHOODS[name](range="unit"), jnp.linspace(0.01, 0.99, 12).reshape(1, 2, 2, 3)
    out = likelihood.output(mean)
    p = likelihood.apply(likelihood.init(KEY, out), out)
    np.testing.assert_allclose(p.mean(), mean, atol=1e-5)


@pytest.mark.slow
def test_channels_of_a_quantized_likelihood_are_its_own():
    """Changing the outputs of one channel changes the probability of that channel alone."""
    for name in ("discretized_logistic", "discretized_logistic_mixture", "categorical"):
        likelihood = LIKELIHOODS[name](range="unit")
        n, x = likelihood.outputs, jnp.full((1, 3), 0.4)
        out = jax.random.normal(KEY, (1, 3 * n))
        moved = out.reshape(1, n, 3).at[..., 1].set(0.3).reshape(1, -1)
        change = likelihood.apply({}, moved).log_prob(x) - likelihood.apply({}, out).log_prob(x)
        assert change[0, 0] == change[0, 2] == 0 != change[0, 1]
