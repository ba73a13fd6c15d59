r"""A single normal cannot be a mixture of two. Which compromise it makes depends on the divergence that it minimises.

**After this chapter** you can tell the two directions of the Kullback-Leibler divergence apart by their fits, and say
which one maximum likelihood, variational inference and a GAN use.

**You need** densities, expectations and logarithms. Logarithms are natural: divergences are in nats.

## Two directions

The Kullback-Leibler divergence of $p$ from $q$ is the mean of the logarithm of their quotient, over draws of $p$:

$$\mathrm{KL}(p \,\|\, q) = \mathbb{E}_p \log \frac{p(x)}{q(x)}$$

It is never negative, for a reason that the chapter on the ELBO gives, and 0 only if $p = q$. It is not symmetric:

- $\mathrm{KL}(p \,\|\, q)$ is large where $p$ has mass and $q$ has none. Minimised in $q$, it makes $q$ **cover** all
  of $p$. Maximum likelihood, which chooses the $q$ that gives the data the highest density, minimises this direction.
- $\mathrm{KL}(q \,\|\, p)$ is large where $q$ has mass and $p$ has none. Minimised in $q$, it makes $q$ **seek a
  mode**. Variational inference minimises this direction. A VAE uses both: its model of the data is fitted by a bound of
  the likelihood, and its density of latents, given an example, by variational inference.

The Jensen-Shannon divergence compares both with their mean $m$. It belongs to GANs, as a later chapter shows.

$$\mathrm{JSD}(p, q) = \tfrac{1}{2} \mathrm{KL}(p \,\|\, m) + \tfrac{1}{2} \mathrm{KL}(q \,\|\, m)$$

with $m = (p + q) / 2$. For a quantity with a few possible values, such as a coin, probabilities take the place of the
densities, and sums that of the integrals, here and below.

The total variation is the largest difference that the two distributions have about any event:

$$\mathrm{TV}(p, q) = \tfrac{1}{2} \int |p(x) - q(x)| \, dx$$

<details><summary>Step by step: maximum likelihood minimises KL(p || q)</summary>

1. The mean log-likelihood of many examples is $\frac{1}{n} \sum_i \log q(x_i)$, which tends to
   $\mathbb{E}_p \log q(x)$ by the law of large numbers.
2. $\mathrm{KL}(p \,\|\, q) = \mathbb{E}_p \log p(x) - \mathbb{E}_p \log q(x)$, because the logarithm of a quotient is a
   difference.
3. The first term does not depend on $q$. So the $q$ with the largest likelihood has the smallest
   $\mathrm{KL}(p \,\|\, q)$.

</details>

<details><summary>Step by step: the KL of two normals</summary>

1. $\log q(x) = -\log s_2 - \frac{1}{2} \log 2\pi - (x - m_2)^2 / (2 s_2^2)$, and in the same way for $p$ with $m_1,
   s_1$.
2. In the difference $\log p - \log q$ the terms $\frac{1}{2} \log 2\pi$ cancel.
3. $\mathbb{E}_p (x - m_1)^2 = s_1^2$, by the definition of the variance.
4. $\mathbb{E}_p (x - m_2)^2 = s_1^2 + (m_1 - m_2)^2$, because $x - m_2 = (x - m_1) + (m_1 - m_2)$ and the mixed term
   has expectation 0.
5. Together: $\mathrm{KL} = \log \frac{s_2}{s_1} + \frac{s_1^2 + (m_1 - m_2)^2}{2 s_2^2} - \frac{1}{2}$.

</details>

So for $p = \mathcal{N}(m_1, s_1^2)$ and $q = \mathcal{N}(m_2, s_2^2)$

$$\mathrm{KL}(p \,\|\, q) = \log \frac{s_2}{s_1} + \frac{s_1^2 + (m_1 - m_2)^2}{2 s_2^2} - \frac{1}{2}$$

## Predict, then look

$p$ has two humps, 5 apart. Draw the best normal by each of the two directions before you look. Where does the normal of
the Jensen-Shannon divergence go?

{figure}

The first panel shows the fits. The second shows both directions for a narrow $q$ by its mean: one has its minimum in
the middle, the other has one at each hump.

## In twenty lines

```python
import jax
import jax.numpy as jnp
import numpy as np

x = jnp.linspace(-12, 12, 2_401)
width = x[1] - x[0]

def normal(m, s):
    return jnp.exp(-((x - m) ** 2) / (2 * s**2)) / (s * jnp.sqrt(2 * jnp.pi)) * width

p = (normal(-2.5, 0.7) + normal(2.5, 0.7)) / 2

def kl(p, q):
    return jnp.where(p > 0, p * (jnp.log(p + 1e-30) - jnp.log(q + 1e-30)), 0.0).sum()

def fit(loss, parameters=(1.5, -0.3), rate=0.02, steps=3_000):
    gradient = jax.jit(jax.grad(lambda v: loss(normal(v[0], jnp.exp(v[1])))))
    v = jnp.array(parameters)
    for _ in range(steps):
        v = v - rate * jnp.clip(gradient(v), -5, 5)
    return float(v[0]), float(jnp.exp(v[1]))

covers, seeks = fit(lambda q: kl(p, q)), fit(lambda q: kl(q, p))

from gen.probability import divergences
q = normal(*covers)
assert np.isclose(kl(p, q), divergences.kl(np.float64(p), np.float64(q)), atol=1e-3)
assert abs(covers[0]) < 0.05 and abs(seeks[0] - 2.5) < 0.05
print("covers:", covers, "seeks:", seeks)
```

## Turn the knob

`DATA["spacing"]` in `experiments/lecture/kl_directions.py` is the distance of the humps. Below about two standard
deviations the mixture has one hump only, and both directions nearly agree.

```bash
python scripts/lecture.py --only=kl_directions
```

## Exercises

1. Compute $\mathrm{KL}(\mathcal{N}(m, 1) \,\|\, \mathcal{N}(0, 1))$ by hand. How does it grow with $m$?

<details><summary>Answer</summary>

$m^2 / 2$: it grows without bound, unlike the Jensen-Shannon divergence, which is at most $\log 2$.

```python
for m in (0.5, 2.0, 6.0):
    found = divergences.kl_gaussian(np.array([[m]]), np.eye(1)[None], np.zeros((1, 1)), np.eye(1)[None])
    assert np.isclose(found[0], m**2 / 2)
```

</details>

2. A fair coin and a coin that always shows heads: compute both directions of KL, the JSD and the total variation.

<details><summary>Answer</summary>

With $p = (1/2, 1/2)$ and $q = (1, 0)$ the divergence $\mathrm{KL}(p \,\|\, q)$ is infinite, because $q$ says that tails
cannot happen. $\mathrm{KL}(q \,\|\, p) = \log 2$ and $\mathrm{TV} = 1/2$. The JSD is
$\frac{1}{2} (\frac{1}{2} \log \frac{2}{3} + \frac{1}{2} \log 2) + \frac{1}{2} \log \frac{4}{3} \approx 0.216$.

```python
p, q = np.array([0.5, 0.5]), np.array([1.0, 0.0])
assert divergences.kl(p, q) == np.inf and np.isclose(divergences.kl(q, p), np.log(2))
assert divergences.total_variation(p, q) == 0.5
assert np.isclose(divergences.jensen_shannon(p, q),
                  (np.log(2 / 3) / 2 + np.log(2) / 2) / 2 + np.log(4 / 3) / 2)
```

</details>
"""

