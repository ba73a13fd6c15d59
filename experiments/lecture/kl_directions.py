"""One normal cannot be a mixture of two. Which compromise it makes is the direction of the divergence.

    KL(p || q) = E_p[log p - log q]    is large where p has mass and q has none: q covers all modes
    KL(q || p) = E_q[log q - log p]    is large where q has mass and p has none: q seeks one mode

The first is minimised by maximum likelihood, and its best normal has the mean and the variance of p. The second is that
of variational inference, KL(q(z|x) || p(z|x)), with a minimum at each mode. The Jensen-Shannon divergence of a GAN
seeks a mode too where they are far apart (Bishop 2006, section 10.1.2; Goodfellow et al. 2014, section 4).
"""

import numpy as np
from scipy import optimize, stats

from gen.data import mixtures
from gen.figures.curves import COLOURS
from gen.figures.panels import legends, panels
from gen.figures.points import DATA_COLOUR, render
from gen.lecture import Lesson
from gen.probability.divergences import jensen_shannon, kl, total_variation, wasserstein

TITLE = "KL directions"
SHOWS = (kl, jensen_shannon, total_variation, wasserstein, mixtures.log_density)

DATA = {"name": "line", "modes": 2, "spacing": 5.0, "std": 0.7}
EDGES = np.linspace(-12, 12, 2_401)
X, WIDTH = (EDGES[1:] + EDGES[:-1]) / 2, np.diff(EDGES)
START = (0.6, 0.0)
"""Mean and log-scale of q at first: a little to the right."""


def masses(parameters):
    """Of the normal with this mean and log-scale; nowhere exactly 0, as log q is finite."""
    return stats.norm.pdf(X, parameters[0], np.exp(parameters[1])) * WIDTH + 1e-300


def fitted(divergence):
    """The mean and the scale of the normal q that makes divergence(q) least, from START."""
    best = optimize.minimize(lambda parameters: divergence(masses(parameters)), START, method="Nelder-Mead")
    return float(best.x[0]), float(np.exp(best.x[1]))


def run(folder) -> Lesson:
    """Fits by both directions of KL, and by the Jensen-Shannon divergence."""
    p = np.exp(mixtures.log_density(DATA)(X[:, None])) * WIDTH
    fits = {
        "KL(p || q), covers": fitted(lambda q: kl(p, q)),
        "KL(q || p), seeks": fitted(lambda q: kl(q, p)),
        "Jensen-Shannon": fitted(lambda q: jensen_shannon(p, q)),
    }
    (covering_mean, covering), (seeking_mean, seeking), _ = fits.values()
    mean, std = (p * X).sum(), np.sqrt((p * X**2).sum() - (p * X).sum() ** 2)
    centre = DATA["spacing"] / 2
    holds = bool(max(abs(covering_mean - mean), abs(covering - std), abs(seeking_mean - centre),
                     abs(seeking - DATA["std"])) < 0.02)
    found = {name: masses((loc, np.log(scale))) for name, (loc, scale) in fits.items()}
    numbers = {"mean of p": mean, "scale of p": std}
    for name, (loc, scale) in fits.items():
        numbers |= {f"{name}: mean": loc, f"{name}: scale": scale,
                    f"{name}: W1 to p": wasserstein(X, X, p, found[name]),
                    f"{name}: TV to p": total_variation(p, found[name])}
    claim = ("KL(p || q) ends at the mean and scale of p itself, KL(q || p) at those of one mode, each within 0.02.")
    return Lesson(draw(p, found), numbers, claim, holds)


def draw(p, found):
    """p with every fit, and both divergences over the mean of a q of p's narrow scale."""
    figure, (left, right) = panels(["a mixture p, and the best normal q by each divergence",
                                    "divergence of a narrow q by its mean"], width=420)
    left.fill_between(X, p / WIDTH, color=DATA_COLOUR, alpha=0.45, linewidth=0, label="p")
    for (name, q), colour in zip(found.items(), COLOURS, strict=False):
        left.plot(X, q / WIDTH, color=colour, linewidth=1.4, label=name,
                  linestyle="--" if name == "Jensen-Shannon" else "-")
    means = np.linspace(-4, 4, 161)
    for divergence, colour in zip((lambda q: kl(p, q), lambda q: kl(q, p)), COLOURS, strict=False):
        right.plot(means, [divergence(masses((m, np.log(DATA["std"])))) for m in means], color=colour, linewidth=1.4)
    left.set(xlim=(-7, 7), ylim=(0, None), xlabel="x")
    right.set(xlabel="mean of q", ylabel="nats", ylim=(0, None))
    legends([left])
    return render(figure)
