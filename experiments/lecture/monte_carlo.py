r"""Some densities are known only up to a constant, and have no inverse distribution function to sample by. Samples of
another density serve in their place: some of them are thrown away, or all are kept and weighted.

**After this chapter** you can sample by rejection, estimate an expectation by importance sampling, and say how many
samples an error of a given size costs.

**You need** expectations, the law of large numbers, and densities.

## Rejection sampling

The density is $p(x) / Z$. The function $p$ is known, its integral $Z$ is not. Choose a density $q$ that can be sampled
and a number $M$ such that $p(x) \le M q(x)$ everywhere. Draw $x \sim q$ and keep it with probability

$$a(x) = \frac{p(x)}{M q(x)}$$

A point near $x$ is drawn and kept with the density $q(x) a(x) = p(x) / M$. So the kept points are exact samples of
$p / Z$, and their share of all points estimates $\int p(x) / M \, dx = Z / M$.

## Importance sampling

Keep every point, and give it the weight by which $q$ drew it too rarely or too often:

$$\mathbb{E}_p f(x) = \frac{\mathbb{E}_q\, w(x) f(x)}{\mathbb{E}_q\, w(x)}, \qquad w(x) = \frac{p(x)}{q(x)}$$

Here $\mathbb{E}_p$ is over the density $p / Z$. The formula holds because $\mathbb{E}_q\, w f = \int p f \, dx = Z \,
\mathbb{E}_p f$, and with $f = 1$, $\mathbb{E}_q\, w = Z$. So the mean weight estimates $Z$. If a few points have nearly
all the weight, few points count. The effective sample size says how many:

$$\mathrm{ESS} = \frac{(\sum_i w_i)^2}{\sum_i w_i^2}$$

The likelihood of a VAE, in a later part, is estimated with the same weights (Burda et al. 2016).

## The Monte-Carlo error

A mean of $n$ independent numbers with the standard deviation $s$ misses the expectation by about

$$\mathrm{error} = \frac{s}{\sqrt{n}}$$

whatever the dimension is. A tenth of the error costs a hundred times the samples.

<details><summary>Step by step: why the root of n</summary>

1. The variance of a sum of independent numbers is the sum of their variances: $n s^2$.
2. Dividing the sum by $n$ divides its variance by $n^2$: the mean has variance $s^2 / n$.
3. The standard deviation is the root of it, $s / \sqrt{n}$.

</details>

## Predict, then look

Here $p(x) = \exp(-2 (x^2 - 1)^2)$ has two humps, and $q$ is a normal around 0. Make $q$ narrower and narrower: what
happens to the effective sample size, and can you see from the samples alone that something is wrong?

{figure}

The first panel shows kept and rejected points below $M q$. The second follows the error of a mean with $n$ samples. The
third shows which share of the weighted samples counts, by the scale of $q$. A narrow $q$ never visits the humps, so the
estimate is wrong. Its standard error does not tell, because it comes from the same samples. The small effective sample
size is the warning.

## In twenty lines

```python
import jax
import jax.numpy as jnp

def log_p(x):
    return -2 * (x**2 - 1) ** 2

key_x, key_u = jax.random.split(jax.random.key(0))
n, scale, log_m = 20_000, 1.2, 1.5
x = scale * jax.random.normal(key_x, (n,))
log_q = -x**2 / (2 * scale**2) - jnp.log(scale * jnp.sqrt(2 * jnp.pi))

log_w = log_p(x) - log_q
assert log_w.max() <= log_m, "M q must lie above p"
kept = jnp.log(jax.random.uniform(key_u, (n,))) < log_w - log_m
z_by_rejection = kept.mean() * jnp.exp(log_m)
z_by_importance = jnp.exp(log_w).mean()
size = jnp.exp(log_w).sum() ** 2 / (jnp.exp(log_w) ** 2).sum()

from gen.distributions import Normal
from gen.probability.sampling import effective_sample_size, importance
q = Normal(jnp.zeros(n), jnp.full(n, jnp.log(scale)))
x, own = importance(jax.random.key(0), log_p, q)
assert jnp.allclose(own, log_p(x) - q.log_prob(x), atol=1e-5)
assert jnp.allclose(effective_sample_size(log_w), size, rtol=1e-3)
assert abs(z_by_rejection - z_by_importance) < 0.05
print("Z:", z_by_rejection, z_by_importance, "effective samples:", size)
```

## Turn the knob

A trained VAE's likelihood is an importance-sampling estimate. With fewer samples it comes out lower:

```bash
python scripts/train.py --config=experiments/vae/digits.py --config.train.steps=2000 --workdir=runs/digits
python scripts/evaluate.py --workdir=runs/digits --config.evaluators.log_likelihood=true
python scripts/evaluate.py --workdir=runs/digits --config.evaluators.log_likelihood.samples=10
```

## Exercises

1. Estimate $\mathbb{E}_p\, x^2$ with the kept points of the cell above, and with the weighted points. Do they agree?

<details><summary>Answer</summary>

```python
x = scale * jax.random.normal(key_x, (n,))
by_rejection = (x**2)[kept].mean()
by_importance = (jnp.exp(log_w) * x**2).sum() / jnp.exp(log_w).sum()
assert abs(by_rejection - by_importance) < 0.03
```

</details>

2. All weights are equal but one, which is $c$ times as large. What is the effective sample size of $n$ samples for a
   very large $c$?

<details><summary>Answer</summary>

$(n - 1 + c)^2 / (n - 1 + c^2)$, which tends to 1: one sample has all the weight.

```python
log_w = jnp.zeros(1_000).at[0].set(jnp.log(1e6))
assert abs(effective_sample_size(log_w) - (999 + 1e6) ** 2 / (999 + 1e12)) < 1e-2
```

</details>
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import integrate

from gen.distributions import Normal
from gen.estimates import estimate
from gen.figures.curves import COLOURS
from gen.figures.panels import INK, legends, panels, ticks
from gen.figures.points import DATA_COLOUR
from gen.lecture import Lesson
from gen.probability.sampling import effective_sample_size, importance, normalised, rejection

TITLE = "Monte Carlo"
SHOWS = (rejection, importance, effective_sample_size, estimate)

SCALE, N = 1.2, 40_000
"""Of q = N(0, SCALE^2); samples."""

X = np.linspace(-3, 3, 601)
SIZES, REPEATS = (30, 100, 300, 1_000, 3_000, 10_000), 100


def log_p(x):
    """Up to log Z."""
    return -2 * jnp.square(jnp.square(x) - 1)


def proposal(n: int, scale: float = SCALE) -> Normal:
    """q, n times."""
    return Normal(jnp.zeros(n), jnp.full(n, jnp.log(scale)))


def integral(power: int) -> float:
    """Of x^power exp(log_p(x)), by quadrature."""
    return integrate.quad(lambda x: x**power * np.exp(-2 * (x**2 - 1) ** 2), -5, 5)[0]


def errors() -> np.ndarray:
    """Root mean squared error of E[x^2] by importance sampling, for each of SIZES."""
    def one(key):
        x, log_w = importance(key, log_p, proposal(max(SIZES)))
        return jnp.array([(normalised(log_w[:n]) * jnp.square(x[:n])).sum() for n in SIZES])

    found = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(2), REPEATS))
    return np.sqrt(np.square(np.asarray(found) - integral(2) / integral(0)).mean(0))


def run(folder) -> Lesson:
    """Estimates Z in both ways, and the error of an expectation by the number of samples."""
    q, z = proposal(N), integral(0)
    log_bound = float((log_p(X) - proposal(len(X)).log_prob(jnp.asarray(X))).max())
    x, accepted = map(np.asarray, rejection(jax.random.key(0), log_p, q, log_bound))
    share = estimate(accepted.astype(float).tolist())
    weights = estimate(np.exp(np.float64(importance(jax.random.key(1), log_p, q)[1])).tolist())
    scales = np.geomspace(0.15, 6, 25)
    sizes = [float(effective_sample_size(importance(jax.random.key(1), log_p, proposal(N, s))[1]) / N) for s in scales]
    found, bound = errors(), np.exp(log_bound)
    slope = np.polyfit(np.log(SIZES), np.log(found), 1)[0]
    numbers = {"Z by quadrature": z, "Z by rejection": share.mean * bound, "its standard error": share.error * bound,
               "Z by importance": weights.mean, "its standard error too": weights.error,
               "share accepted": share.mean, "greatest effective share of the samples": max(sizes),
               "power of n in the error": slope}
    holds = (abs(share.mean * bound - z) < 4 * share.error * bound and abs(weights.mean - z) < 4 * weights.error
             and abs(slope + 0.5) < 0.1)
    claim = "Both estimate Z within four of their standard errors, and the error falls as n to the power -0.5 +- 0.1."
    return Lesson(draw(x[:1_500], accepted[:1_500], bound, scales, sizes, found), numbers, claim, bool(holds))


def draw(x, accepted, bound, scales, sizes, found):
    """Accepted and rejected points under M q, the error by n, and the effective sample size by the scale of q."""
    figure, (left, middle, right) = panels(
        ["rejection: kept and rejected", "importance: error of E[x²]", "share of samples that counts"])
    height = np.random.default_rng(0).uniform(size=len(x))
    (p, q), (at, above) = ((np.exp(np.asarray(v)) for v in (log_p(x), proposal(len(x)).log_prob(jnp.asarray(x))))
                           for x in (X, x))
    y = np.where(accepted, height * at, at + height * (bound * above - at))
    for chosen, colour, label in ((accepted, COLOURS[0], "kept"), (~accepted, DATA_COLOUR, "rejected")):
        left.scatter(x[chosen], y[chosen], s=3, c=colour, linewidths=0, alpha=0.6, label=label)
    left.plot(X, p, color=INK, linewidth=1.2, label="p")
    left.plot(X, bound * q, color=COLOURS[1], linewidth=1.2, label="M q")
    left.set(xlim=(-3, 3), ylim=(0, 2.2 * p.max()), xlabel="x")
    middle.loglog(SIZES, found, "o-", color=COLOURS[0], linewidth=1.4, markersize=3.5, label=f"over {REPEATS} repeats")
    middle.loglog(SIZES, found[0] * np.sqrt(SIZES[0] / np.array(SIZES)), color=INK, linewidth=0.9, linestyle=":",
                  label="slope -1/2")
    middle.set(xlabel="samples n")
    ticks(middle.xaxis, (100, 1_000, 10_000))
    ticks(middle.yaxis, (0.005, 0.01, 0.02, 0.05, 0.1))
    right.semilogx(scales, sizes, color=COLOURS[0], linewidth=1.4)
    right.set(xlabel="scale of q", ylim=(0, 1))
    ticks(right.xaxis, (0.2, 0.5, 1, 2, 5))
    legends([left, middle], markerscale=2)
    return figure
