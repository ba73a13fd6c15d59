"""A VAE's encoder climbs an expectation over its own samples. Two unbiased gradients of E_q[f(z)], q = N(m, s^2):

    score function      f(z) d log q(z) / dm                 needs f's values alone (REINFORCE)
    reparameterised     d f(m + s eps) / dm, eps ~ N(0, I)   needs f's gradient (the VAE's)

Here f(z) = log p(x, z) of a linear-Gaussian model, whose gradient is known: the exact one is
d E_q[f] / dm = W' (x - W m - b) / scale^2 - m. The score function multiplies each coordinate's noise by all of f, so
that its variance grows with the number of latents; a baseline takes off f's mean, not its growth. The other one sees in
each coordinate what that coordinate does to f (Kingma & Welling 2014, section 2.2; Mohamed et al. 2020).
"""

import jax
import jax.numpy as jnp
import numpy as np

from gen.distributions import Normal, standard_normal
from gen.figures.curves import COLOURS
from gen.figures.panels import legends, panels
from gen.figures.points import render
from gen.lecture import Lesson
from gen.probability.gradients import reparameterised, score_function
from gen.probability.linear_gaussian import LinearGaussian

TITLE = "Gradient estimators"
SHOWS = (score_function, reparameterised, LinearGaussian)

SHOWN = 16
"""Latents whose gradients the histogram shows."""


def problem(latents: int):
    """(f, d E_q[f] / dm at q = N(0, I)) of a model with as many observed numbers as latents."""
    rng = np.random.default_rng(latents)
    model = LinearGaussian(rng.normal(size=(latents, latents)) / latents**0.5, np.zeros(latents), 1.0)
    x, w = model.sample(rng, 1)[1][0], jnp.float32(model.weights)
    p_z = standard_normal((latents,))

    def log_joint(z):
        return Normal(w @ z, jnp.zeros(latents)).log_prob(jnp.float32(x)).sum() + p_z.log_prob(z).sum()

    return log_joint, model.weights.T @ x


def gradients(latents: int, samples: int):
    """Estimator to as many independent gradients [samples latents] with respect to m, and the exact one."""
    log_joint, exact = problem(latents)
    q = standard_normal((latents,))
    baseline = jax.vmap(lambda key: log_joint(q.sample(key)))(jax.random.split(jax.random.key(1), samples)).mean()

    @jax.jit
    @jax.vmap
    def one(key):
        score = score_function(key, log_joint, q)
        return {"score function": score.loc,
                "score function, baseline": score_function(key, log_joint, q, baseline).loc,
                "reparameterised": reparameterised(key, log_joint, q).loc}

    return {name: np.float64(v) for name, v in one(jax.random.split(jax.random.key(0), samples)).items()}, exact


def run(folder, latents=(1, 4, 16, 64), samples: int = 4_000) -> Lesson:
    """Measures bias and variance of both for models of 1 to 64 latents."""
    variance, worst = {}, 0.0
    for d in latents:
        found, exact = gradients(d, samples)
        for name, values in found.items():
            worst = max(worst, np.abs((values.mean(0) - exact) / (values.std(0) / samples**0.5)).max())
            variance.setdefault(name, []).append(values.var(0).mean())
        if d == SHOWN:
            shown = {name: values[:, 0] for name, values in found.items()}, exact[0]
    ratio = variance["score function"][-1] / variance["reparameterised"][-1]
    numbers = {f"{name}: variance, {latents[-1]} latents": values[-1] for name, values in variance.items()}
    numbers |= {"ratio of the variances": ratio, "farthest mean from the exact gradient, standard errors": worst}
    claim = ("All are unbiased (every mean is within 4.5 standard errors of the exact gradient), and with "
             f"{latents[-1]} latents the score function's variance is over 500 times the reparameterised gradient's.")
    return Lesson(draw(latents, variance, *shown), numbers, claim, bool(worst < 4.5 and ratio > 500))


def draw(latents, variance, shown, exact):
    """Histograms of one coordinate's gradient, and variances over the number of latents."""
    figure, (left, right) = panels(
        [f"one coordinate's gradient, {SHOWN} latents", "variance of a coordinate"], width=420)
    edges = np.linspace(-60, 60, 121)
    for (name, values), colour in zip(shown.items(), COLOURS, strict=False):
        left.hist(values, edges, density=True, color=colour, alpha=0.5, label=name)
        right.loglog(latents, variance[name], "o-", color=colour, linewidth=1.4, markersize=3.5, label=name)
    left.axvline(exact, color="#10151c", linewidth=0.9, linestyle=":", label="exact")
    left.set(xlabel="estimate of the gradient", ylabel="density", yscale="log")
    right.set(xlabel="latents", xticks=latents, xticklabels=latents)
    right.minorticks_off()
    legends([left, right])
    return render(figure)
