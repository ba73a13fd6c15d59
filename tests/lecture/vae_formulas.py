r"""What the displayed formulas of the chapters on VAEs say, in numbers; see `tests.lecture.formulas`."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from scipy import special, stats

from gen.distributions import Normal, kl_normal, standard_normal
from gen.distributions.elementary import kl_normal as kl_of_normals
from gen.distributions.priors import VampPrior
from gen.evaluation import latents, layers
from gen.evaluation.memorization import copying
from gen.objectives import bounds
from gen.objectives.regularizers import aggregate
from gen.probability import gradients
from gen.probability.linear_gaussian import LinearGaussian
from tests.lecture.formulas import KEY, MODEL, SEEN, WIDTH, S, W, X, evidence, normal
from tests.lecture.latex import evaluate


def terms(n: int = 200_000):
    """Terms of the linear model at SEEN, for a normal q that is not its posterior."""
    q = Normal(jnp.array([0.3]), jnp.log(jnp.array([0.6])))
    z = q.loc + 0.6 * jax.random.normal(KEY, (n, 1))
    log_likelihood = Normal(W * z, jnp.full(z.shape, jnp.log(S))).log_prob(jnp.array(SEEN))
    prior = standard_normal((1,))
    return bounds.Terms(log_likelihood, prior.log_prob(z), q.log_prob(z), None, kl_normal(q, prior)[None])


def elbo_by_hand():
    """(E_q log p(x|z), KL(q || p(z)), KL(q || p(z|x))) of the same q, on a grid."""
    q, prior = normal(X, 0.3, 0.6), normal(X, 0, 1)
    posterior = normal(SEEN, W * X, S) * prior / evidence()
    return ((q * stats.norm.logpdf(SEEN, W * X, S)).sum() * WIDTH,
            (q * (stats.norm.logpdf(X, 0.3, 0.6) - stats.norm.logpdf(X, 0, 1))).sum() * WIDTH,
            special.rel_entr(q, posterior).sum() * WIDTH)


def vae_formulas():
    reconstruction, to_prior, gap = elbo_by_hand()
    log_p = MODEL.log_likelihood(np.array([[SEEN]]))[0]
    found = terms()
    yield "elbo_gap", r"p(x) = \int p(x \mid z) \, p(z) \, dz", lambda f: (evidence(), np.exp(log_p))
    yield "elbo_gap", r"\log p(x) = \mathrm{ELBO} + \mathrm{KL}(q(z \mid x) \,\|\, p(z \mid x))", lambda f: (
        reconstruction - to_prior + gap, log_p)
    yield ("elbo_gap", r"\mathrm{ELBO} = \mathbb{E}_q \log p(x \mid z) - \mathrm{KL}(q(z \mid x) \,\|\, p(z))",
           lambda f: (reconstruction - to_prior, float(bounds.elbo(found)[0]), 0.02))
    yield ("elbo_gap", r"\mathrm{KL}(\mathcal{N}(\mu, \sigma^2) \,\|\, \mathcal{N}(0, 1)) = \frac{\mu^2 + \sigma^2 - "
           r"1}{2} - \log \sigma", lambda f: (
        evaluate(f, mu=0.3, sigma=0.6), kl_of_normals(Normal(jnp.array(0.3), jnp.log(0.6)), standard_normal(()))))
    yield "elbo_gap", r"\mathcal{L}_k = \mathbb{E} \log \frac{1}{k} \sum_{i=1}^{k} w_i", lambda f: (
        np.log(np.exp(np.float64(found.log_w[:5])).mean(0)), bounds.iwae(found._replace(
            log_likelihood=found.log_likelihood[:5], log_prior=found.log_prior[:5],
            log_posterior=found.log_posterior[:5])))
    q, keys = Normal(jnp.array([0.3]), jnp.log(jnp.array([0.6]))), jax.random.split(KEY, 200_000)

    def f(z):
        return jnp.sin(z).sum()

    exact = np.cos(0.3) * np.exp(-0.36 / 2)  # E sin(m + s eps) = sin(m) exp(-s^2 / 2)
    x = 0.3 + 0.6 * np.float64(jax.random.normal(KEY, (200_000,)))
    for latex, estimator, mine in (
            (r"\nabla_m \mathbb{E}_q f(z) = \mathbb{E}_q \left[ f(z) \, \nabla_m \log q(z) \right]",
             gradients.score_function, np.sin(x) * (x - 0.3) / 0.36),
            (r"\nabla_m \mathbb{E}_q f(z) = \mathbb{E}_\varepsilon \nabla_m f(m + s \varepsilon), \qquad \varepsilon "
             r"\sim \mathcal{N}(0, 1)", gradients.reparameterised, np.cos(x))):
        yield "gradient_estimators", latex, lambda _, estimator=estimator, mine=mine: (
            [exact, mine.mean()], [float(jax.vmap(lambda key: estimator(key, f, q).loc)(keys).mean()), exact], 0.02)
    yield from warm_up_formulas()
    pixels, mean = np.array([0.2, 0.9, 0.4]), np.array([0.1, 0.5, 0.6])
    inside = r"\frac{(x_i - f_i(z))^2}{2 s^2} + \log(s \sqrt{2 \pi})"
    yield "blur", (r"\log p(x \mid z) = -\sum_i \left( " + inside + r" \right)"), lambda f: (
        -evaluate(inside, x_i=pixels, f_i=lambda z: mean, z=0, s=0.3).sum(),
        Normal(jnp.array(mean), jnp.full(3, jnp.log(0.3))).log_prob(jnp.array(pixels)).sum())
    images = np.random.default_rng(2).uniform(size=(50, 1))
    likelihood = jax.grad(lambda f: Normal(f, jnp.zeros(1)).log_prob(jnp.asarray(images)).mean())
    yield "blur", r"f^*(z) = \mathbb{E}[x \mid z]", lambda f: (likelihood(jnp.array([images.mean()])), np.zeros(1))


def warm_up_formulas():
    found = terms(1_000)
    kl = jnp.array([[0.2, 0.9]])
    two = found._replace(kl=kl)
    means = jax.random.normal(KEY, (500, 2)) * jnp.array([1.0, 0.01])
    log_likelihood = float(found.log_likelihood.mean())
    yield ("posterior_collapse", r"A_i = \mathrm{Var}_{x}\big(\mathbb{E}_{q(z \mid x)}[z_i]\big) > 0.01", lambda f: (
        np.asarray(means).var(0), latents.activity(means)))
    yield ("posterior_collapse", r"\mathbb{E}_{q} \log p(x \mid z) - \beta_t \, \mathrm{KL}(q(z \mid x) \,\|\, p(z))",
           lambda f: (log_likelihood - 0.4 * 1.1, bounds.elbo(two.tempered(0.4))[0]))
    yield "posterior_collapse", r"\beta_t = \min(t / T, 1)", lambda f: (
        [evaluate(f, t=t, T=2_000) for t in (0, 500, 3_000)],
        [bounds.grown(jnp.array(t), 2_000) for t in (0, 500, 3_000)])
    yield ("posterior_collapse", r"\mathbb{E}_{q} \log p(x \mid z) - \sum_i \max(\lambda, \mathrm{KL}_i)", lambda f: (
        log_likelihood - max(0.5, 0.2) - max(0.5, 0.9), bounds.free_bits(two, 0.5)[0]))


def deeper_formulas():
    answers = Normal(jnp.array([[0.4], [-1.1], [2.0]]), jnp.log(jnp.array([[0.5], [0.8], [0.3]])))
    means, scales = np.float64(answers.loc)[:, 0], np.exp(np.float64(answers.log_scale))[:, 0]
    densities = normal(X, means[:, None], scales[:, None])
    mixture = densities.mean(0)
    at = np.argmin(np.abs(X - 0.3))
    yield "deeper", r"q(z) = \frac{1}{N} \sum_{n=1}^{N} q(z \mid x_n)", lambda f: (
        mixture[at], np.exp(aggregate(jnp.array([[X[at]]]), answers).joint[0]))

    information = sum(special.rel_entr(p, mixture).sum() * WIDTH for p in densities) / 3
    rest = special.rel_entr(mixture, normal(X, 0, 1)).sum() * WIDTH
    which = jnp.arange(60_000) % 3
    q = Normal(answers.loc[which], answers.log_scale[which])
    z = q.sample(KEY)
    parts = latents.decomposition(
        z, q.log_prob(z)[:, 0], standard_normal((1,)).log_prob(z)[:, 0], answers, chunk=10_000)
    to_prior = [special.rel_entr(p, normal(X, 0, 1)).sum() * WIDTH for p in densities]
    yield ("deeper", r"R = \frac{1}{N} \sum_{n=1}^{N} \mathrm{KL}(q(z \mid x_n) \,\|\, p(z))", lambda f: (
        np.mean(to_prior), kl_normal(answers, standard_normal((1,))).mean()))
    yield ("deeper", r"R = I(x; z) + \mathrm{KL}(q(z) \,\|\, p(z))", lambda f: (
        [information + rest, rest],
        [float(kl_normal(answers, standard_normal((1,))).mean()),
         float(parts.total_correlation + parts.dimension_wise_kl)], 0.02))
    yield ("deeper", r"I(x; z) = \frac{1}{N} \sum_{n=1}^{N} \mathrm{KL}(q(z \mid x_n) \,\|\, q(z))", lambda f: (
        information, float(parts.mutual_information), 0.02))

    def encode(x):
        return Normal(2 * x, jnp.log(0.2 + x))

    prior = VampPrior(1, (1,), "unit", components=3)
    variables = prior.init(KEY, jnp.zeros((1, 1)), encode, method="log_prob")
    u = np.float64(nn.sigmoid(variables["params"]["pseudo_inputs"]))[:, 0]
    yield "deeper", r"p(z) = \frac{1}{K} \sum_{k=1}^{K} q(z \mid u_k)", lambda f: (
        normal(0.7, 2 * u, 0.2 + u).mean(),
        np.exp(prior.apply(variables, jnp.array([[0.7]]), encode, method="log_prob")[0]))
    yield from two_layer_formulas()


def two_layer_formulas():
    yield "deeper", r"p(z_1) = \int p(z_1 \mid z_2) \, p(z_2) \, dz_2", lambda f: (
        (normal(SEEN, W * X, S) * normal(X, 0, 1)).sum() * WIDTH,
        np.exp(LinearGaussian(np.array([[W]]), np.zeros(1), S).log_likelihood(np.array([[SEEN]]))[0]))
    likelihood, p_1, p_2, q_1, q_2 = np.random.default_rng(3).normal(size=(5, 200, 1))
    first, second = (q_1 - p_1).mean(), (q_2 - p_2).mean()

    def bound(*of):
        return bounds.monte_carlo_elbo(bounds.Terms(*map(jnp.asarray, of), None, jnp.zeros((1, 2))))[0]

    nothing = np.zeros_like(p_1)
    yield "deeper", r"\mathrm{ELBO} = \mathbb{E}_q \log p(x \mid z_1) - R_1 - R_2", lambda f: (
        likelihood.mean() - first - second, bound(likelihood, p_1 + p_2, q_1 + q_2))
    yield "deeper", r"R_1 = \mathbb{E}_q \log \frac{q(z_1 \mid x)}{p(z_1 \mid z_2)}", lambda f: (
        first, -bound(nothing, p_1, q_1))
    yield "deeper", r"R_2 = \mathbb{E}_q \log \frac{q(z_2 \mid z_1)}{p(z_2)}", lambda f: (
        second, -bound(nothing, p_2, q_2))


def hierarchy_formulas():
    upper, *lower = np.random.default_rng(5).normal(size=(3, 200_000, 2))
    x, again = (upper + 0.5 * part for part in lower)
    yield "hierarchy", r"V_k = \frac{1}{2} \mathbb{E} |x - x'|^2", lambda f: (
        2 * 0.5**2, layers.variance_below(jnp.asarray(x), jnp.asarray(again)), 0.005)
    left = [2.5, 0.7, 0.0]
    yield "hierarchy", r"s_k = \frac{V_{k-1} - V_k}{V_0}", lambda f: (
        [evaluate(f, **{"V_k-1": before, "V_k": after, "V_0": left[0]})
         for before, after in zip(left[:-1], left[1:], strict=True)], layers.shares(left))


def failure_formulas():
    found, beta = terms(1_000), 1 / 784
    yield ("failures", r"\mathcal{L}_\beta = \mathbb{E}_q \log p(x \mid z) - \beta \, \mathrm{KL}(q(z \mid x) "
           r"\,\|\, p(z))", lambda f: (
        float(found.log_likelihood.mean()) - beta * elbo_by_hand()[1], bounds.elbo(found, beta)[0]))
    samples, test = np.random.default_rng(4).gamma(3, size=(2, 400)) * [[0.8], [1.0]]
    yield "failures", r"C = P(d(x) < d(x'))", lambda f: (
        (samples[:, None] < test).mean(), copying(samples, test)["nearer"])
