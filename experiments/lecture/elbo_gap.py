r"""A variational autoencoder, VAE, draws an example in two steps: first a latent $z$ from a prior, then $x$ from a
conditional density whose numbers a network computes from $z$, the decoder. The probability density of an $x$ is an
integral over all $z$ that has no formula. A second network, the encoder, gives a lower bound of it, and the bound
is all that training needs.

**After this chapter** you can derive the evidence lower bound in two ways, say what it misses, and tighten it.

**You need** conditional densities, Bayes' rule, and the KL divergence.

## The model and its bound

$$p(x) = \int p(x \mid z) \, p(z) \, dz$$

Training should make $\log p(x)$ large for the data. Most $z$ explain a given $x$ badly, so that drawing some from the
prior is of no use. The encoder answers an $x$ with a density $q(z \mid x)$ of those $z$ that may explain it. Whatever
$q$ is, the **evidence lower bound**, ELBO, misses $\log p(x)$ by a divergence:

$$\log p(x) = \mathrm{ELBO} + \mathrm{KL}(q(z \mid x) \,\|\, p(z \mid x))$$

$$\mathrm{ELBO} = \mathbb{E}_q \log p(x \mid z) - \mathrm{KL}(q(z \mid x) \,\|\, p(z))$$

Here $\mathbb{E}_q$ is over $z$ from $q(z \mid x)$. A divergence is never negative, so the ELBO is at most $\log p(x)$.
Its first term asks the decoder to reconstruct $x$ from the encoder's $z$. The second asks the encoder to stay close to
the prior. What the bound misses is the divergence of the encoder from the true posterior.

<details><summary>Step by step: the bound by Jensen's inequality</summary>

1. $\log p(x) = \log \int p(x, z) \, dz$, because the marginal sums over the latents.
2. Multiply and divide by $q(z \mid x)$: $\log p(x) = \log \mathbb{E}_q \frac{p(x, z)}{q(z \mid x)}$.
3. The logarithm is concave, so the log of a mean is at least the mean of the logs:
   $\log p(x) \ge \mathbb{E}_q \log \frac{p(x, z)}{q(z \mid x)}$.
4. Split $p(x, z) = p(x \mid z) p(z)$: the right side is
   $\mathbb{E}_q \log p(x \mid z) - \mathrm{KL}(q(z \mid x) \,\|\, p(z))$.

</details>

<details><summary>Step by step: the exact identity</summary>

1. $p(x) = p(x, z) / p(z \mid x)$ for every $z$, by the definition of the conditional density.
2. Multiply and divide by $q$: $\log p(x) = \log \frac{p(x, z)}{q(z \mid x)} + \log \frac{q(z \mid x)}{p(z \mid x)}$.
3. The left side does not depend on $z$. Take the expectation over $q$ on both sides.
4. The first expectation is the ELBO, the second is $\mathrm{KL}(q(z \mid x) \,\|\, p(z \mid x)) \ge 0$.

</details>

Usually the encoder is a normal: its network computes a mean $\mu$ and a standard deviation $\sigma$ of each latent from
$x$. (This $\sigma$ is a number, not the logistic function.) With a standard normal prior the second term is then a sum
over the latents of

$$\mathrm{KL}(\mathcal{N}(\mu, \sigma^2) \,\|\, \mathcal{N}(0, 1)) = \frac{\mu^2 + \sigma^2 - 1}{2} - \log \sigma$$

## Amortisation

One encoder serves all examples. Its $q(z \mid x)$ for a given $x$ may be worse than the best normal for that $x$ alone:
that is the amortisation gap. The rest of the gap remains even then, because the true posterior need not be a normal.

## Tighter bounds

Several samples $z_1, \dots, z_k$ of the encoder, each with its weight $w_i = p(x, z_i) / q(z_i \mid x)$, give a bound
that rises to $\log p(x)$ with $k$ (Burda et al. 2016):

$$\mathcal{L}_k = \mathbb{E} \log \frac{1}{k} \sum_{i=1}^{k} w_i$$

## Predict, then look

In a VAE whose two networks are linear functions everything is known: $\log p(x)$, the posterior, and so the gap (Lucas
et al. 2019). Can the ELBO rise because the encoder improves while the model stays as it is?

{figure}

The first panel follows $\log p(x)$ and the ELBO over training. The dotted line is the best that any linear model
reaches on its training data: it uses the principal components, the directions in which the data varies most (Tipping &
Bishop 1999). The second panel compares their difference with the KL of the
encoder from the posterior. The bound rises for two reasons: a better model, and a better encoder.

## In twenty lines

```python
import jax
import jax.numpy as jnp

log_normal = lambda x, m, s: -((x - m) ** 2) / (2 * s**2) - jnp.log(s) - jnp.log(2 * jnp.pi) / 2
w, scale, x = 1.5, 0.5, 2.0  # z ~ N(0, 1), x given z ~ N(w z, scale^2)

mu, sigma = 1.0, 0.4  # the encoder's answer for this x
z = mu + sigma * jax.random.normal(jax.random.key(0), (100_000,))
log_joint = log_normal(x, w * z, scale) + log_normal(z, 0.0, 1.0)
log_weights = log_joint - log_normal(z, mu, sigma)
elbo = log_weights.mean()

log_p = log_normal(x, 0.0, jnp.sqrt(w**2 + scale**2))
variance = 1 / (1 + w**2 / scale**2)
mean = variance * w * x / scale**2
gap = jnp.log(jnp.sqrt(variance) / sigma) + (sigma**2 + (mu - mean) ** 2) / (2 * variance) - 0.5
assert abs(log_p - elbo - gap) < 0.02
print("log p(x)", log_p, "= ELBO", elbo, "+ gap", gap)

from gen.distributions import Normal, kl_normal, standard_normal
from gen.objectives import bounds
kl = kl_normal(Normal(jnp.array([mu]), jnp.log(jnp.array([sigma]))), standard_normal((1,)))
densities = (log_normal(x, w * z, scale), log_normal(z, 0.0, 1.0), log_normal(z, mu, sigma))
terms = bounds.Terms(*(density[:, None] for density in densities), None, kl[None])
assert abs(bounds.elbo(terms)[0] - elbo) < 0.02
```

## Turn the knob

More samples tighten the bound. The same network with $k = 5$:

```bash
python scripts/train.py --config=experiments/vae/digits.py --config.objective.name=iwae --config.samples=5
```

## Exercises

1. Which $\mu$ and $\sigma$ close the gap in the cell above?

<details><summary>Answer</summary>

Those of the posterior. Then every weight is the same number, $p(x)$, and the bound has no error at all.

```python
z = mean + jnp.sqrt(variance) * jax.random.normal(jax.random.key(1), (10,))
log_w = log_normal(x, w * z, scale) + log_normal(z, 0.0, 1.0) - log_normal(z, mean, jnp.sqrt(variance))
assert jnp.allclose(log_w, log_p, atol=1e-4)
```

</details>

2. Compute $\mathcal{L}_{10}$ with the encoder of the cell. By how much does it tighten the bound?

<details><summary>Answer</summary>

```python
groups = log_weights.reshape(-1, 10)
tighter = (jax.nn.logsumexp(groups, axis=1) - jnp.log(10)).mean()
assert elbo + 0.1 < tighter < log_p + 0.01
```

</details>
"""

