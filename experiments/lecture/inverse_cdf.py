r"""A generator is a function that turns random numbers into examples. On the line the best one is known: it is the
inverse of the data's distribution function. A neural network can learn such a function without being told it.

**After this chapter** you can sample any distribution on the line whose distribution function you know, and say in
which sense a trained generator does the same.

**You need** densities and distribution functions.

## The inverse distribution function

Let $F(x) = P(X \le x)$ be the distribution function of the data and $u$ a uniform number between 0 and 1. Then
$F^{-1}(u)$ is a sample of the data:

$$P(F^{-1}(u) \le a) = P(u \le F(a)) = F(a)$$

The first step applies the increasing $F$ to both sides. The second holds because $P(u \le c) = c$ for a uniform $u$.

On the line this is the only increasing map that does so. For example $F(x) = 1 - e^{-\lambda x}$, the exponential
distribution of rate $\lambda$, gives a one-line sampler:

$$F^{-1}(u) = -\frac{\log(1 - u)}{\lambda}$$

In more than one dimension there is no $F^{-1}$ to write down. That is why generators are learned.

## What a generator must find

A neural network is a function with many adjustable numbers, its **parameters**. It is a chain of simple functions, its
**layers**; all but the last are called hidden. Training changes them in small steps,
each of them downhill: against the gradient of a number that says how wrong the network still is, the **loss**. The
length of the steps is set by the **learning rate**.

A generator is such a network. A GAN trains one from samples of the data alone; how, a later chapter tells. On the line
the generator $G$ must find $F^{-1}$, possibly mirrored, because $u$ and $1 - u$ have the same distribution. Where $G$
increases, its mean error is exactly the Wasserstein distance of its samples from the data, the mean distance by which
they would have to be moved at least:

$$W_1 = \int_0^1 \left| G(u) - F^{-1}(u) \right| du$$

## Predict, then look

The data has two humps with a dip between them. There $F^{-1}$ is steep. Will the learned map be as steep, or climb more
slowly? What does that mean for samples between the humps?

{figure}

The first panel has samples by the formula. The second compares $F^{-1}$ with the trained generator, which climbs more
slowly through the dip. So it puts more samples there than the data has: the third panel shows the density of the
learned map. Its tails are cut: the generator reaches no further than about 1.9.

## In twenty lines

```python
import jax
import jax.numpy as jnp
import numpy as np

def cdf(x):
    '''Two normals of scale 0.5, at -1.5 and 1.5.'''
    return (jax.scipy.stats.norm.cdf(x, -1.5, 0.5) + jax.scipy.stats.norm.cdf(x, 1.5, 0.5)) / 2

def sample(u, steps=40):
    '''F^-1(u) by bisection: halve the interval that holds it.'''
    low, high = jnp.full_like(u, -6.0), jnp.full_like(u, 6.0)
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = jnp.where(cdf(middle) < u, middle, low), jnp.where(cdf(middle) < u, high, middle)
    return middle

u = jax.random.uniform(jax.random.key(0), (10_000,), minval=1e-4, maxval=1 - 1e-4)
mine = sample(u)

from gen.probability.densities import inverse_cdf
x = np.linspace(-6, 6, 20_001)
theirs = inverse_cdf(np.asarray(u), x, np.asarray(cdf(x)))
assert np.abs(mine - theirs).max() < 5e-3
print("mean", mine.mean(), "scale", mine.std())
```

## Turn the knob

Move the humps apart and watch the climb through the gap:

```bash
python scripts/train.py --config=experiments/gan/one_d.py --config.data.spacing=5
```

## Exercises

1. Write a sampler of the logistic distribution, $F(x) = 1 / (1 + e^{-x})$, and check its variance, $\pi^2 / 3$.

<details><summary>Answer</summary>

Solve $u = 1 / (1 + e^{-x})$ for $x$: $F^{-1}(u) = \log u - \log(1 - u)$.

```python
u = jax.random.uniform(jax.random.key(1), (200_000,), minval=1e-7)
x = jnp.log(u) - jnp.log1p(-u)
assert abs(x.var() - jnp.pi**2 / 3) < 0.05
```

</details>

2. A generator draws $1 - u$ in place of $u$. Which of the two numbers changes: the mean of $|G(u) - F^{-1}(u)|$, or the
   Wasserstein distance of its samples?

<details><summary>Answer</summary>

Only the first one. The samples have the same distribution as before, so their distance from the data stays the same.

```python
from gen.probability.divergences import wasserstein
u = (np.arange(1_000) + 0.5) / 1_000
exact = -np.log(1 - u)
turned = exact[::-1]
assert np.abs(turned - exact).mean() > 1 and wasserstein(turned, exact) < 1e-9
```

</details>
"""

import jax.numpy as jnp
import numpy as np

from gen.data import mixtures
from gen.figures.curves import COLOURS
from gen.figures.panels import INK, legends, panels
from gen.figures.points import DATA_COLOUR, SAMPLE_COLOUR
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
    claim = (f"The learned map differs from the inverse distribution function by less than {bound:g} on average; the "
             "data has the scale 1.1.")
    samples = inverse_cdf(np.random.default_rng(0).uniform(size=20_000), X, cdf)
    return Lesson(draw(model.config.data, samples, u, exact, turned), numbers, claim, bool(off < bound))


def draw(data, samples, u, exact, learned):
    """Samples by the formula, both maps, and the learned density."""
    figure, (left, middle, right) = panels(
        ["20,000 samples of F⁻¹(u)", "the map from latent to data", "density of the generator"])
    p = np.exp(mixtures.log_density(data)(X[:, None]))
    left.hist(samples, np.linspace(-3, 3, 61), density=True, color=COLOURS[0], alpha=0.5, label="F⁻¹(u)")
    left.plot(X, p, color=INK, linewidth=1.1, label="density of the data")
    middle.plot(u, exact, color=INK, linewidth=1.1, linestyle="--", label="F⁻¹(u)")
    middle.plot(u, learned, color=SAMPLE_COLOUR, linewidth=1.4, label="generator G(u)")
    middle.set(xlabel="u", ylabel="x")
    edges = X[::20]
    density = pushforward(learned, np.full(CELLS - 1, 1 / (CELLS - 1)), edges) / np.diff(edges)
    right.fill_between(X, p, color=DATA_COLOUR, alpha=0.45, linewidth=0, label="data")
    right.stairs(density, edges, color=SAMPLE_COLOUR, linewidth=1.4, label="generator")
    for axes in (left, right):
        axes.set(xlim=(-3, 3), xlabel="x", ylim=(0, 0.65))
    legends([left, middle, right], loc="upper left")
    return figure
