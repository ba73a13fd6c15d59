r"""Almost every quantity of this course is an expectation: a likelihood, a loss, a divergence, a gradient. Expectations
are estimated by the mean of samples. This chapter says when that works, and how large the error is.

**After this chapter** you can estimate an expectation by samples, state its error, and recognise a case in which the
mean of samples never settles.

**You need** densities.

## The mean of infinitely many draws

The expectation of $f$ under the density $p$ is the mean of $f(x)$, each $x$ counted by its density:

$$\mathbb{E}_p f(x) = \int f(x) \, p(x) \, dx$$

Draws are independent if none of them tells anything about the others. The law of large numbers says that the mean of
$n$ independent draws tends to the expectation. So this mean is an estimate of it, the Monte-Carlo estimate:

$$\hat{f}_n = \frac{1}{n} \sum_{i=1}^{n} f(x_i), \qquad x_i \sim p$$

The sign $\sim$ says "is drawn from".

Two rules are used all the time. Expectation is linear: $\mathbb{E} (a f + b g) = a \, \mathbb{E} f + b \, \mathbb{E}
g$. And the variance of a sum of independent numbers is the sum of their variances. The variance is the mean squared
distance from the expectation, which is the same as

$$\mathrm{Var}\, f = \mathbb{E} f(x)^2 - (\mathbb{E} f(x))^2$$

Its root is the standard deviation. That of the estimate is called its standard error, the typical size of what it
misses by:

$$\mathrm{SE} = \sqrt{\frac{\mathrm{Var}\, f}{n}}$$

For large $n$ the error is nearly normal, whatever $p$ is: the central limit theorem. About 95 of 100 estimates lie
within two standard errors.

All of this needs a finite variance. Draws of a Cauchy distribution, $p(x) = 1 / (\pi (1 + x^2))$, have none, not even
an expectation: the mean of $n$ draws has the same distribution as a single one.

<details><summary>Step by step: the standard error</summary>

1. $\mathrm{Var}(f(x_1) + \dots + f(x_n)) = n \, \mathrm{Var}\, f$, because the draws are independent.
2. Dividing by $n$ divides the variance by $n^2$, so $\mathrm{Var}\, \hat{f}_n = \mathrm{Var}\, f / n$.
3. The standard error is its root.

</details>

## Predict, then look

Means of 10 draws have a certain error. How many draws make the error ten times smaller? And what happens to the mean of
Cauchy draws, as more and more of them come in?

{figure}

The first panel follows the means of 20 sequences of draws of $x^2$, $x$ standard normal: the grey funnel is two
standard errors wide to each side of the expectation, 1. The second shows 4,000 means of 100 draws, with the normal of
the central limit theorem. The third follows the means of Cauchy draws: single draws are so large that they move the
mean at any time.

## In twenty lines

```python
import jax
import jax.numpy as jnp

x = jax.random.normal(jax.random.key(0), (10_000,))
f = x**2

mean = f.sum() / len(f)
variance = (f**2).mean() - mean**2
error = jnp.sqrt(variance / len(f))
assert abs(mean - 1.0) < 4 * error, "the exact expectation is 1"
assert abs(variance - 2.0) < 0.3, "the exact variance is 2"

from gen.estimates import estimate
library = estimate(f.tolist())
assert abs(library.mean - mean) < 1e-5 and abs(library.error - error) < 1e-4
print(f"{mean:.4f} +- {error:.4f}")
```

## Turn the knob

The scores of trained models are such means too: each training starts from its own random numbers, its seed. More seeds
make the error of a table smaller:

```bash
python scripts/sweep.py --config=experiments/vae/digits.py
```

## Exercises

1. Estimate $\pi$ from the share of uniform points of the square $[-1, 1]^2$ that fall into the unit circle. How many
   points give two correct digits after the point?

<details><summary>Answer</summary>

The share is $\pi / 4$. One point contributes 4 with the probability $\pi / 4$, else 0, so its variance is
$\mathbb{E} f^2 - (\mathbb{E} f)^2 = 16 \cdot 0.785 - 16 \cdot 0.785^2 = 2.7$. Two digits need an error below 0.005. Let
that be two standard errors. For a standard error of 0.0025 it takes $2.7 / 0.0025^2 \approx 430{,}000$ points.

```python
points = jax.random.uniform(jax.random.key(1), (430_000, 2), minval=-1.0)
inside = 4.0 * ((points**2).sum(1) < 1)
assert abs(inside.mean() - jnp.pi) < 4 * 0.0025
assert abs(jnp.sqrt(inside.var() / len(inside)) - 0.0025) < 1e-4
```

</details>

2. You know the mean of 100 draws and its standard error, 0.3. What is the standard deviation of a single draw?

<details><summary>Answer</summary>

$0.3 \cdot \sqrt{100} = 3$.

```python
draws = 3.0 * jax.random.normal(jax.random.key(2), (5_000, 100))
assert abs(draws.mean(1).std() - 0.3) < 0.02
```

</details>
"""

