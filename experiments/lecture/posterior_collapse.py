r"""A latent that the decoder does not use yet costs KL and earns nothing. So the encoder switches it off, and it often
stays off.

**After this chapter** you can count the active latents of a VAE, explain why latents collapse, and prevent it by
warming up the KL or by giving each latent some of it free.

**You need** the ELBO and the KL of two normals.

## Why latents switch off

Early in training the decoder explains the mean of the data without $z$. If the encoder then answers with the prior,
$q(z_i \mid x) = p(z_i)$, the KL of that latent is 0. The decoder receives noise there and learns to ignore it. No
gradient leads back: the posterior has collapsed, a local optimum (Bowman et al. 2016).

A latent is called active where its posterior mean varies over the examples (Burda et al. 2016, section 5.2):

$$A_i = \mathrm{Var}_{x}\big(\mathbb{E}_{q(z \mid x)}[z_i]\big) > 0.01$$

## Two cures

**Warm-up** multiplies the KL by $\beta_t$, which grows from 0 to 1 in $T$ steps (Sonderby et al. 2016). The latents
carry something before they have to pay for it.

$$\mathbb{E}_{q} \log p(x \mid z) - \beta_t \, \mathrm{KL}(q(z \mid x) \,\|\, p(z))$$

$$\beta_t = \min(t / T, 1)$$

**Free bits** charge each latent at least $\lambda$ nats, so there is nothing to gain below that (Kingma et al. 2016).
With $\mathrm{KL}_i$, the KL of latent $i$ averaged over the examples of a batch:

$$\mathbb{E}_{q} \log p(x \mid z) - \sum_i \max(\lambda, \mathrm{KL}_i)$$

## What the latents mean

Moving one latent while the others stay shows what it has learned. Latents that are not active change nothing. The
explorer moves them by hand: `python scripts/explore.py --workdir=DIR`.

## Predict, then look

The same deep VAE of digits trains twice, without and with warm-up. It has 10 latents. How many are active at the end
of each run, and which run has the higher ELBO?

{figure}

The first panel follows the KL, the second the ELBO of test images. The third shows the activity of each latent at the
end, the most active first; the dotted line is the threshold 0.01.

## In twenty lines

```python
import jax
import jax.numpy as jnp

def kl(mu, sigma):
    '''Of N(mu, sigma^2) from N(0, 1), for each latent of each example.'''
    return (mu**2 + sigma**2 - 1) / 2 - jnp.log(sigma)

mu = jax.random.normal(jax.random.key(0), (1_000, 3)) * jnp.array([1.0, 0.5, 0.01])
sigma = jnp.broadcast_to(jnp.sqrt(1 - jnp.array([1.0, 0.5, 0.01]) ** 2 * 0.99), mu.shape)
activity = mu.var(0)
active = (activity > 0.01).sum()
free = jnp.maximum(0.5, kl(mu, sigma).mean(0)).sum()

from gen.distributions.elementary import Normal, kl_normal, standard_normal
from gen.evaluation.latents import active_units
assert jnp.allclose(kl(mu, sigma), kl_normal(Normal(mu, jnp.log(sigma)), standard_normal(mu.shape)), atol=1e-5)
assert active_units(mu) == active == 2
print("activity:", activity, "KL of each latent:", kl(mu, sigma).mean(0), "with free bits:", free)
```

## Turn the knob

A schedule moves the weight of the KL; its `steps` are $T$:

```bash
python scripts/train.py --config=experiments/vae/digits.py --config.schedules.kl_weight.name=warm_up \
    --config.schedules.kl_weight.steps=2000
python scripts/train.py --config=experiments/vae/digits.py --config.objective.name=free_bits
```

## Exercises

1. The encoder of a latent is the prior for every example. What is its gradient with respect to $\mu$ from the KL term,
   and what from the reconstruction if the decoder ignores the latent?

<details><summary>Answer</summary>

Both are 0: $\partial \mathrm{KL} / \partial \mu = \mu = 0$, and a decoder that ignores $z_i$ does not depend on it.

```python
assert jax.grad(lambda mu: kl(mu, 1.0))(0.0) == 0
```

</details>

2. With free bits of $\lambda = 0.5$ nats, how far from the prior may the mean of a latent with $\sigma = 1$ move at no
   cost?

<details><summary>Answer</summary>

$\mu^2 / 2 \le 1/2$, so $|\mu| \le 1$.

```python
assert jnp.isclose(kl(1.0, 1.0), 0.5)
```

</details>
"""

