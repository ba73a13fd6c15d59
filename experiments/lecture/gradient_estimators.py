r"""The encoder of a VAE climbs an expectation over its own samples: change the encoder, and the samples change too. Two
estimates of the gradient are right on average. The second one, reparameterisation, made VAEs possible.

**After this chapter** you can derive both estimators, and say why the variance of one grows with the number of latents.

**You need** expectations, the chain rule, and the ELBO.

## Two estimators

Let $q = \mathcal{N}(m, s^2)$ and let $f$ be any smooth function, for example $f(z) = \log p(x, z)$.

The score function (Williams 1992) needs the values of $f$ only:

$$\nabla_m \mathbb{E}_q f(z) = \mathbb{E}_q \left[ f(z) \, \nabla_m \log q(z) \right]$$

The reparameterised gradient needs the gradient of $f$ (Kingma & Welling 2014):

$$\nabla_m \mathbb{E}_q f(z) = \mathbb{E}_\varepsilon \nabla_m f(m + s \varepsilon), \qquad
\varepsilon \sim \mathcal{N}(0, 1)$$

<details><summary>Step by step: the score function</summary>

1. $\nabla_m \mathbb{E}_q f = \int f(z) \, \nabla_m q(z) \, dz$: only $q$ depends on $m$.
2. $\nabla q = q \, \nabla \log q$, because $\nabla \log q = \nabla q / q$.
3. So it is $\int q(z) f(z) \nabla_m \log q(z) \, dz$, an expectation over $q$.
4. With $f = 1$ the left side is 0, so a constant may be taken from $f$ without a bias: a baseline.

</details>

<details><summary>Step by step: the reparameterised gradient</summary>

1. If $\varepsilon \sim \mathcal{N}(0, 1)$, then $z = m + s \varepsilon$ has the distribution $q$.
2. So $\mathbb{E}_q f(z) = \mathbb{E}_\varepsilon f(m + s \varepsilon)$: the distribution no longer depends on $m$.
3. Now the gradient may be taken inside the expectation, and goes through the sample like through any other layer.

</details>

The score function multiplies each coordinate's noise by all of $f$. So its variance grows with the number of latents. A
baseline removes the mean of $f$ but not that growth. The reparameterised gradient sees, in each coordinate, what that
coordinate does to $f$.

## Predict, then look

With 64 latents, how many times larger is the variance of the score function? A hundred, a thousand, ten thousand?

{figure}

The first panel shows 4,000 estimates of one coordinate's gradient by each method, those between -60 and 60. The second
shows the variances by the number of latents; both of its axes are logarithmic. With 64 latents the ratio is more than
10,000, and with a baseline still about 60.

## In twenty lines

```python
import jax
import jax.numpy as jnp

def f(z):
    return -((z - 1.0) ** 2).sum()

def log_q(m, s, z):
    return (-((z - m) ** 2) / (2 * s**2) - jnp.log(s)).sum()

m, s = jnp.zeros(8), jnp.ones(8)

def both(key):
    epsilon = jax.random.normal(key, m.shape)
    z = jax.lax.stop_gradient(m + s * epsilon)
    score = f(z) * jax.grad(log_q)(m, s, z)
    path = jax.grad(lambda m: f(m + s * epsilon))(m)
    return score, path

keys = jax.random.split(jax.random.key(0), 20_000)
score, path = jax.jit(jax.vmap(both))(keys)

from gen.distributions import Normal
from gen.probability.gradients import reparameterised, score_function
q = Normal(m, jnp.log(s))
library = jax.vmap(lambda key: (score_function(key, f, q).loc, reparameterised(key, f, q).loc))(keys)
exact = 2 * (1.0 - m)
for mine, theirs in zip((score, path), library):
    assert jnp.abs(mine.mean(0) - exact).max() < 1 and jnp.abs(theirs.mean(0) - exact).max() < 1
    assert jnp.allclose(mine.var(0).mean(), theirs.var(0).mean(), rtol=0.1)
print("variance of the score function:", score.var(0).mean(), "reparameterised:", path.var(0).mean())
```

## Turn the knob

The lesson's function takes the numbers of latents. Add one with 256:

```bash
python -c "
from gen import lecture
print(lecture.read('gradient_estimators').run(None, latents=(1, 16, 256)).numbers)"
```

## Exercises

1. $f(z) = a z$ in one dimension. What is the variance of each estimator of $\nabla_m$ at $m = 0, s = 1$?

<details><summary>Answer</summary>

The reparameterised gradient is $a$ for every sample: its variance is 0. The score function gives $a z^2$ with $z \sim
\mathcal{N}(0, 1)$: its mean is $a$ and its variance $a^2 (\mathbb{E} z^4 - 1) = 2 a^2$, because $\mathbb{E} z^4 = 3$
for a standard normal.

```python
z = jax.random.normal(jax.random.key(2), (400_000,))
assert abs((3.0 * z * z).mean() - 3.0) < 0.05 and abs((3.0 * z * z).var() - 18.0) < 0.6
```

</details>

2. Show that a baseline keeps the score function unbiased, and find how much it reduces the variance in the cell above.

<details><summary>Answer</summary>

$\mathbb{E}_q \nabla \log q = \nabla \int q = \nabla 1 = 0$, so a constant times it adds nothing on average.

```python
baseline = -8 * 2.0  # the mean of f: each of 8 coordinates adds -(s^2 + (m - 1)^2) = -2
with_baseline = jax.vmap(lambda key: score_function(key, f, q, baseline).loc)(keys)
assert jnp.abs(with_baseline.mean(0) - exact).max() < 0.5
assert with_baseline.var(0).mean() < score.var(0).mean() / 3
```

</details>
"""

