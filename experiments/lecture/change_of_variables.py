"""An invertible map moves mass without losing any: where it stretches, density falls by as much.

    log p(x) = log p_z(f(x)) + log |det df(x)/dx|    with f from data to latents

So a network that is invertible and whose Jacobian is known has an exact likelihood, and maximum likelihood trains it: a
normalising flow. RealNVP changes half of the coordinates at a time, scaled and shifted by functions of the others, so
that the Jacobian is triangular and its determinant a product (Dinh et al. 2017, section 3). A map cannot tear: where
the data has eight separate modes and the latents have one, threads of density remain between them.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gen.data import load, mixtures
from gen.distributions import standard_normal
from gen.distributions.flows import Coupling, RealNVP
from gen.figures.panels import panels
from gen.figures.points import SAMPLE_COLOUR, render
from gen.lecture import Lesson
from gen.probability.densities import change_of_variables

TITLE = "Change of variables"
SHOWS = (change_of_variables, RealNVP, Coupling)

DATA = {"name": "ring", "modes": 8, "radius": 1.0, "std": 0.12}
FLOW = RealNVP(2, layers=8, hidden=(64, 64))
BATCH, RATE = 256, 2e-3
SIDE, LIMIT = 241, 2.4
"""Of the grid on which the density is summed, and its half width."""


def log_prob(params, x):
    """log p(x) of the flow in nats, z = f(x)."""
    z, log_det = FLOW.apply(params, x)
    return standard_normal(z.shape).log_prob(z).sum(-1) + log_det


def fitted(x, steps: int):
    """Parameters of greatest likelihood, by Adam with a rate that falls on a cosine."""
    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, steps))
    params = FLOW.init(jax.random.key(0), x[:1])

    def step(carry, key):
        params, state = carry
        batch = x[jax.random.randint(key, (BATCH,), 0, len(x))]
        grads = jax.grad(lambda params: -log_prob(params, batch).mean())(params)
        updates, state = optimizer.update(grads, state)
        return (optax.apply_updates(params, updates), state), None

    train = jax.jit(lambda carry, keys: jax.lax.scan(step, carry, keys)[0])
    return train((params, optimizer.init(params)), jax.random.split(jax.random.key(1), steps))[0]


def run(folder, steps: int = 3_000, bound: float = 0.35) -> Lesson:
    """Trains a flow on a ring of eight modes, and sums its density."""
    dataset = load(DATA)
    train, test = (jnp.asarray(split["x"]) for split in (dataset.train, dataset.test))
    params = fitted(train, steps)
    side = np.linspace(-LIMIT, LIMIT, SIDE)
    grid = jnp.float32(np.stack(np.meshgrid(side, side), -1).reshape(-1, 2))
    density = np.exp(np.float64(jax.jit(log_prob)(params, grid))).reshape(SIDE, SIDE)
    mass = density.sum() * (side[1] - side[0]) ** 2

    def latent_log_prob(z):
        return standard_normal(z.shape).log_prob(z).sum()

    whole = change_of_variables(latent_log_prob, lambda x: FLOW.apply(params, x)[0], test[:200])
    off = float(jnp.abs(whole - log_prob(params, test[:200])).max())
    reached, best = float(log_prob(params, test).mean()), float(mixtures.log_density(DATA)(np.asarray(test)).mean())
    z = jax.random.normal(jax.random.key(2), (4_000, 2))
    samples = FLOW.apply(params, z, method="inverse")
    again = float(jnp.abs(FLOW.apply(params, samples)[0] - z).max())
    numbers = {"mass of the density on the grid": mass, "log-likelihood of test points (nats)": reached,
               "that of the data's own density": best, "largest difference from the whole Jacobian's": off,
               "largest difference of z after there and back": again}
    holds = abs(mass - 1) < 0.02 and off < 1e-2 and best - bound < reached < best + 0.05
    claim = (f"The flow's density has mass 1 within 0.02, its log-likelihood is that of the whole Jacobian within 0.01 "
             f"nats, and within {bound:g} nats of the data's own.")
    return Lesson(draw(density, np.asarray(samples), np.asarray(test), params), numbers, claim, bool(holds))


def draw(density, samples, test, params):
    """The density, samples over it, and test points as the flow sees them, over circles of the prior."""
    figure, (left, middle, right) = panels(["log-density of the flow", "its samples", "f(x) of test points"])
    square = (-LIMIT, LIMIT, -LIMIT, LIMIT)
    left.grid(False)
    left.imshow(np.log(density + 1e-12), origin="lower", extent=square, cmap="Blues", vmin=-6, aspect="equal")
    middle.scatter(*samples.T, s=1.5, c=SAMPLE_COLOUR, linewidths=0, alpha=0.6)
    mode = np.round(np.arctan2(test[:, 1], test[:, 0]) / (2 * np.pi / DATA["modes"])) % DATA["modes"]
    z = np.asarray(FLOW.apply(params, jnp.asarray(test))[0])
    right.scatter(*z.T, s=1.5, c=mode, cmap="tab10", vmax=9, linewidths=0)
    angle = np.linspace(0, 2 * np.pi, 100)
    for radius in (1, 2, 3):
        right.plot(radius * np.cos(angle), radius * np.sin(angle), color="#10151c", linewidth=0.6)
    for axes, limit in ((left, 1.7), (middle, 1.7), (right, 3.4)):
        axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    return render(figure)
