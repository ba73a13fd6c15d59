r"""The better the discriminator is, the less the generator learns from it, wherever data and samples hardly overlap.
A generator that descends $V$ can even stop moving. Another loss keeps it alive. It has the same equilibrium, the state
in which neither player gains by moving: $q = p$ and $D = 1/2$.

**After this chapter** you can compute the gradient of both generator losses, and recognise a dead generator in a log.

**You need** the best discriminator, and the chain rule.

## Two losses of the generator

A discriminator turns its logit $\ell$ into a probability, $D = \sigma(\ell)$ with $\sigma(t) = 1 / (1 + e^{-t})$. The
generator can descend $\log(1 - D)$, its side of the value of the game (the **minimax** loss), or $-\log D$ (the
**non-saturating** loss). Their derivatives in the logit of a generated example are

$$\frac{d}{d \ell} \log(1 - \sigma(\ell)) = -\sigma(\ell)$$

$$\frac{d}{d \ell} \left( -\log \sigma(\ell) \right) = -(1 - \sigma(\ell))$$

Both push the logit up. When the discriminator is sure that an example is fake, $\sigma(\ell)$ tends to 0: the first
gradient vanishes, the second tends to $-1$.

<details><summary>Step by step: both gradients</summary>

1. $\log(1 - \sigma(\ell)) = -\log(1 + e^\ell)$. Its derivative is $-e^\ell / (1 + e^\ell) = -\sigma(\ell)$.
2. $-\log \sigma(\ell) = \log(1 + e^{-\ell})$. Its derivative is $-e^{-\ell} / (1 + e^{-\ell}) = -(1 - \sigma(\ell))$.
3. The generator's parameters $\theta$ enter through $\ell = \ell(G_\theta(z))$. By the chain rule both gradients are
   multiplied by the same $\nabla_\theta \ell$, so only the factors above differ.

</details>

Why is the discriminator so sure? If data and samples have no point in common, the JSD is $\log 2$ however near they are
to each other (Arjovsky & Bottou 2017, theorems 2.1 and 2.4). It has no slope that could point the generator towards the
data. R1, from the chapter before, charges the discriminator for its slope at the data, and so keeps it from becoming
that sure (Mescheder et al. 2018).

## Predict, then look

The generator stays a blob in the middle of a ring of narrow Gaussians, and the discriminator trains for 1,000 steps. By
what factor does the gradient through $\log(1 - D)$ change? And the one through $-\log D$?

{figure}

The first panel shows the norms of both gradients, without a penalty and with R1. The second shows the mean logit of
generated examples. Without a penalty the first gradient becomes more than a thousand times smaller. The gradient
through $-\log D$ grows: its factor $1 - \sigma(\ell)$ stays near 1, and the discriminator becomes steeper, so
$\nabla_\theta \ell$ grows.

## In twenty lines

```python
import jax
import jax.numpy as jnp

def saturating(logit):
    return jnp.log(1 - jax.nn.sigmoid(logit))

def non_saturating(logit):
    return -jnp.log(jax.nn.sigmoid(logit))

logits = jnp.linspace(-8, 4, 13)
first = jax.vmap(jax.grad(saturating))(logits)
second = jax.vmap(jax.grad(non_saturating))(logits)

from gen.objectives import adversarial
for mine, library in ((first, adversarial.saturating), (second, adversarial.non_saturating_generator)):
    theirs = jax.grad(lambda fake: library(jnp.zeros_like(fake), fake).sum())(logits)
    assert jnp.allclose(mine, theirs, atol=1e-5)
for logit, a, b in zip(logits, first, second):
    print(f"logit {logit:5.1f}: {a:8.4f} {b:8.4f}")
```

## Turn the knob

The weight of R1 decides how sure the discriminator can become:

```bash
python scripts/train.py --config=experiments/gan/ring.py --config.penalties.r1.weight=0.001
```

The same measurement on images is `experiments/gan/arjovsky_bottou.py`. There the gradient falls 800-fold in 1,000
steps.

## Exercises

1. At which logit do both losses have the same gradient?

<details><summary>Answer</summary>

$\sigma(\ell) = 1 - \sigma(\ell)$ at $\ell = 0$, where $D = 1/2$: both gradients are $-1/2$.

```python
assert jnp.isclose(jax.grad(saturating)(0.0), -0.5) and jnp.isclose(jax.grad(non_saturating)(0.0), -0.5)
```

</details>

2. The log of a GAN shows `fake_accuracy` 1.0, `fake_logits` -25, `generator_gradient_saturating` 2e-10 and
   `generator_gradient_non_saturating` 14. What do you change first?

<details><summary>Answer</summary>

The discriminator wins everywhere. With the saturating loss the generator is dead, so use the non-saturating loss, and
add R1 or a smaller learning rate for the discriminator. The ratio of both gradients is about $e^{-25}$:

```python
ratio = jax.nn.sigmoid(-25.0) / (1 - jax.nn.sigmoid(-25.0))
assert jnp.isclose(ratio, jnp.exp(-25.0), rtol=1e-3) and abs(2e-10 / 14 / ratio - 1) < 0.1
```

</details>
"""