import numpy as np
from scipy import optimize, stats

from gen.data import mixtures
from gen.figures.curves import COLOURS
from gen.figures.panels import legends, panels
from gen.figures.points import DATA_COLOUR
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
    claim = "KL(p || q) ends at the mean and scale of p itself, KL(q || p) at those of one mode, each within 0.02."
    return Lesson(draw(p, found), numbers, claim, holds)


def draw(p, found):
    """p with every fit, and both divergences over the mean of a q of p's narrow scale."""
    figure, (left, right) = panels(["a mixture p, and the best normal by each divergence",
                                    "divergence of a narrow q, by its mean"])
    left.fill_between(X, p / WIDTH, color=DATA_COLOUR, alpha=0.45, linewidth=0, label="p")
    for (name, q), colour in zip(found.items(), COLOURS, strict=False):
        left.plot(X, q / WIDTH, color=colour, linewidth=1.4, label=name,
                  linestyle="--" if name == "Jensen-Shannon" else "-")
    means = np.linspace(-4, 4, 161)
    directions = {"KL(p || q)": lambda q: kl(p, q), "KL(q || p)": lambda q: kl(q, p)}
    for (name, divergence), colour in zip(directions.items(), COLOURS, strict=False):
        right.plot(means, [divergence(masses((m, np.log(DATA["std"])))) for m in means], color=colour, linewidth=1.4,
                   label=name)
    left.set(xlim=(-7, 7), ylim=(0, None), xlabel="x")
    right.set(xlabel="mean of q", ylabel="nats", ylim=(0, None))
    legends([left, right])
    return figure