import jax
import jax.numpy as jnp
import numpy as np

from gen.distributions import Normal, standard_normal
from gen.figures.curves import COLOURS
from gen.figures.panels import INK, legends, panels, ticks
from gen.lecture import Lesson
from gen.probability.gradients import reparameterised, score_function
from gen.probability.linear_gaussian import LinearGaussian

TITLE = "Gradient estimators"
SHOWS = (score_function, reparameterised, LinearGaussian)

SHOWN = 16
"""Latents whose gradients the histogram shows."""


def problem(latents: int):
    """(f, d E_q[f] / dm at q = N(0, I)) of a model with as many observed numbers as latents."""
    rng = np.random.default_rng(latents)
    model = LinearGaussian(rng.normal(size=(latents, latents)) / latents**0.5, np.zeros(latents), 1.0)
    x, w = model.sample(rng, 1)[1][0], jnp.float32(model.weights)
    p_z = standard_normal((latents,))

    def log_joint(z):
        return Normal(w @ z, jnp.zeros(latents)).log_prob(jnp.float32(x)).sum() + p_z.log_prob(z).sum()

    return log_joint, model.weights.T @ x


def gradients(latents: int, samples: int):
    """Estimator to as many independent gradients [samples latents] with respect to m, and the exact one."""
    log_joint, exact = problem(latents)
    q = standard_normal((latents,))
    baseline = jax.vmap(lambda key: log_joint(q.sample(key)))(jax.random.split(jax.random.key(1), samples)).mean()

    @jax.jit
    @jax.vmap
    def one(key):
        score = score_function(key, log_joint, q)
        return {"score function": score.loc,
                "score function, baseline": score_function(key, log_joint, q, baseline).loc,
                "reparameterised": reparameterised(key, log_joint, q).loc}

    return {name: np.float64(v) for name, v in one(jax.random.split(jax.random.key(0), samples)).items()}, exact


def run(folder, latents=(1, 4, 16, 64), samples: int = 4_000) -> Lesson:
    """Measures bias and variance of both for models of 1 to 64 latents."""
    variance, worst = {}, 0.0
    for d in latents:
        found, exact = gradients(d, samples)
        for name, values in found.items():
            worst = max(worst, np.abs((values.mean(0) - exact) / (values.std(0) / samples**0.5)).max())
            variance.setdefault(name, []).append(values.var(0).mean())
        if d == SHOWN:
            shown = {name: values[:, 0] for name, values in found.items()}, exact[0]
    ratio = variance["score function"][-1] / variance["reparameterised"][-1]
    numbers = {f"{name}: variance, {latents[-1]} latents": values[-1] for name, values in variance.items()}
    numbers |= {"ratio of the variances": ratio, "farthest mean from the exact gradient, standard errors": worst}
    claim = ("All are unbiased (every mean is within 4.5 standard errors of the exact gradient), and with "
             f"{latents[-1]} latents the score function's variance is over 500 times the reparameterised gradient's.")
    return Lesson(draw(latents, variance, *shown), numbers, claim, bool(worst < 4.5 and ratio > 500))


def draw(latents, variance, shown, exact):
    """Histograms of one coordinate's gradient, and variances over the number of latents."""
    figure, (left, right) = panels(
        [f"gradient of one coordinate, {SHOWN} latents", "variance of a coordinate's gradient"])
    edges = np.linspace(-60, 60, 121)
    for (name, values), colour in zip(shown.items(), COLOURS, strict=False):
        left.hist(values, edges, density=True, color=colour, alpha=0.5, label=name)
        right.loglog(latents, variance[name], "o-", color=colour, linewidth=1.4, markersize=3.5, label=name)
    left.axvline(exact, color=INK, linewidth=0.9, linestyle=":", label="exact")
    left.set(xlabel="estimate of the gradient", ylabel="density", yscale="log", ylim=(2e-4, 1e4))
    right.set(xlabel="latents")
    ticks(right.xaxis, latents)
    legends([left, right], loc="upper left")
    return figure
