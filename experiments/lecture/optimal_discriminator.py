r"""A generator $G$ turns latents into examples. A discriminator $D$ tells examples of the data from those of the
generator. Both players share one value function: the discriminator climbs it, the generator descends it. No density is
ever written down, and yet the best discriminator measures how far two densities are apart.

**After this chapter** you can write down the game of a GAN, derive its best discriminator, and say which divergence the
generator descends.

**You need** expectations, the Jensen-Shannon divergence, and latents mapped to data.

## The game

$$V(D, G) = \mathbb{E}_{x \sim p} \log D(x) + \mathbb{E}_{z} \log(1 - D(G(z)))$$

$D(x)$ is the probability that the discriminator gives to "this is data". Its network computes any number $\ell$, the
**logit**, and $D = \sigma(\ell)$ with the logistic function $\sigma(t) = 1 / (1 + e^{-t})$; so $1 - D = \sigma(-\ell)$.
Both players are networks, and they take turns: a step of the discriminator up, a step of the generator down. The
expectations are estimated at each step by a **batch**, a few examples that are drawn afresh (Goodfellow et al. 2014,
algorithm 1). This is a generative adversarial network, GAN.

## The best discriminator

Hold the generator fixed, and let $q$ be the density of its samples. The best discriminator compares two densities:

$$D^*(x) = \frac{p(x)}{p(x) + q(x)}$$

Its value is a divergence, up to a constant:

$$V(D^*, G) = 2 \, \mathrm{JSD}(p, q) - \log 4$$

<details><summary>Step by step: D*</summary>

1. Write both expectations as integrals: $V = \int p(x) \log D(x) + q(x) \log(1 - D(x)) \, dx$.
2. $D(x)$ may be chosen at each $x$ on its own. So maximise $a \log d + b \log(1 - d)$ in $d$, with $a = p(x)$ and
   $b = q(x)$.
3. The derivative is $a / d - b / (1 - d)$. It is 0 at $d = a / (a + b)$.
4. The second derivative is negative, so this is the maximum.

</details>

<details><summary>Step by step: 2 JSD - log 4</summary>

1. Insert $D^*$: $V = \mathbb{E}_p \log \frac{p}{p + q} + \mathbb{E}_q \log \frac{q}{p + q}$.
2. With $m = (p + q) / 2$ we have $p + q = 2 m$, so each logarithm is $\log \frac{p}{m} - \log 2$, and the same with
   $q$.
3. $V = \mathrm{KL}(p \,\|\, m) + \mathrm{KL}(q \,\|\, m) - 2 \log 2$.
4. The two divergences are $2 \, \mathrm{JSD}$ by definition, and $2 \log 2 = \log 4$.

</details>

So a generator that answers the best discriminator descends the JSD. The least value is $-\log 4 \approx -1.386$, where
$q = p$ and $D = 1/2$ everywhere.

## Predict, then look

A discriminator trains against a generator that never moves. Can its value pass $2 \, \mathrm{JSD} - \log 4$? Where is
the trained discriminator most likely to be wrong?

{figure}

On the line both densities are known, so the trained network can be compared with $D^*$. The second panel follows its
value. It rises towards the bound and never passes it. In this picture the trained network is wrong at the edges of the
generator's samples, where $D^*$ jumps, and a little in the middle. Farther out neither density has mass, so nothing
tells a network what to answer there.

## In twenty lines

```python
import jax
import jax.numpy as jnp
import numpy as np

x = jnp.linspace(-6, 6, 1_201)
width = x[1] - x[0]
p = jnp.exp(-((x - 1) ** 2) / 2) / jnp.sqrt(2 * jnp.pi) * width
q = jnp.exp(-((x + 1) ** 2) / 2) / jnp.sqrt(2 * jnp.pi) * width

def value(logits):
    '''V of a discriminator that has a free logit at each place.'''
    return (p * jax.nn.log_sigmoid(logits) + q * jax.nn.log_sigmoid(-logits)).sum()

logits = jnp.zeros_like(x)
climb = jax.jit(lambda logits: logits + 2.0 / (p + q + 1e-4) * jax.grad(value)(logits))
for _ in range(2_000):
    logits = climb(logits)

from gen.probability.divergences import jensen_shannon
best = 2 * jensen_shannon(np.float64(p), np.float64(q)) - np.log(4)
assert abs(value(logits) - best) < 1e-3
there = (p + q) > 1e-3
assert jnp.allclose(jax.nn.sigmoid(logits)[there], (p / (p + q))[there], atol=0.01)
print("value:", value(logits), "bound:", best)
```

## Turn the knob

Let both players move, with one step of the discriminator for each step of the generator in place of five. Look at the
gap between the value and the bound in the log:

```bash
python scripts/train.py --config=experiments/gan/one_d.py --config.critic_steps=1
```

## Exercises

1. What is $D^*$ for $p = \mathcal{N}(1, 1)$ and $q = \mathcal{N}(-1, 1)$? Simplify it.

<details><summary>Answer</summary>

$p / q = e^{2x}$, so $D^*(x) = 1 / (1 + e^{-2x}) = \sigma(2x)$: a logit that is linear in $x$.

```python
assert jnp.allclose((p / (p + q))[there], jax.nn.sigmoid(2 * x)[there], atol=1e-5)
```

</details>

2. The discriminator always says $1/2$. What is its value, whatever the generator does?

<details><summary>Answer</summary>

$\log \frac{1}{2} + \log \frac{1}{2} = -\log 4$. So every best discriminator has at least this value.

```python
assert jnp.isclose(value(jnp.zeros_like(x)), -jnp.log(4), atol=1e-4)
```

</details>
"""

