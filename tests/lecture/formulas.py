r"""What each displayed formula of the lecture says, in numbers: (value by the formula, value by the library[, error]).

The formulas are written as the chapters have them. `evaluate` reads the value off the formula itself where it has a
closed form; an expectation or an integral is a sum here. Values are the same up to 1e-4 of them, or up to the error
where it is given, that of a Monte-Carlo estimate. The test asks that no formula of a chapter is missing here,
and that none is here that no chapter has.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import integrate, stats

from gen import lecture
from gen.data import mixtures
from gen.distributions import Normal
from gen.distributions.elementary import kl_normal as kl_of_normals
from gen.estimates import estimate
from gen.evaluation.modes import reverse_kl
from gen.objectives import adversarial, diffusion
from gen.probability import densities, divergences, sampling
from gen.probability.linear_gaussian import LinearGaussian
from tests.lecture.latex import evaluate

LINE = {"name": "line", "modes": 2, "spacing": 3.0, "std": 0.5}
X = np.linspace(-10, 10, 20_001)
WIDTH = X[1] - X[0]
P, Q = (stats.norm.pdf(X, m, s) * WIDTH for m, s in ((0.5, 1.0), (-1.0, 1.5)))
KEY = jax.random.key(0)
MODEL = LinearGaussian(np.array([[1.3]]), np.zeros(1), 0.7)
W, S, SEEN = 1.3, 0.7, 0.9
U = (np.arange(20_000) + 0.5) / 20_000


def sigma(x):
    return 1 / (1 + np.exp(-x))


def density(x):
    return np.exp(mixtures.log_density(LINE)(np.atleast_1d(x)[:, None]))


def normal(x, m, s):
    return stats.norm.pdf(x, m, s)


def evidence():
    """Of the linear model at SEEN, summed over its latent."""
    return (normal(SEEN, W * X, S) * normal(X, 0, 1)).sum() * WIDTH


def log_snr(t):
    """Of a variance-preserving mixture with alpha = cos(pi t / 2)."""
    return jnp.array(2 * np.log(np.cos(np.pi * t / 2) / np.sin(np.pi * t / 2)))


def levels(t, s):
    """The names that formulas of diffusion use, at times s < t."""
    a, b = (lambda v: np.cos(np.pi * v / 2)), (lambda v: np.sin(np.pi * v / 2))
    return {"alpha_t": a(t), "sigma_t": b(t), "alpha_s": a(s), "sigma_s": b(s)}


def probability_formulas():
    cdf, rng = mixtures.cdf(LINE), np.random.default_rng(0)
    yield "densities", r"P(a < X \le b) = \int_a^b p(x) \, dx", lambda f: (
        integrate.quad(lambda x: density(x)[0], 0.2, 1.4)[0], np.diff(cdf(np.array([0.2, 1.4])))[0])
    yield "densities", r"F(a) = P(X \le a) = \int_{-\infty}^a p(x) \, dx", lambda f: (
        integrate.quad(lambda x: density(x)[0], -9, 0.7, points=(-1.5,))[0], cdf(np.array([0.7]))[0])
    yield "densities", r"p(x) = F'(x)", lambda f: (np.diff(cdf(np.array([0.6999, 0.7001])))[0] / 2e-4, density(0.7)[0])
    gaussian = r"\mathcal{N}(x; m, s^2) = \frac{1}{s \sqrt{2 \pi}} \exp\left( -\frac{(x - m)^2}{2 s^2} \right)"
    yield "densities", gaussian, lambda f: (
        evaluate(f, x=0.4, m=1.0, s=0.7),
        np.exp(Normal(jnp.array(1.0), jnp.log(0.7)).log_prob(jnp.array(0.4))))
    yield "densities", r"p(x) = \frac{1}{K} \sum_{k=1}^{K} \mathcal{N}(x; m_k, s^2)", lambda f: (
        (evaluate(gaussian, x=0.4, m=-1.5, s=0.5) + evaluate(gaussian, x=0.4, m=1.5, s=0.5)) / 2, density(0.4)[0])
    x = rng.normal(size=400_000)
    yield "expectation", r"\mathbb{E}_p f(x) = \int f(x) \, p(x) \, dx", lambda f: (
        (np.cos(X) * normal(X, 0, 1)).sum() * WIDTH, estimate(np.cos(x).tolist()).mean,
        4 * estimate(np.cos(x).tolist()).error)
    yield "expectation", r"\hat{f}_n = \frac{1}{n} \sum_{i=1}^{n} f(x_i), \qquad x_i \sim p", lambda f: (
        np.cos(x).sum() / len(x), estimate(np.cos(x).tolist()).mean)
    yield "expectation", r"\mathrm{Var}\, f = \mathbb{E} f(x)^2 - (\mathbb{E} f(x))^2", lambda f: (
        (np.cos(x) ** 2).mean() - np.cos(x).mean() ** 2, estimate(np.cos(x).tolist()).error ** 2 * len(x))
    yield "expectation", r"\mathrm{SE} = \sqrt{\frac{\mathrm{Var}\, f}{n}}", lambda f: (
        evaluate(f, Var=np.cos(x).var(), f=1, n=len(x)), estimate(np.cos(x).tolist()).error)


def joint_formulas():
    mean, covariance = MODEL.posterior(np.array([[SEEN]]))
    posterior = normal(X, mean[0, 0], covariance[0, 0] ** 0.5)
    yield "joint", r"p(x, z) = p(x \mid z) \, p(z)", lambda f: (
        normal(SEEN, W * 0.4, S) * normal(0.4, 0, 1),
        stats.multivariate_normal([0, 0], [[W**2 + S**2, W], [W, 1]]).pdf([SEEN, 0.4]))
    yield "joint", r"p(x) = \int p(x, z) \, dz", lambda f: (
        evidence(), np.exp(MODEL.log_likelihood(np.array([[SEEN]]))[0]))
    yield "joint", r"p(z \mid x) = \frac{p(x \mid z) \, p(z)}{p(x)}", lambda f: (
        normal(SEEN, W * X, S) * normal(X, 0, 1) / evidence(), posterior)
    yield "joint", r"\mathbb{E}[z \mid x] = \frac{w x}{w^2 + s^2}", lambda f: (
        evaluate(f, w=W, x=SEEN, s=S), mean[0, 0])
    yield "joint", r"\mathrm{Var}[z \mid x] = \frac{s^2}{w^2 + s^2}", lambda f: (
        evaluate(f, w=W, s=S), covariance[0, 0])


def sampling_formulas():
    grid = np.linspace(0, 40, 400_001)
    quantile = densities.inverse_cdf(U, grid, 1 - np.exp(-2 * grid))
    yield "inverse_cdf", r"P(F^{-1}(u) \le a) = P(u \le F(a)) = F(a)", lambda f: (
        (densities.inverse_cdf(U, X, mixtures.cdf(LINE)(X)) <= 0.7).mean(), mixtures.cdf(LINE)(np.array([0.7]))[0])
    yield "inverse_cdf", r"F^{-1}(u) = -\frac{\log(1 - u)}{\lambda}", lambda f: (
        evaluate(f, u=U[:-10], **{"lambda": 2.0}), quantile[:-10])
    yield "inverse_cdf", r"W_1 = \int_0^1 \left| G(u) - F^{-1}(u) \right| du", lambda f: (
        np.abs(U**2 - quantile).mean(), divergences.wasserstein(U**2, quantile))

    def log_p(x):
        return -2 * jnp.square(jnp.square(x) - 1)

    n, bound = 400_000, 1.5
    q = Normal(jnp.zeros(n), jnp.full(n, jnp.log(1.2)))
    x, kept = sampling.rejection(KEY, log_p, q, bound)
    drawn, log_w = sampling.importance(KEY, log_p, q)
    p, proposal = np.exp(np.asarray(log_p(x))), np.exp(np.asarray(q.log_prob(x)))
    w = np.exp(np.float64(log_w))
    yield "monte_carlo", r"a(x) = \frac{p(x)}{M q(x)}", lambda f: (
        evaluate(f, p=lambda _: p, q=lambda _: proposal, x=0, M=np.exp(bound)).mean(), float(kept.mean()), 4e-3)
    yield ("monte_carlo", r"\mathbb{E}_p f(x) = \frac{\mathbb{E}_q\, w(x) f(x)}{\mathbb{E}_q\, w(x)}, "
           r"\qquad w(x) = \frac{p(x)}{q(x)}", lambda f: (
        (w * np.square(drawn)).mean() / w.mean(), moment(), 0.01))
    yield "monte_carlo", r"\mathrm{ESS} = \frac{(\sum_i w_i)^2}{\sum_i w_i^2}", lambda f: (
        w.sum() ** 2 / (w**2).sum(), np.float64(sampling.effective_sample_size(log_w)))
    yield "monte_carlo", r"\mathrm{error} = \frac{s}{\sqrt{n}}", lambda f: (
        evaluate(f, s=w.std(), n=n), estimate(w.tolist()).error)


def moment():
    """E[x^2] of the density of two humps, by quadrature."""
    p = np.exp(-2 * (X**2 - 1) ** 2)
    return (X**2 * p).sum() / p.sum()


def flow_formulas():
    def f(x):
        return jnp.array([x[0], x[1] * jnp.exp(jnp.sin(x[0])) + x[0] ** 2])

    def log_p_z(z):
        return -jnp.square(z).sum() / 2 - jnp.log(2 * jnp.pi)

    x = jnp.array([[0.3, -0.8], [1.4, 0.2]])
    found = densities.change_of_variables(log_p_z, f, x)
    log_det = [np.log(abs(np.linalg.det(np.float64(jax.jacfwd(f)(row))))) for row in x]
    yield ("change_of_variables", r"\log p(x) = \log p_z(f(x)) + \log \left| \det \frac{\partial f(x)}{\partial x} "
           r"\right|", lambda _: (jax.vmap(log_p_z)(jax.vmap(f)(x)) + jnp.array(log_det), found))
    yield "change_of_variables", r"z_1 = x_1, \qquad z_2 = x_2 \odot e^{s(x_1)} + t(x_1)", lambda latex: (
        evaluate(latex.partition(r"\qquad")[2], x_1=x[:, 0], x_2=x[:, 1], e=np.e, s=jnp.sin, t=jnp.square),
        jax.vmap(f)(x)[:, 1])
    yield ("change_of_variables", r"\log \left| \det \frac{\partial z}{\partial x} \right| = \sum_i s_i(x_1)",
           lambda _: (np.sin(x[:, 0]), np.array(log_det)))


def divergence_formulas():
    middle = (P + Q) / 2
    yield "kl_directions", r"\mathrm{KL}(p \,\|\, q) = \mathbb{E}_p \log \frac{p(x)}{q(x)}", lambda f: (
        (P * np.log(P / Q)).sum(), divergences.kl(P, Q))
    yield ("kl_directions", r"\mathrm{JSD}(p, q) = \tfrac{1}{2} \mathrm{KL}(p \,\|\, m) + \tfrac{1}{2} "
           r"\mathrm{KL}(q \,\|\, m)", lambda f: (
        (P * np.log(P / middle)).sum() / 2 + (Q * np.log(Q / middle)).sum() / 2, divergences.jensen_shannon(P, Q)))
    yield "kl_directions", r"\mathrm{TV}(p, q) = \tfrac{1}{2} \int |p(x) - q(x)| \, dx", lambda f: (
        np.abs(P - Q).sum() / 2, divergences.total_variation(P, Q))
    yield ("kl_directions", r"\mathrm{KL}(p \,\|\, q) = \log \frac{s_2}{s_1} + "
           r"\frac{s_1^2 + (m_1 - m_2)^2}{2 s_2^2} - \frac{1}{2}", lambda f: (
        evaluate(f, m_1=0.5, m_2=-1.0, s_1=1.0, s_2=1.5),
        divergences.kl_gaussian(*map(np.array, ([[0.5]], [[[1.0]]], [[-1.0]], [[[2.25]]])))))
    x, y = np.random.default_rng(1).normal(size=(2, 300))
    k = np.exp(-np.square(np.subtract.outer(np.r_[x, y], np.r_[x, y])) / 2)
    own = [(block.sum() - np.trace(block)) / (300 * 299) for block in (k[:300, :300], k[300:, 300:])]
    yield "distances", r"W_1(p, q) = \int_0^1 \left| F_p^{-1}(u) - F_q^{-1}(u) \right| du", lambda f: (
        np.abs(np.sort(x) - np.sort(y + 1)).mean(), divergences.wasserstein(x, y + 1))
    yield ("distances", r"\mathrm{MMD}^2(p, q) = \mathbb{E}\, k(x, x') - 2\, \mathbb{E}\, k(x, y) + "
           r"\mathbb{E}\, k(y, y')", lambda f: (
        own[0] - 2 * k[:300, 300:].mean() + own[1],
        divergences.squared_mmd(x[:, None], y[:, None], lambda a, b: np.exp(-np.square(a - b.T) / 2))))
    yield "distances", r"\mathrm{KL} = \frac{m^2}{2 s^2}", lambda f: (
        evaluate(f, m=1.7, s=0.5), divergences.kl_gaussian(*map(np.array, ([[1.7]], [[[0.25]]], [[0.0]], [[[0.25]]]))))
    yield "distances", r"W_1 = |m|", lambda f: (evaluate(f, m=-1.7), divergences.wasserstein(x, x - 1.7))


def gan_formulas():
    logits = np.log(P / Q)
    loss = adversarial.minimax()
    d = 1 / (1 + np.exp(-logits))
    value = (P * np.log(d)).sum() + (Q * np.log(1 - d)).sum()
    yield "optimal_discriminator", (r"V(D, G) = \mathbb{E}_{x \sim p} \log D(x) + \mathbb{E}_{z} \log(1 - D(G(z)))"), (
        lambda f: (value, -(P * np.float64(loss.discriminator(jnp.array(logits), jnp.full(len(X), -1e3)))).sum()
                   - (Q * np.float64(loss.discriminator(jnp.full(len(X), 1e3), jnp.array(logits)))).sum()))
    yield "optimal_discriminator", r"D^*(x) = \frac{p(x)}{p(x) + q(x)}", lambda f: (
        evaluate(f, p=lambda _: P, q=lambda _: Q, x=0), d)
    yield "optimal_discriminator", r"V(D^*, G) = 2 \, \mathrm{JSD}(p, q) - \log 4", lambda f: (
        evaluate(f, JSD=lambda p, q: divergences.jensen_shannon(P, Q), p=0, q=0), value)
    fake = jnp.array([-3.0, 0.4, 2.0])
    for latex, side in ((r"\frac{d}{d \ell} \log(1 - \sigma(\ell)) = -\sigma(\ell)", adversarial.saturating),
                        (r"\frac{d}{d \ell} \left( -\log \sigma(\ell) \right) = -(1 - \sigma(\ell))",
                         adversarial.non_saturating_generator)):
        yield "dead_generator", latex, lambda f, side=side: (
            evaluate(f, sigma=sigma, ell=np.asarray(fake)),
            jax.grad(lambda fake: side(jnp.zeros_like(fake), fake).sum())(fake))
    theta, psi, gamma = 0.7, 0.5, 0.3
    velocity = lecture.read("dirac").velocity
    free, braked = (np.asarray(velocity(jnp.array([theta, psi]), g)) for g in (0.0, gamma))
    names = {"sigma": sigma, "psi": psi, "theta": theta, "gamma": gamma}
    yield "dirac", r"V(\theta, \psi) = \log \sigma(0) + \log(1 - \sigma(\psi \theta))", lambda f: (
        evaluate(f, **names), -loss.discriminator(jnp.zeros(1), jnp.array([psi * theta]))[0])
    yield "dirac", r"\dot{\theta} = \sigma(\psi \theta) \, \psi", lambda f: (evaluate(f, **names), free[0])
    yield "dirac", r"\dot{\psi} = -\sigma(\psi \theta) \, \theta", lambda f: (evaluate(f, **names), free[1])
    yield "dirac", r"\dot{\psi} = -\sigma(\psi \theta) \, \theta - \gamma \psi", lambda f: (
        evaluate(f, **names), braked[1])
    yield from collapse_formulas()


def collapse_formulas():
    counts = np.array([30, 0, 0, 50, 0, 0, 0, 20])
    share = counts / counts.sum()
    yield "mode_collapse", r"\mathrm{KL} = \sum_k \hat{p}_k \log(K \hat{p}_k)", lambda f: (
        sum(p * np.log(8 * p) for p in share if p), reverse_kl(counts))
    slope, gamma = 1.3, 0.3
    velocity = lecture.read("dirac").velocity
    brake = [velocity(jnp.array([0.7, slope]), g)[1] for g in (0.0, gamma)]
    yield "mode_collapse", r"\frac{\gamma}{2} \, \mathbb{E}_{x \sim p} \, \| \nabla_x \ell(x) \|^2", lambda f: (
        -jax.grad(lambda s: gamma / 2 * s**2)(slope), float(brake[1] - brake[0]))


def diffusion_formulas():
    t, s, x, epsilon = 0.6, 0.4, jnp.array([0.3, -1.2]), jnp.array([0.5, 0.1])
    names = levels(t, s)
    x_t = diffusion.diffused(x, epsilon, log_snr(t))
    guess = jnp.array([-0.2, 0.4])
    estimate_ = diffusion.from_epsilon(guess, x_t, log_snr(t))
    snr = {"SNR": lambda time: np.exp(log_snr(time)), "s": s, "t": t}
    yield ("diffusion", r"q(x_t \mid x) = \mathcal{N}(\alpha_t x, \sigma_t^2 I), \qquad \alpha_t^2 + \sigma_t^2 = 1",
           lambda f: (names["alpha_t"] * x + names["sigma_t"] * epsilon, x_t))
    yield "diffusion", r"\mathrm{SNR}(t) = \alpha_t^2 / \sigma_t^2", lambda f: (
        evaluate(f, **names), np.exp(log_snr(t)))
    yield "diffusion", r"\hat{x} = \frac{x_t - \sigma_t \hat{\varepsilon}}{\alpha_t}", lambda f: (
        evaluate(f, x_t=np.asarray(x_t), varepsilon_hat=guess, **names), estimate_.x)
    first, second = (diffusion.posterior(x_t, mean, log_snr(t), log_snr(s)) for mean in (x, estimate_.x))
    error = np.square(x - np.asarray(estimate_.x)).sum()
    latex = r"\mathrm{KL}_t = \tfrac{1}{2} \left( \mathrm{SNR}(s) - \mathrm{SNR}(t) \right) \| x - \hat{x} \|^2"
    yield "diffusion", latex, lambda f: (
        evaluate(f.partition(r"\|")[0], **snr) * error, kl_of_normals(first, second).sum())
    yield "diffusion", r"x_s = \alpha_s \hat{x} + \sigma_s \hat{\varepsilon}", lambda f: (
        evaluate(f, x_hat=np.asarray(estimate_.x), varepsilon_hat=guess, **names),
        diffusion.ddim(x_t, estimate_, jnp.zeros(2), log_snr(t), log_snr(s)))
