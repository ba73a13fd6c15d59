"""The evidence lower bound misses log p(x) by exactly the divergence of the encoder from the posterior:

    log p(x) = ELBO + KL(q(z|x) || p(z|x)),   ELBO = E_q[log p(x|z)] - KL(q(z|x) || p(z))

For most models two of the three are unknown. Where the decoder is linear and the noise normal, all are known: log p(x)
and p(z|x) in closed form (probabilistic principal components), the ELBO by posterior samples. A VAE without hidden
layers is such a model at every step of its training, which climbs the bound in two ways: by a better model, and by a
better posterior. Its best log p(x) is that of the principal components, without any training (Kingma & Welling 2014,
eq. 1-3; Tipping & Bishop 1999; Lucas et al. 2019).
"""

from typing import NamedTuple

import jax
import numpy as np

from gen import runs
from gen.data import load
from gen.estimates import estimate
from gen.figures.curves import COLOURS
from gen.figures.panels import legends, panels
from gen.figures.points import render
from gen.lecture import Lesson, Training, short, trained
from gen.objectives.bounds import elbo
from gen.probability.divergences import kl_gaussian
from gen.probability.linear_gaussian import LinearGaussian, principal_components
from gen.storage import checkpoints

TITLE = "The ELBO's gap"
SHOWS = (elbo, LinearGaussian, principal_components, kl_gaussian)
RUNS = {"linear VAE": Training("vae/digits.py", {
    "data.binarize": "none", "latents": 8, "encoder.hidden": (), "decoder.hidden": (), "likelihood.name": "normal",
    "likelihood.scale": 0.2, "optimizer.learning_rate": 5e-3,
    **short(steps=3_000, log_every=100) | {"train.checkpoint_every": 200, "train.keep": 15}})}

SAMPLES = 50
"""Of the posterior of each image."""


def linear(state, scale) -> LinearGaussian:
    """The model that the decoder without hidden layers is."""
    output = state.params["decoder"]["network"]["output"]
    return LinearGaussian(np.float64(output["kernel"]).T, np.float64(output["bias"]), scale)


class Terms(NamedTuple):
    """Means over images, in nats, and how far the three are from adding up, in Monte-Carlo errors."""

    log_p: float
    elbo: float
    gap: float
    off: float


def terms(state, exact: LinearGaussian, x, encode, log_weights) -> Terms:
    """log p(x) and KL(q || p(z|x)) in closed form, and the ELBO by samples of q."""
    flat, q = np.float64(x).reshape(len(x), -1), encode(state, x)
    log_p, variances = exact.log_likelihood(flat), np.exp(2 * np.float64(q.log_scale))
    gap = kl_gaussian(np.float64(q.loc), variances[..., None] * np.eye(q.loc.shape[1]), *exact.posterior(flat))
    bound = np.float64(log_weights(state, {"x": x}, jax.random.key(0), SAMPLES)).mean(0)
    off = estimate((log_p - gap - bound).tolist())
    return Terms(log_p.mean(), bound.mean(), gap.mean(), abs(off.mean) / off.error)


def run(folder, left: float = 0.2, **changes) -> Lesson:
    """Trains a linear VAE on digits; measures all three terms at every checkpoint, on test images."""
    model = trained(RUNS, folder, **changes)["linear VAE"]
    config, data, methods = model.config, load(model.config.data), model.program.family.methods
    train, x = (np.asarray(model.decoded(split)["x"]) for split in (data.train, data.test))
    encode, log_weights = jax.jit(methods["encode"]), jax.jit(methods["log_weights"], static_argnums=3)
    found = {}
    for step in checkpoints.steps(model.workdir / "checkpoints"):
        state = runs.load(model.workdir, step).state
        found[step] = terms(state, linear(state, config.likelihood.scale), x, encode, log_weights)
    best = principal_components(np.float64(train).reshape(len(train), -1), config.latents, config.likelihood.scale)
    optimum = best.log_likelihood(np.float64(x).reshape(len(x), -1)).mean()
    first, *_, last = found.values()
    off = max(each.off for each in found.values())
    numbers = {"log p(x) at the end, nats": last.log_p, "ELBO": last.elbo, "KL(q || posterior)": last.gap,
               "KL(q || posterior) at the first checkpoint": first.gap, "log p(x) of the principal components": optimum,
               "greatest |log p - ELBO - KL|, Monte-Carlo errors": off}
    claim = ("At every checkpoint log p(x) - ELBO is KL(q || posterior) within four Monte-Carlo errors, and training "
             f"leaves less than {left:.0%} of what it is at the first.")
    return Lesson(draw(found, optimum), numbers, claim, bool(off < 4 and last.gap < left * first.gap))


def draw(found, best):
    """log p(x) and the ELBO with what is between them, and that alone."""
    steps, (log_p, bounds, gaps, _) = list(found), np.transpose(list(found.values()))
    figure, (left, right) = panels(["nats per test image", "what the bound misses"], width=420)
    left.axhline(best, color="#10151c", linewidth=0.9, linestyle=":", label="log p(x), principal components")
    left.plot(steps, log_p, color=COLOURS[0], linewidth=1.4, label="log p(x), exact")
    left.plot(steps, bounds, color=COLOURS[1], linewidth=1.4, label="ELBO")
    left.fill_between(steps, bounds, log_p, color=COLOURS[1], alpha=0.2, linewidth=0)
    right.semilogy(steps, gaps, color=COLOURS[2], linewidth=1.4, label="KL(q || p(z|x)), exact")
    right.semilogy(steps, log_p - bounds, "o", color=COLOURS[1], markersize=3.5, label="log p(x) - ELBO")
    for axes in (left, right):
        axes.set(xlabel="step")
    right.set(ylabel="nats")
    legends([left, right])
    return render(figure)
