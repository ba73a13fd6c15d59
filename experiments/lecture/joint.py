r"""Two random quantities that belong together, such as a latent and an example, have a joint density. Everything else
follows from it by adding up and by cutting: marginals, conditionals, and Bayes' rule.

**After this chapter** you can read a marginal and a conditional from a joint density, and name prior, likelihood,
evidence and posterior in Bayes' rule.

**You need** densities, and the variance of a sum.

## Four densities of one model

A latent $z$, a number that nobody observes, is drawn from the **prior** $p(z)$. Then $x$ is drawn from the
**conditional** density $p(x \mid z)$, that of $x$ when $z$ is known. Read as a function of $z$ for an $x$ that was
seen, the same $p(x \mid z)$ is called the **likelihood** of $z$. The joint density is the product:

$$p(x, z) = p(x \mid z) \, p(z)$$

Adding up over $z$ gives the **marginal** of $x$, also called the **evidence**:

$$p(x) = \int p(x, z) \, dz$$

Cutting the joint at one $x$, and scaling the slice to the area 1, gives the **posterior** of $z$. That is Bayes' rule:

$$p(z \mid x) = \frac{p(x \mid z) \, p(z)}{p(x)}$$

Bayes' rule goes from $x$ back to $z$. Sampling goes from $z$ to $x$: first $z$ from the prior, then $x$ given $z$. This
is called ancestral sampling.

## An example that can be computed

Let $z \sim \mathcal{N}(0, 1)$ and $x \sim \mathcal{N}(w z, s^2)$, with numbers $w$ and $s$. Every density is then a
normal. For the evidence write $x = w z + s \varepsilon$ with $\varepsilon \sim \mathcal{N}(0, 1)$. A sum of independent
normals is a normal, and variances add up, so the evidence is $\mathcal{N}(x; 0, w^2 + s^2)$. The posterior has the mean

$$\mathbb{E}[z \mid x] = \frac{w x}{w^2 + s^2}$$

and the variance

$$\mathrm{Var}[z \mid x] = \frac{s^2}{w^2 + s^2}$$

<details><summary>Step by step: the posterior</summary>

1. $\log p(z \mid x) = \log p(x \mid z) + \log p(z) - \log p(x)$, and the last term does not depend on $z$.
2. So it is $-\frac{(x - w z)^2}{2 s^2} - \frac{z^2}{2}$ up to a constant: a parabola in $z$, and the posterior is a
   normal.
3. The coefficient of $-z^2 / 2$ is $w^2 / s^2 + 1$, the inverse of the variance: $\mathrm{Var} = s^2 / (w^2 + s^2)$.
4. The coefficient of $z$ is $w x / s^2$. A normal of mean $m$ and variance $v$ has the terms $-z^2 / (2 v) + z m / v$,
   so the mean is this coefficient times the variance: $w x / (w^2 + s^2)$.

</details>

Where $w z$ is replaced by a network, the integral of the evidence has no formula, and with many latents a grid would
need too many points. This is the difficulty that variational autoencoders, the VAEs of a later part, are made for.

## Predict, then look

You see $x = 1.5$. Is the most probable $z$ the one that explains $x$ exactly, $z = x / w$? If not, which way is it off?

{figure}

The heat map is the joint density, with both marginals along its edges as curves and the slice at $x = 1.5$ as a dashed
line. The second panel shows prior, likelihood and posterior of $z$. The posterior lies between the prior and the
likelihood: the prior pulls it towards 0.

## In twenty lines

```python
import jax
import jax.numpy as jnp
import numpy as np

w, s, x = 1.0, 0.7, 1.5
z = jnp.linspace(-5, 5, 2_001)
width = z[1] - z[0]

def normal(x, m, s):
    return jnp.exp(-((x - m) ** 2) / (2 * s**2)) / (s * jnp.sqrt(2 * jnp.pi))

prior, likelihood = normal(z, 0.0, 1.0), normal(x, w * z, s)
evidence = (likelihood * prior).sum() * width
posterior = likelihood * prior / evidence
mean = (z * posterior).sum() * width
variance = ((z - mean) ** 2 * posterior).sum() * width

from gen.probability.linear_gaussian import LinearGaussian
model = LinearGaussian(np.array([[w]]), np.zeros(1), s)
their_mean, their_covariance = model.posterior(np.array([[x]]))
assert np.isclose(mean, their_mean[0, 0], atol=1e-4) and np.isclose(variance, their_covariance[0, 0], atol=1e-4)
assert np.isclose(jnp.log(evidence), model.log_likelihood(np.array([[x]]))[0], atol=1e-4)
print("evidence", evidence, "posterior mean", mean, "variance", variance)
```

## Turn the knob

`SCALE` in `experiments/lecture/joint.py` is $s$. With a small $s$ the data speaks louder than the prior: the posterior
moves to $x / w$ and becomes narrow.

```bash
python scripts/lecture.py --only=joint
```

## Exercises

1. A test is positive for 99 of 100 people with a disease and for 2 of 100 without it. One in a thousand has the
   disease. Your test is positive. Name prior, likelihood, evidence and posterior, and compute the posterior.

<details><summary>Answer</summary>

The prior is 0.001, the likelihood 0.99, the evidence $0.99 \cdot 0.001 + 0.02 \cdot 0.999 \approx 0.02097$. The
posterior is their quotient, 0.047: less than 5 %.

```python
evidence = 0.99 * 0.001 + 0.02 * 0.999
assert abs(0.99 * 0.001 / evidence - 0.047) < 5e-4
```

</details>

2. Draw 100,000 pairs by ancestral sampling, keep those with $1.45 < x < 1.55$, and compare the mean of their $z$ with
   the formula.

<details><summary>Answer</summary>

```python
key_z, key_x = jax.random.split(jax.random.key(0))
zs = jax.random.normal(key_z, (100_000,))
xs = w * zs + s * jax.random.normal(key_x, (100_000,))
near = (xs > 1.45) & (xs < 1.55)
assert abs(zs[near].mean() - w * 1.5 / (w**2 + s**2)) < 0.05
```

</details>
"""