from gen.evaluation.diagnosis import dead_generator
from gen.figures.curves import COLOURS, series
from gen.figures.panels import INK, legends, panels
from gen.lecture import Lesson, Training, short, trained
from gen.objectives.adversarial import non_saturating_generator, saturating
from gen.objectives.penalties import PENALTIES
from gen.run_folder import read_metrics

TITLE = "The dead generator"
SHOWS = (saturating, non_saturating_generator, PENALTIES["r1"], dead_generator)

FIXED = {"loss.name": "minimax", "data.radius": 4.0, "generator_optimizer.learning_rate": 0.0,
         "discriminator_optimizer.learning_rate": 3e-3, "ema_half_life": 0.0,
         "generator.hidden": (64, 64), "generator.activation": "tanh", "discriminator.hidden": (64, 64),
         "train.batch_size": 128, **short(steps=1_000, log_every=20)}
RUNS = {"no penalty": Training("gan/ring.py", FIXED | {"penalties.r1": False}),
        "R1": Training("gan/ring.py", FIXED | {"penalties.r1.weight": 10.0})}


def run(folder, **changes) -> Lesson:
    """Trains a discriminator against a fixed generator, without and with R1; follows the generator's gradients."""
    rows = {name: read_metrics(model.workdir) for name, model in trained(RUNS, folder, **changes).items()}
    ends = {name: {side: series(own, f"generator_gradient_{side}").values for side in ("saturating", "non_saturating")}
            for name, own in rows.items()}
    falls = {name: {side: values[-1] / values[0] for side, values in own.items()} for name, own in ends.items()}
    numbers = {f"{name}, {side.replace('_', '-')}: last over first": value
               for name, own in falls.items() for side, value in own.items()}
    numbers |= {f"{name}: accuracy on fakes": series(own, "fake_accuracy").values[-1] for name, own in rows.items()}
    plain = falls["no penalty"]
    holds = plain["saturating"] < 1e-3 and plain["non_saturating"] > 1 and falls["R1"]["saturating"] > 1e-2
    claim = ("The gradient through log(1 - D) falls more than 1,000-fold, while the one through -log D grows. With R1 "
             "the first keeps more than a hundredth of its size.")
    return Lesson(draw(rows), numbers, claim, bool(holds))


def draw(rows):
    """Gradient norms of both losses, and what the discriminator thinks of fakes."""
    figure, (left, right) = panels(["norm of the generator's gradient", "mean logit of fakes"])
    for (name, own), line in zip(rows.items(), ("-", "--"), strict=True):
        for side, label, colour in (("saturating", "log(1 - D)", COLOURS[1]), ("non_saturating", "-log D", COLOURS[0])):
            steps, values = series(own, f"generator_gradient_{side}")
            left.semilogy(steps, values, color=colour, linestyle=line, linewidth=1.4, label=f"{label}, {name}")
        steps, values = series(own, "fake_logits")
        right.plot(steps, values, color=INK, linestyle=line, linewidth=1.4, label=name)
    left.set(xlabel="step of the discriminator")
    right.set(xlabel="step of the discriminator")
    legends([left, right])
    return figure
