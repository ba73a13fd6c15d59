r"""A generator is asked for examples that look real, not for all of them. It may put its whole mass on a few modes of
the data. When the discriminator has learned that, the generator moves on to others.

**After this chapter** you can recognise mode collapse in samples and in a number, say where it comes from, and name
its cures.

**You need** the game of a GAN and its best discriminator.

## Where it comes from

The game asks for a generator that is best against the best discriminator. Training takes turns instead: the generator
climbs to where the discriminator of the moment is most easily fooled. For a fixed discriminator the best answer is a
single point, so all samples gather there. The discriminator then learns to reject that point, and the samples hop to
the next one (Metz et al. 2017).

On a mixture of $K$ modes the loss can be counted. A sample is good if it is within three standard deviations of the
mean that is nearest to it. A mode is covered if, of 2,500 samples, at least one good one is nearest to its mean. With
$\hat{p}_k$, the share of good samples at mode $k$, the divergence from even shares is

$$\mathrm{KL} = \sum_k \hat{p}_k \log(K \hat{p}_k)$$

## Cures

- **A discriminator that keeps up**: as large a learning rate as the generator's, or several steps to one.
- **R1** charges the discriminator for its slope at real examples (Mescheder et al. 2018, equation 9): the slope of the
  logit $\ell(x)$. With $\nabla_x$, the gradient in the example, and a weight $\gamma$ the discriminator's loss, $-V$,
  gains

$$\frac{\gamma}{2} \, \mathbb{E}_{x \sim p} \, \| \nabla_x \ell(x) \|^2$$

- **Packing** lets the discriminator judge several examples at once (Lin et al. 2018). A pack of samples that are all
  alike does not look like a pack of data.
- **Unrolling** lets the generator foresee some steps of the discriminator (Metz et al. 2017).

## Predict, then look

The data is a ring of eight Gaussians. The discriminator's learning rate is a tenth of the generator's, so it lags
behind. The generator's samples are drawn at six steps of training. Will they cover more modes as training goes on?

{figure}

The first six panels show samples over the means of the modes (crosses). They gather at one place, and later at another.
The next panel follows the number of covered modes. The last ones show samples at the end of the same GAN with a cure.
Equal rates keep all eight modes; with packing alone the count still falls at times.

## In twenty lines

```python
import jax
import jax.numpy as jnp
import numpy as np

angle = 2 * jnp.pi * jnp.arange(8) / 8
means, std = jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1), 0.05
which = jnp.array([0, 0, 0, 3, 3, 3, 3, 5])  # a collapsed generator: three modes of eight
x = means[which] + std * jax.random.normal(jax.random.key(0), (8, 2))
x = x.at[5].set(0.0)  # and a sample that is near no mode

distance = jnp.linalg.norm(x[:, None] - means, axis=-1)
good = distance.min(1) < 3 * std
counts = jnp.bincount(distance.argmin(1)[good], length=8)
covered, share = (counts > 0).sum(), counts / counts.sum()
kl = jnp.where(share > 0, share * jnp.log(8 * share + 1e-30), 0.0).sum()

from gen.evaluation.modes import coverage
library = coverage(np.asarray(x), np.asarray(means), std)
assert library.modes == covered == 3 and np.isclose(library.high_quality, good.mean())
assert np.isclose(library.reverse_kl, kl, atol=1e-5)
print("covered:", covered, "good:", good.mean(), "KL from even shares:", kl)
```

## Turn the knob

Let the generator foresee 5 steps of the discriminator:

```bash
python scripts/train.py --config=experiments/gan/ring.py --config.penalties.r1=false --config.unrolled_steps=5
```

## Exercises

1. A generator covers 4 of 8 modes evenly. What is the KL from even shares over all 8?

<details><summary>Answer</summary>

$\sum_k \frac{1}{4} \log(8 / 4) = \log 2 \approx 0.69$ nats.

```python
from gen.evaluation.modes import reverse_kl
assert np.isclose(reverse_kl(np.array([5, 5, 5, 5, 0, 0, 0, 0])), np.log(2))
```

</details>

2. The probability that data puts two of its samples into the same one of 8 modes is 1/8. How likely are four samples
   of data all in one mode? What follows for packing?

<details><summary>Answer</summary>

$(1/8)^3 = 1/512$. A pack of four samples in one mode is nearly always fake, so a discriminator that sees packs rejects
a collapsed generator with ease.

```python
draws = jax.random.randint(jax.random.key(1), (400_000, 4), 0, 8)
assert abs((draws == draws[:, :1]).all(1).mean() - 1 / 512) < 4e-4
```

</details>
"""

import numpy as np

from gen import runs
from gen.data import mixtures
from gen.evaluation.modes import coverage, modes
from gen.figures.curves import COLOURS, by_kind, series
from gen.figures.panels import INK, legends, panels
from gen.figures.points import SAMPLE_COLOUR
from gen.lecture import Lesson, Training, short, trained
from gen.objectives.penalties import PENALTIES
from gen.run_folder import read_metrics

