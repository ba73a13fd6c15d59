"""The simplest generator is a formula. Of u ~ U(0, 1), the map G(u) = F^-1(u) has the distribution F:

    P(F^-1(u) <= x) = P(u <= F(x)) = F(x)

On the line it is the only increasing map that does so. A GAN learns a map from the same u without being told F: its
generator sees the data through the discriminator alone. Up to direction it must find F^-1, and how far it is off is the
distance of Wasserstein between its samples and the data:

    W_1 = integral over u of |G(u) - F^-1(u)|    for an increasing G

In more dimensions there is no F^-1 to write down, and the learned map is what is left.
"""

import jax.numpy as jnp
import numpy as np

from gen.data import mixtures
from gen.figures.curves import COLOURS
from gen.figures.panels import legends, panels
from gen.figures.points import DATA_COLOUR, SAMPLE_COLOUR, render
from gen.lecture import Lesson, Training, short, trained
from gen.probability.densities import inverse_cdf, pushforward
from gen.probability.divergences import wasserstein

TITLE = "From latent to data"
SHOWS = (inverse_cdf, mixtures.cdf, pushforward, wasserstein)
RUNS = {"generator": Training("gan/one_d.py", {
    "latent_distribution": "uniform", "ema_half_life": 20_000.0, **short(steps=4_000, log_every=200)})}

CELLS = 2_000
X = np.linspace(-4, 4, 4_001)


def run(folder, bound: float = 0.06, **changes) -> Lesson:
    """Trains a generator on the line and holds it against the quantile function of its data."""
    model = trained(RUNS, folder, **changes)["generator"]
    cdf, edges = mixtures.cdf(model.config.data)(X), np.linspace(0, 1, CELLS + 1)
    u = (edges[1:] + edges[:-1]) / 2
    exact = inverse_cdf(u, X, cdf)
    learned = np.float64(model.decode(jnp.float32(2 * u - 1)[:, None])[:, 0])
    turned = learned if np.corrcoef(learned, u)[0, 1] > 0 else learned[::-1]
    off, distance = np.abs(turned - exact).mean(), wasserstein(learned, exact)
    increasing = (np.diff(turned) >= 0).mean()
    numbers = {"W1 of generator and data": distance, "mean |G(u) - F^-1(u)|": off,
               "scale of the data": exact.std(), "share of u where G increases": increasing}
    claim = f"The learned map is off the quantile function by less than {bound:g} in the mean; the data's scale is 1.1."
    samples = inverse_cdf(np.random.default_rng(0).uniform(size=20_000), X, cdf)
    return Lesson(draw(model.config.data, samples, u, exact, turned), numbers, claim, bool(off < bound))


def draw(data, samples, u, exact, learned):
    """Samples by the formula, both maps, and the learned density."""
    figure, (left, middle, right) = panels(
        ["20,000 samples of F^-1(u)", "the map from latent to data", "the generator's density"])
    p = np.exp(mixtures.log_density(data)(X[:, None]))
    left.hist(samples, np.linspace(-3, 3, 61), density=True, color=COLOURS[0], alpha=0.5, label="F^-1(u)")
    left.plot(X, p, color="#10151c", linewidth=1.1, label="density of the data")
    middle.plot(u, exact, color="#10151c", linewidth=1.1, linestyle="--", label="F^-1(u)")
    middle.plot(u, learned, color=SAMPLE_COLOUR, linewidth=1.4, label="generator G(u)")
    middle.set(xlabel="u", ylabel="x")
    edges = X[::20]
    density = pushforward(learned, np.full(CELLS - 1, 1 / (CELLS - 1)), edges) / np.diff(edges)
    right.fill_between(X, p, color=DATA_COLOUR, alpha=0.45, linewidth=0, label="data")
    right.stairs(density, edges, color=SAMPLE_COLOUR, linewidth=1.4, label="generator")
    for axes in (left, right):
        axes.set(xlim=(-3, 3), xlabel="x", ylim=(0, None))
    legends([left, middle, right])
    return render(figure)