import numpy as np

from gen.evaluation import optimal
from gen.figures.curves import COLOURS, series
from gen.figures.panels import INK, legends, panels, second_scale
from gen.figures.points import DATA_COLOUR, SAMPLE_COLOUR
from gen.lecture import Lesson, Training, short, subject, trained
from gen.probability.densities import pushforward
from gen.probability.divergences import jensen_shannon
from gen.run_folder import read_metrics

TITLE = "The best discriminator"
SHOWS = (optimal.optimal_discriminator, optimal.game_value, jensen_shannon, pushforward)
RUNS = {"fixed generator": Training("gan/one_d.py:fixed", short(steps=1_000, log_every=50, evaluate_every=50))}


def run(folder, bound: float = 0.03, **changes) -> Lesson:
    """Trains the discriminator alone; compares it with the best one."""
    model = trained(RUNS, folder, **changes)["fixed generator"]
    found = subject(model)
    numbers = optimal.optimal_discriminator(found)
    claim = f"The trained discriminator's value is below 2 JSD - log 4, as any other's, by less than {bound:g} nats."
    picture = draw(optimal.line(found), [row for row in read_metrics(model.workdir) if row["kind"] == "eval"])
    return Lesson(picture, numbers, claim, bool(0 <= numbers["gap"] < bound))


def draw(game, rows):
    """Densities with both discriminators, and the value while the discriminator trains."""
    figure, (left, right) = panels(["densities, and the discriminators over them", "value of the game"])
    x, width, either = game.centres, np.diff(game.edges), game.data + game.generator
    left.fill_between(x, game.data / width, color=DATA_COLOUR, alpha=0.45, linewidth=0, label="data p")
    left.fill_between(x, game.generator / width, color=SAMPLE_COLOUR, alpha=0.45, linewidth=0, label="generator q")
    left.set(xlim=(-3, 3), ylim=(0, 1.6), xlabel="x", ylabel="density")
    other = second_scale(left)
    best = np.where(either > 1e-12, game.data / np.maximum(either, 1e-12), np.nan)
    other.plot(x, best, color=INK, linewidth=1.2, linestyle="--", label="best D")
    other.plot(x, 1 / (1 + np.exp(-game.logits)), color=COLOURS[0], linewidth=1.4, label="trained D")
    other.set(ylim=(-0.02, 1.02))
    steps, values = series(rows, "value")
    right.plot(steps, values, color=COLOURS[0], linewidth=1.4, label="trained D")
    right.axhline(rows[-1]["optimal_value"], color=INK, linewidth=1.0, linestyle="--", label="2 JSD - log 4")
    right.axhline(-np.log(4), color=DATA_COLOUR, linewidth=1.0, linestyle=":", label="-log 4: D = 1/2, or q = p")
    right.set(xlabel="step", ylabel="nats")
    legends([left, other, right])
    other.get_legend().set_loc("upper right")
    left.get_legend().set_loc("upper left")
    return figure