TITLE = "Mode collapse"
SHOWS = (coverage, modes, PENALTIES["r1"])
NARROW_COLUMNS = 2

STEPS, EVERY, FRAMES = 1_800, 100, 6
SMALL = {"generator.hidden": (64, 64), "discriminator.hidden": (64, 64), "ema_half_life": 0.0, "data.std": 0.05,
         "generator_optimizer.learning_rate": 1e-3, "generator_optimizer.b1": 0.5, "discriminator_optimizer.b1": 0.5,
         "train.batch_size": 128, **short(steps=STEPS, log_every=EVERY, evaluate_every=EVERY),
         "train.checkpoint_every": STEPS // FRAMES, "train.keep": FRAMES}
LAGS = {"discriminator_optimizer.learning_rate": 1e-4}
NO_PENALTY = {"penalties.r1": False}
RUNS = {
    "GAN": Training("gan/ring.py", SMALL | LAGS | NO_PENALTY),
    "equal rates": Training("gan/ring.py", SMALL | NO_PENALTY | {"discriminator_optimizer.learning_rate": 1e-3}),
    "packing 4": Training("gan/ring.py", SMALL | LAGS | NO_PENALTY | {"packing": 4}),
}
SAMPLES = 2_500


def run(folder, cures=("equal rates", "packing 4"), **changes) -> Lesson:
    """Trains the GAN and its cures; counts the modes of each over training."""
    models = trained({name: RUNS[name] for name in ("GAN", *cures)}, folder, **changes)
    curves = {name: series(by_kind(read_metrics(model.workdir))["eval"], "modes") for name, model in models.items()}
    states = {step: runs.load(models["GAN"].workdir, step) for step in curves["GAN"].steps.tolist()
              if step % (STEPS // FRAMES) == 0}
    frames = {step: np.asarray(model.sample(SAMPLES)) for step, model in states.items()}
    found = {step: hits(x) for step, x in frames.items()}
    middle = {name: curve.values[len(curve.values) // 4:3 * len(curve.values) // 4] for name, curve in curves.items()}
    collapsed = middle["GAN"]
    visited, most = set().union(*found.values()), max(map(len, found.values()))
    numbers = {"GAN: modes, least of the middle half": collapsed.min(), "GAN: modes, median of the middle half":
               np.median(collapsed), "GAN: modes, most of the middle half": collapsed.max(),
               "GAN: most modes in one of the six frames": most, "GAN: different modes over all frames": len(visited)}
    numbers |= {f"{name}: modes, median of the middle half": np.median(middle[name]) for name in cures}
    claim = (f"In the middle half of training the GAN covers 1 to 3 of 8 modes, the median of {len(collapsed)} counts, "
             "and never all. It hops: the six frames together show more modes than any of them. With equal learning "
             "rates it covers all 8 at every count; with packing more than twice as many as without, at the median.")
    holds = (1 <= np.median(collapsed) <= 3 and collapsed.max() < 8 and len(visited) > most
             and middle["equal rates"].min() == 8
             and min(np.median(middle[name]) for name in cures) > 2 * np.median(collapsed))
    cured = {name: np.asarray(models[name].sample(SAMPLES)) for name in cures}
    return Lesson(draw(frames, found, curves, cured), {k: float(v) for k, v in numbers.items()}, claim, bool(holds))


def hits(x) -> set[int]:
    """The modes that have a good sample."""
    means, std = mixtures.components({"name": "ring", "std": SMALL["data.std"]})
    distances = np.linalg.norm(x[:, None] - means, axis=-1)
    return set(distances.argmin(1)[distances.min(1) <= 3 * std].tolist())


def draw(frames, found, curves, cured):
    """Samples at six steps, the modes over training, and samples with each cure."""
    titles = [f"step {step:,}: {len(found[step])} of 8" for step in frames]
    figure, axes = panels([*titles, "covered modes", *(f"{name}: {len(hits(x))} of 8" for name, x in cured.items())],
                          height=265, columns=3)
    means, _ = mixtures.components({"name": "ring"})
    for panel, x in zip([*axes[:len(frames)], *axes[len(frames) + 1:]], [*frames.values(), *cured.values()],
                        strict=True):
        panel.scatter(*x.T, s=3, c=SAMPLE_COLOUR, linewidths=0, alpha=0.5)
        panel.scatter(*means.T, s=22, c=INK, marker="x", linewidths=0.9)
        panel.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
    for (name, curve), colour in zip(curves.items(), (COLOURS[1], *COLOURS[:1], *COLOURS[2:]), strict=False):
        axes[len(frames)].plot(*curve, color=colour, linewidth=1.4, label=name)
    axes[len(frames)].set(ylim=(-0.2, 13.5), yticks=range(0, 9, 2), xlabel="step")
    legends([axes[len(frames)]], loc="upper right")
    return figure