import numpy as np

from gen.data import load
from gen.evaluation.latents import active_units, activity
from gen.figures.curves import COLOURS, by_kind, series
from gen.figures.panels import INK, legends, panels, ticks
from gen.lecture import Lesson, Training, short, trained
from gen.objectives.bounds import Terms, elbo
from gen.run_folder import read_metrics

TITLE = "Posterior collapse"
SHOWS = (elbo, Terms.tempered, active_units)

STEPS = 2_000
DEEP = {"encoder.hidden": (128, 128, 128), "decoder.hidden": (128, 128, 128), "optimizer.learning_rate": 3e-3,
        **short(STEPS, log_every=50, evaluate_every=100)}
WARM_UP = {"schedules.kl_weight.name": "warm_up", "schedules.kl_weight.steps": STEPS // 2}
RUNS = {"ELBO": Training("vae/digits.py", DEEP),
        "KL warm-up": Training("vae/digits.py", DEEP | WARM_UP)}


def run(folder, **changes) -> Lesson:
    """Trains a deep VAE on digits without and with warm-up; counts its active latents."""
    models = trained(RUNS, folder, **changes)
    rows = {name: read_metrics(model.workdir) for name, model in models.items()}
    numbers, means = {}, {}
    for name, model in models.items():
        last = next(row for row in reversed(rows[name]) if row["kind"] == "eval")
        means[name] = model.encode(model.decoded(load(model.config.data).test)["x"]).loc
        numbers |= {f"{name}: active latents": active_units(means[name])}
        numbers |= {f"{name}: {key} of test images, nats": last[key] for key in ("kl", "elbo")}
    (plain, _, plain_elbo), (warm, _, warm_elbo) = (list(numbers.values())[i:i + 3] for i in (0, 3))
    claim = "Of 10 latents at most 4 are active without warm-up and at least 8 with it, and the ELBO is higher with it."
    picture = draw(rows, {name: np.sort(np.asarray(activity(loc)))[::-1] for name, loc in means.items()})
    return Lesson(picture, numbers, claim, bool(plain <= 4 and warm >= 8 and warm_elbo > plain_elbo))


def draw(rows, activities):
    """KL and ELBO over training, and the activity of each latent at the end."""
    figure, (left, middle, right) = panels(["KL to the prior, nats", "ELBO, test images, nats", "activity at the end"])
    for i, ((name, own), colour) in enumerate(zip(rows.items(), COLOURS, strict=False)):
        kinds = by_kind(own)
        left.plot(*series(kinds["train"], "kl"), color=colour, linewidth=1.4, label=name)
        middle.plot(*series(kinds["eval"], "elbo"), color=colour, linewidth=1.4, label=name)
        place = np.arange(len(activities[name])) + 1 + 0.4 * (i - 0.5)
        right.bar(place, activities[name], 0.38, color=colour, label=name)
    right.axhline(0.01, color=INK, linewidth=0.9, linestyle=":")
    right.set(yscale="log", ylim=(1e-4, 30), xlabel="latent, the most active first", xticks=(1, 4, 7, 10))
    ticks(right.yaxis, (1e-3, 1e-2, 0.1, 1, 10))
    middle.set(xlabel="step", ylim=(-27, None))
    left.set(xlabel="step", ylim=(0, 12))
    legends([left, middle, right])
    return figure
