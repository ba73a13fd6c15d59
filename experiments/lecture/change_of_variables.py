r"""An invertible map moves probability mass without losing any. Where it stretches space, the density falls by the same
factor. So a network that can be inverted, and whose stretching can be computed, is a model with a known density: a
normalising flow.

**After this chapter** you can compute the density of a transformed random variable, and say why flows use triangular
Jacobians and what they cannot do.

**You need** densities, and partial derivatives. The determinant of a matrix is its factor of volume: the matrix maps a
cube of volume 1 to a body of that volume, up to the sign.

## Mass is kept

Let $f$ map data $x$ to latents $z = f(x)$, and let $p_z$ be the density of the latents. In several dimensions that is
mostly $\mathcal{N}(0, I)$: each coordinate is a standard normal, independent of the others, so the density is the
product of theirs. The matrix of all partial derivatives, $\partial f_i / \partial x_j$ in row $i$ and column $j$, is
called the Jacobian of $f$.

$$\log p(x) = \log p_z(f(x)) + \log \left| \det \frac{\partial f(x)}{\partial x} \right|$$

<details><summary>Step by step: on the line</summary>

1. A short interval of length $dx$ around $x$ is mapped to one of length $|f'(x)| \, dx$ around $f(x)$.
2. Both hold the same mass: $p(x) \, dx = p_z(f(x)) \, |f'(x)| \, dx$.
3. Divide by $dx$ and take logarithms: $\log p(x) = \log p_z(f(x)) + \log |f'(x)|$.
4. In $d$ dimensions a small cube becomes a parallelepiped. Its volume is the absolute value of the determinant of the
   Jacobian.

</details>

A determinant costs $d^3$ operations. RealNVP avoids that: a layer changes half of the coordinates, $x_2$, and keeps the
other half, $x_1$ (Dinh et al. 2017, section 3). With $s$ and $t$ any networks, and $\odot$ the product of each
coordinate with its own,

$$z_1 = x_1, \qquad z_2 = x_2 \odot e^{s(x_1)} + t(x_1)$$

has a triangular Jacobian: $z_1$ does not depend on $x_2$, so that one corner of the matrix is 0. The determinant of
such a matrix is the product of its diagonal, and the logarithm of a product is a sum:

$$\log \left| \det \frac{\partial z}{\partial x} \right| = \sum_i s_i(x_1)$$

The layer has an inverse, $x_1 = z_1$ and $x_2 = (z_2 - t(z_1)) \odot e^{-s(z_1)}$. So a sample of the flow is
$x = f^{-1}(z)$, with $z$ drawn from $p_z$. A flow is a chain of such layers that keep the two halves in turn, and the
logarithms of their determinants add up. Training makes the mean of $\log p(x)$ over the data large.

## Predict, then look

The data has eight separate modes, the latents have one. The map is continuous, and so is its inverse. Can the flow's
density be 0 between the modes?

{figure}

The first panel shows the log-density, the second shows samples. A continuous map cannot tear the plane, so threads of
density remain between the modes. The third panel shows points that
training has not seen, as the flow maps them into the normal prior, a
colour for each mode; the circles have the radii 1, 2 and 3.

## In twenty lines

```python
import jax
import jax.numpy as jnp

def f(x):
    '''A coupling layer in the plane: the second number is scaled and shifted by functions of the first.'''
    return jnp.array([x[0], x[1] * jnp.exp(jnp.sin(x[0])) + x[0] ** 2])

def log_p_z(z):
    return -(z**2).sum() / 2 - jnp.log(2 * jnp.pi)

def log_p(x):
    _, log_det = jnp.linalg.slogdet(jax.jacfwd(f)(x))
    return log_p_z(f(x)) + log_det

x = jax.random.normal(jax.random.key(0), (100, 2))
mine = jax.vmap(log_p)(x)

from gen.probability.densities import change_of_variables
assert jnp.allclose(mine, change_of_variables(log_p_z, f, x), atol=1e-5)
assert jnp.allclose(mine, jax.vmap(log_p_z)(jax.vmap(f)(x)) + jnp.sin(x[:, 0]), atol=1e-5)
print("mean log-density:", mine.mean())
```

## Turn the knob

A flow can also be the prior of a VAE, a model of a later part. Come back after the chapter on the ELBO, and compare the
ELBO with that of the standard normal prior:

```bash
python scripts/train.py --config=experiments/vae/digits.py --config.prior.name=real_nvp
```

## Exercises

1. $z \sim \mathcal{N}(0, 1)$ and $x = e^z$. What is the density of $x$?

<details><summary>Answer</summary>

Here $f(x) = \log x$ and $f'(x) = 1 / x$, so $p(x) = \mathcal{N}(\log x; 0, 1) / x$: the log-normal density.

```python
from scipy import stats
x = jnp.array([[0.5], [1.0], [3.0]])
found = change_of_variables(lambda z: -(z**2).sum() / 2 - jnp.log(2 * jnp.pi) / 2, jnp.log, x)
assert jnp.allclose(jnp.exp(found), stats.lognorm.pdf(x[:, 0], 1.0), atol=1e-5)
```

</details>

2. Show that the density of the cell above has the mass 1, by a sum over a grid.

<details><summary>Answer</summary>

```python
side = jnp.linspace(-6, 6, 241), jnp.linspace(-60, 20, 3_201)
grid = jnp.stack(jnp.meshgrid(*side), -1).reshape(-1, 2)
mass = jnp.exp(jax.jit(jax.vmap(log_p))(grid)).sum() * (side[0][1] - side[0][0]) * (side[1][1] - side[1][0])
assert abs(mass - 1) < 0.01
```

</details>
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gen.data import load, mixtures
from gen.distributions import standard_normal
from gen.distributions.flows import Coupling, RealNVP
from gen.figures.curves import COLOURS
from gen.figures.panels import INK, panels
from gen.figures.points import SAMPLE_COLOUR
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
    from matplotlib.colors import to_rgb

    figure, (left, middle, right) = panels(["log-density of the flow", "samples of the flow", "test points as latents"],
                                           height=265)
    square = (-LIMIT, LIMIT, -LIMIT, LIMIT)
    left.grid(False)
    log_density = np.log(density + 1e-12)
    opacity = np.clip((log_density + 6) / (log_density.max() + 6), 0, 1)  # on a light page and on a dark one
    blue = np.broadcast_to(to_rgb(COLOURS[0]), (*density.shape, 3))
    left.imshow(np.dstack([blue, opacity]), origin="lower", extent=square, aspect="equal")
    middle.scatter(*samples.T, s=1.5, c=SAMPLE_COLOUR, linewidths=0, alpha=0.6)
    mode = np.round(np.arctan2(test[:, 1], test[:, 0]) / (2 * np.pi / DATA["modes"])) % DATA["modes"]
    z = np.asarray(FLOW.apply(params, jnp.asarray(test))[0])
    right.scatter(*z.T, s=1.5, c=mode, cmap="tab10", vmax=9, linewidths=0)
    angle = np.linspace(0, 2 * np.pi, 100)
    for radius in (1, 2, 3):
        right.plot(radius * np.cos(angle), radius * np.sin(angle), color=INK, linewidth=0.6)
    for axes, limit in ((left, 1.7), (middle, 1.7), (right, 3.4)):
        axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    return figure