import numpy as np
from scipy import stats

from gen.figures.curves import COLOURS
from gen.figures.panels import INK, legends, panels
from gen.figures.points import SAMPLE_COLOUR
from gen.lecture import Lesson
from gen.probability.linear_gaussian import LinearGaussian

TITLE = "Joint, marginal, conditional, and Bayes' rule"
SHOWS = (LinearGaussian, LinearGaussian.sample, LinearGaussian.posterior, LinearGaussian.log_likelihood)

W, SCALE, SEEN, N = 1.0, 0.7, 1.5, 400_000
"""The model's weight and noise, the x that is seen, and samples."""

MODEL = LinearGaussian(np.array([[W]]), np.zeros(1), SCALE)
X, Z = np.linspace(-4, 4, 401), np.linspace(-3.5, 3.5, 351)


def run(folder) -> Lesson:
    """Sums and cuts the joint density on a grid, and holds the results against the formulas and against samples."""
    joint = stats.norm.pdf(X[:, None], W * Z, SCALE) * stats.norm.pdf(Z)
    evidence = joint.sum(1) * (Z[1] - Z[0])
    slice_ = joint[np.abs(X - SEEN).argmin()]
    posterior = slice_ / (slice_.sum() * (Z[1] - Z[0]))
    mean = (Z * posterior).sum() * (Z[1] - Z[0])
    exact, covariance = MODEL.posterior(np.array([[SEEN]]))
    z, x = MODEL.sample(np.random.default_rng(0), N)
    near = np.abs(x[:, 0] - SEEN) < 0.05
    error = float(np.sqrt(covariance[0, 0] / near.sum()))
    numbers = {"evidence on the grid": evidence[np.abs(X - SEEN).argmin()],
               "its formula": float(np.exp(MODEL.log_likelihood(np.array([[SEEN]]))[0])),
               "posterior mean, slice of the grid": mean, "its formula, w x / (w^2 + s^2)": float(exact[0, 0]),
               "mean of sampled z with x near 1.5": float(z[near].mean()), "its standard error": error}
    off = abs(numbers["evidence on the grid"] / numbers["its formula"] - 1)
    holds = off < 0.005 and abs(mean - exact[0, 0]) < 0.005 and abs(z[near].mean() - exact[0, 0]) < 4 * error + 0.002
    claim = ("Sums and slices of the joint density are the evidence and the posterior of the formulas, within 0.5 %. "
             "Samples with x near 1.5 have the posterior's mean.")
    return Lesson(draw(joint, evidence, posterior), numbers, claim, bool(holds))


def draw(joint, evidence, posterior):
    """The joint density with its marginals and a slice, and the three densities of Bayes' rule."""
    figure, (left, right) = panels(["joint density p(x, z), its marginals, a slice", "Bayes' rule at x = 1.5"],
                                   height=310)
    left.grid(False)
    left.imshow(joint.T, origin="lower", extent=(X[0], X[-1], Z[0], Z[-1]), cmap="viridis", aspect="auto")
    left.plot(X, Z[0] + 4 * evidence, color="white", linewidth=1.4)
    left.plot(X[0] + 3 * stats.norm.pdf(Z), Z, color="white", linewidth=1.4)
    left.text(1.6, Z[0] + 1.0, "p(x)", color="white", fontsize=9)
    left.text(X[0] + 1.15, 0.75, "p(z)", color="white", fontsize=9)
    left.axvline(SEEN, color=SAMPLE_COLOUR, linewidth=1.4, linestyle="--")
    left.set(xlim=(X[0], X[-1]), ylim=(Z[0], Z[-1]), xlabel="x", ylabel="z")
    likelihood = stats.norm.pdf(SEEN, W * Z, SCALE)
    right.plot(Z, stats.norm.pdf(Z), color=COLOURS[0], linewidth=1.4, label="prior p(z)")
    right.plot(Z, likelihood, color=COLOURS[2], linewidth=1.4, linestyle=":", label="likelihood p(x | z)")
    right.fill_between(Z, posterior, color=SAMPLE_COLOUR, alpha=0.35, linewidth=0)
    right.plot(Z, posterior, color=SAMPLE_COLOUR, linewidth=1.4, label="posterior p(z | x)")
    right.axvline(SEEN / W, color=INK, linewidth=0.8, linestyle=":", label="z = x / w")
    right.set(xlim=(Z[0], Z[-1]), ylim=(0, None), xlabel="z")
    legends([right])
    return figure