from typing import NamedTuple

import jax
import numpy as np

from gen import runs
from gen.data import load
from gen.estimates import estimate
from gen.figures.curves import COLOURS
from gen.figures.panels import INK, legends, panels, ticks
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
    claim = ("At every checkpoint log p(x) - ELBO is KL(q || posterior) within four Monte-Carlo errors, and at the end "
             f"of training it is less than {left:.0%} of what it was at the first.")
    return Lesson(draw(found, optimum), numbers, claim, bool(off < 4 and last.gap < left * first.gap))


def draw(found, best):
    """log p(x) and the ELBO with what is between them, and that alone."""
    steps, (log_p, bounds, gaps, _) = list(found), np.transpose(list(found.values()))
    figure, (left, right) = panels(["nats per test image", "what the bound misses"])
    left.axhline(best, color=INK, linewidth=0.9, linestyle=":", label="log p(x), principal components")
    left.plot(steps, log_p, color=COLOURS[0], linewidth=1.4, label="log p(x), exact")
    left.plot(steps, bounds, color=COLOURS[1], linewidth=1.4, label="ELBO")
    left.fill_between(steps, bounds, log_p, color=COLOURS[1], alpha=0.2, linewidth=0)
    right.semilogy(steps, gaps, color=COLOURS[2], linewidth=1.4, label="KL(q || p(z|x)), exact")
    right.semilogy(steps, log_p - bounds, "o", color=COLOURS[1], markersize=3.5, label="log p(x) - ELBO")
    for axes in (left, right):
        axes.set(xlabel="step")
    right.set(ylabel="nats")
    ticks(right.yaxis, (0.3, 0.5, 1, 2, 4))
    legends([left, right])
    return figure