import numpy as np
from scipy import stats

from gen.estimates import estimate
from gen.figures.curves import COLOURS
from gen.figures.panels import INK, legends, panels, ticks
from gen.figures.points import DATA_COLOUR
from gen.lecture import Lesson

TITLE = "Expectation and the law of large numbers"
SHOWS = (estimate,)

PATHS, N = 20, 10_000
MEANS, SIZE = 4_000, 100
"""Estimates whose histogram is drawn, and draws of each."""


def running(draws):
    """The mean of the first n draws, for every n."""
    return draws.cumsum(-1) / np.arange(1, draws.shape[-1] + 1)


def run(folder) -> Lesson:
    """Means of x^2 for x standard normal, whose expectation is 1 and whose variance is 2; means of Cauchy draws."""
    rng = np.random.default_rng(0)
    squares, cauchy = np.square(rng.normal(size=(PATHS, N))), rng.standard_cauchy(size=(PATHS, N))
    means = np.square(rng.normal(size=(MEANS, SIZE))).mean(1)
    error, early, late = np.sqrt(2 / SIZE), running(cauchy)[:, 99], running(cauchy)[:, -1]
    within = (np.abs(means - 1) < 2 * error).mean()
    root = np.sqrt(np.square(running(squares)[:, [99, -1]] - 1).mean(0))
    numbers = {"standard error of 100 draws": error, "spread of 4,000 such means": means.std(),
               "share of them within two standard errors": within, "error of 100 draws over that of 10,000":
               root[0] / root[1], "median size of Cauchy means, 100 draws": np.median(np.abs(early)),
               "the same, 10,000 draws": np.median(np.abs(late))}
    holds = abs(means.std() / error - 1) < 0.05 and abs(within - 0.95) < 0.015 and 5 < root[0] / root[1] < 20 \
        and np.median(np.abs(late)) > 0.3
    claim = ("The spread of means is the standard error within 5 %, 95 of 100 lie within two of it, and 100 times as "
             "many draws have a tenth of the error. Means of Cauchy draws do not settle.")
    return Lesson(draw(running(squares), means, running(cauchy)), {k: float(v) for k, v in numbers.items()}, claim,
                  bool(holds))


def draw(squares, means, cauchy):
    """Running means, the histogram of means, and running means without an expectation."""
    figure, (left, middle, right) = panels(
        ["means of x², x normal", "4,000 means of 100 draws", "means of Cauchy draws"])
    n = np.unique(np.geomspace(1, N, 400).astype(int))
    funnel = 2 * np.sqrt(2 / n)
    left.fill_between(n, 1 - funnel, 1 + funnel, color=DATA_COLOUR, alpha=0.3, linewidth=0, label="2 standard errors")
    left.plot(n, squares[:, n - 1].T, color=COLOURS[0], linewidth=0.6, alpha=0.7)
    left.axhline(1, color=INK, linewidth=0.9)
    left.set(xscale="log", ylim=(0, 2.5), xlabel="draws")
    x = np.linspace(0.4, 1.8, 200)
    middle.hist(means, 50, density=True, color=COLOURS[0], alpha=0.5, label="means")
    middle.plot(x, stats.norm.pdf(x, 1, np.sqrt(2 / SIZE)), color=INK, linewidth=1.2, label="N(1, SE²)")
    middle.set(xlabel="mean of x²", ylim=(0, 4))
    right.plot(n, cauchy[:, n - 1].T, color=COLOURS[1], linewidth=0.6, alpha=0.7)
    right.set(xscale="log", ylim=(-10, 10), xlabel="draws")
    for axes in (left, right):
        ticks(axes.xaxis, (1, 100, 10_000))
    legends([left, middle])
    return figure
