"""A hierarchical VAE whose encoder is not learned: it adds noise, until nothing of the example is left.

    q(x_t | x) = N(alpha_t x, sigma_t^2 I),    alpha_t^2 + sigma_t^2 = 1

Only the way back is learned, by one network for all levels of noise, which says how the example looks that is seen in
x_t. Each step back is a normal around a weighted mean of x_t and that. The KL of all steps, with a reconstruction at
the bottom, is a bound

    log p(x) >= E log p(x | x_0) - sum over t of KL(q(x_s | x_t, x) || p(x_s | x_t)) - KL(q(x_1 | x) || N(0, I))

as in every VAE (Ho et al. 2020, eq. 5; Kingma et al. 2021). Every example is denoised, so that no mode can be left out.
Without noise on the way back (DDIM) sampling is a map from latents to examples, with an inverse: latents close to
each other become the same mode (Song et al. 2021, section 4).
"""

import jax
import jax.numpy as jnp
import numpy as np

from gen.data import load, mixtures
from gen.evaluation.modes import coverage
from gen.figures.curves import COLOURS
from gen.figures.panels import panels
from gen.figures.points import DATA_COLOUR, SAMPLE_COLOUR, render
from gen.lecture import Lesson, Training, short, subject, trained
from gen.objectives.diffusion import bound, ddim, ddpm, diffused

TITLE = "Diffusion"
SHOWS = (diffused, bound, ddpm, ddim)
RUNS = {"diffusion": Training("diffusion/ring.py", {"schedule.steps": 2_500, **short(2_500, 100)})}

LEVELS = (0.4, 0.6, 0.8)
"""Times whose noisy points are drawn; at the middle one the denoiser's estimates too."""

SAMPLES = 2_500


def run(folder, gap: float = 0.7, **changes) -> Lesson:
    """Trains a diffusion model on the ring; measures its bound, its modes, and how well its map turns round."""
    model = trained(RUNS, folder, **changes)["diffusion"]
    x = jnp.asarray(load(model.config.data).test["x"])
    found = jax.jit(model.program.family.evaluate)(model.state, {"x": x}, jax.random.key(0))
    elbo, best = float(found["elbo"].mean()), float(mixtures.log_density(model.config.data)(np.asarray(x)).mean())
    means, std = mixtures.components(model.config.data)
    modes = coverage(subject(model).sample(SAMPLES), means, std)
    z = jax.random.normal(jax.random.key(1), (SAMPLES, 2))
    decoded = model.method("decode", z)
    again = np.asarray(model.method("invert", jnp.asarray(decoded)))
    off = float(np.median(np.linalg.norm(again - np.asarray(z), axis=1)))
    numbers = {"ELBO (nats)": elbo, "E log p(x) of the data": best, "modes of 8": modes.modes,
               "share within 3 std": modes.high_quality, "median distance of z after there and back": off}
    holds = best - gap < elbo < best and modes.modes == len(means) and off < 0.5
    claim = (f"The bound is below E log p(x), by less than {gap:g} nats; all modes are covered; and DDIM backwards "
             "finds the latents again, within 0.5 in the median, where two latents drawn alone are 1.7 apart.")
    return Lesson(draw(model, np.asarray(x), np.asarray(z), np.asarray(decoded)), numbers, claim, bool(holds))


def draw(model, x, z, decoded):
    """Points at levels of noise, what is seen in them at one level, and latents by the mode that they become."""
    figure, (left, middle, right) = panels(["q(x_t | x), more noise outwards", "E[x | x_t] at t = 0.6",
                                            "latents by the mode they become"], height=330)
    shown = jnp.asarray(x[:1_000])
    for t, shade in zip(LEVELS[::-1], ("#dfe3e8", "#9aa3ad", COLOURS[0]), strict=True):
        noisy = model.method("noised", shown, jnp.full(len(shown), t), jax.random.key(2))
        left.scatter(*np.asarray(noisy).T, s=1.5, c=shade, linewidths=0, label=f"t = {t:g}")
    left.scatter(*x[:1_000].T, s=1.5, c="#10151c", linewidths=0, label="data")
    at = jnp.full(len(shown), LEVELS[1])
    noisy = model.method("noised", shown, at, jax.random.key(2))
    seen = np.asarray(model.method("denoise", noisy, at))
    middle.plot(*np.stack([np.asarray(noisy), seen], 1)[:150].transpose(2, 1, 0), color=DATA_COLOUR, linewidth=0.4)
    middle.scatter(*seen.T, s=1.5, c=SAMPLE_COLOUR, linewidths=0)
    mode = np.round(np.arctan2(decoded[:, 1], decoded[:, 0]) / (np.pi / 4)) % 8
    right.scatter(*z.T, s=2, c=mode, cmap="tab10", vmax=9, linewidths=0)
    for axes, limit in ((left, 2.6), (middle, 1.8), (right, 3.2)):
        axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    left.legend(fontsize=7, markerscale=4, edgecolor="#dfe3e8")
    return render(figure)
