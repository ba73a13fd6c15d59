r"""A training that fails seldom says so. It ends, its files are there, and the samples are bad. The reason is in the
log for those who know which of its numbers to read. Here are six sick runs. Name what is wrong with each before you
unfold the answer.

**After this chapter** you can recognise six failures by their curves and samples, prove each by one number, and say
what to change.

**You need** the chapters on the GAN's failures (collapse, the dead generator) and on the VAE (the ELBO, posterior
collapse).

## Six things that go wrong

Three of them happen to GANs:

- **Mode collapse**: the generator covers a few modes of the data and leaves out the others.
- **A dead generator**: the discriminator is sure of every example, and the generator's gradient is 0.
- **An exploding critic**: a Wasserstein GAN has no probability $D(x)$ but a **critic** $f$, whose output may be any
  number. It climbs $\mathbb{E}_{x \sim p} f(x) - \mathbb{E}_z f(G(z))$, and the generator descends that. If the slope
  of $f$ is at most 1, the largest value is the Wasserstein distance. If nothing bounds the slope, a steeper critic is
  always better: its outputs grow, and all gradients grow with them (Arjovsky et al. 2017).

The other three happen to VAEs:

- **A vanished KL**: the encoder answers with the prior for every example, so the latents carry nothing.
- **Memorised data**: the model repeats its training images and knows no others.
- **A wrong scale of the KL**: one term of the ELBO is averaged where the other is summed.

The last one is a common mistake in code. An image of $n$ pixels has a log-likelihood that is a sum over the
pixels, and the KL is a sum over the latents. If one of the two is divided by $n$, the run climbs

$$\mathcal{L}_\beta = \mathbb{E}_q \log p(x \mid z) - \beta \, \mathrm{KL}(q(z \mid x) \,\|\, p(z))$$

with $\beta = 1 / n$ if the KL was divided. If the log-likelihood was divided, it climbs $\mathcal{L}_\beta / n$ with
$\beta = n$. Only $\beta = 1$ gives the ELBO.

Memorising shows first in the bound: the ELBO of training images rises, and that of test images, which the model has
never seen, falls. The samples have a number too. Let $d(x)$ be the distance of an image $x$ from the training image
that is nearest to it. Compare samples $x$ with test images $x'$:

$$C = P(d(x) < d(x'))$$

It is 1/2 for samples that are as new as test images, and near 1 for copies (Meehan et al. 2020). Compare like with
like: the digits here are black and white. The decoder gives the probability of white for each pixel, so $C$ is that of
samples whose pixels are drawn with these probabilities. A grey mean image lies nearer to most digits than another digit
does, although it copies none.

## Predict, then look

Each failure occurs once. The curves have logarithmic scales.

- **Runs A, B and C are GANs** on a ring of eight Gaussians, whose means are the crosses. Their curves are the norms of
  both players' gradients, and the mean size of a logit, which for a Wasserstein GAN is the critic's output.
- **Runs D, E and F are VAEs** of digits. Their curves are minus the ELBO of training images and of test images, and the
  KL (at least 0.1, for the logarithm). In the pictures each row of samples has a row below it: the training image
  nearest to each sample.

Which run has which failure?

{figure}

<details><summary>Run A</summary>

**An exploding critic.** Its output and the generator's gradient grow to thousands, and no end is in sight. The
generator's steps throw its samples about the ring and beyond it. Nothing bounds the critic's slope. Cure: a penalty on
the slope, such as R1, or clipped weights: after each step all weights are cut to a small interval.

</details>

<details><summary>Run B</summary>

**Mode collapse.** All gradients are of an ordinary size, so nothing is dead, and nothing explodes. But the samples lie
on one side: they reach one of the eight crosses. The discriminator's learning rate is a tenth of the generator's. With
five seeds the samples reached 1, 1, 6, 1 and 1 modes, as the median over the second half. Cure: equal rates, R1,
packing.

</details>

<details><summary>Run C</summary>

**A dead generator.** The discriminator is right on every example, and the gradient through $\log(1 - D)$ falls towards
0. The samples stay in the middle, where they began. Cure: the non-saturating loss, R1, a slower discriminator.

</details>

<details><summary>Run D</summary>

**Memorised data.** The curves part: the ELBO of training images rises to the end, that of test images falls after the
first steps. Many samples are worn copies of the image below them. The model had 100 training images. Cure: more data, a
smaller network, or an end of training where the ELBO of test images is best.

</details>

<details><summary>Run E</summary>

**A wrong scale of the KL**, $\beta = 1 / 784$. The KL is over 100 nats, because it costs next to nothing. The encoder
puts its latents far from the prior: their mean square is about 15, that of the prior is 1. So samples of the prior are
latents that the decoder has never seen. The true ELBO is even lower than that of run F, which ignores its latents.
Cure: sum both terms.

</details>

<details><summary>Run F</summary>

**A vanished KL.** It is 0 from the first hundred steps on, and all samples are the same mean image. A learning rate
thirty times the usual has driven the encoder to the prior in the first steps, and no gradient leads back. Cure: a
smaller learning rate, a warm-up of the KL, free bits.

</details>

## In twenty lines

The number $C$ for a model that repeats its training data, and for one that does not:

```python
import jax
import jax.numpy as jnp
import numpy as np

keys = jax.random.split(jax.random.key(0), 4)
train, test, fresh = (jax.random.normal(key, (n, 2)) for key, n in zip(keys, (50, 1_000, 1_000)))
copies = train[jnp.arange(1_000) % 50] + 0.01 * jax.random.normal(keys[3], (1_000, 2))

def d(x):
    '''The distance of each example from the nearest training example.'''
    return jnp.linalg.norm(x[:, None] - train, axis=-1).min(1)

def nearer(x):
    '''C: over all pairs of a sample and a test example.'''
    return (d(x)[:, None] < d(test)).mean()

from gen.evaluation.memorization import copying, nearest
for x in (copies, fresh):
    distances = (nearest(np.asarray(v), np.asarray(train)).distance for v in (x, test))
    assert np.isclose(copying(*distances)["nearer"], nearer(x), atol=1e-3)
assert nearer(copies) > 0.9 and abs(nearer(fresh) - 0.5) < 0.05
print("copies:", nearer(copies), "fresh examples:", nearer(fresh))
```

## Turn the knob

R1 bounds the critic's slope, at real examples. How small can its weight become before the critic explodes? Look at
`real_logits` in the log.

```bash
python scripts/train.py --config=experiments/gan/ring.py --config.loss.name=wasserstein --config.penalties.r1.weight=1
```

## Exercises

1. Somebody writes the loss of a VAE as the mean squared error over the 784 pixels plus the KL summed over the latents.
   Which $\beta$ is that, and which of the six pictures will come out?

<details><summary>Answer</summary>

The sum of squared errors is 784 times the mean. So 784 times this loss is the sum of squared errors plus 784 times the
KL. For normal pixels with $s^2 = 1/2$ the sum of squared errors is $-\log p(x \mid z)$, up to a constant: then $\beta =
784$. For another $s$ it is $784 / (2 s^2)$. The latents are far too expensive, and the KL vanishes as in run F.

```python
x, f, kl = jnp.linspace(0, 1, 784), lambda w: w * jnp.ones(784), lambda w: w**2
written = jax.grad(lambda w: jnp.square(x - f(w)).mean() + kl(w))(0.3)
meant = jax.grad(lambda w: jnp.square(x - f(w)).sum() + 784 * kl(w))(0.3)
assert jnp.isclose(784 * written, meant, rtol=1e-4)
```

</details>

2. Two logs of GANs. One has `real_accuracy` 1.0, `fake_accuracy` 1.0 and `generator_gradient_norm` 3e-7. The other has
   `real_accuracy` 0.7, `fake_accuracy` 0.6 and `diversity` 0.05: the samples spread 0.05 times as far as the data.
   What is wrong with each?

<details><summary>Answer</summary>

The first generator is dead. The second one has collapsed: its discriminator is not sure, but its samples are all alike.

```python
from gen.evaluation.diagnosis import diagnose
(first,) = diagnose({"real_accuracy": 1.0, "fake_accuracy": 1.0, "generator_gradient_norm": 3e-7})
(second,) = diagnose({"real_accuracy": 0.7, "fake_accuracy": 0.6, "diversity": 0.05})
assert first.startswith("dead generator") and second.startswith("mode collapse")
```

</details>
"""

from collections.abc import Mapping

import jax
import numpy as np

from gen.data import load, mixtures
from gen.evaluation.diagnosis import diagnose
from gen.evaluation.latents import active_units
from gen.evaluation.memorization import copying, nearest
from gen.evaluation.modes import coverage
from gen.figures.curves import COLOURS, by_kind, series
from gen.figures.grids import image_grid
from gen.figures.panels import INK, legends, panels
from gen.figures.points import SAMPLE_COLOUR
from gen.lecture import Lesson, Training, short, trained
from gen.objectives.bounds import elbo
from gen.run_folder import read_metrics

TITLE = "Which failure is this?"
SHOWS = (diagnose, copying, coverage, active_units, elbo)
NARROW_COLUMNS = 2

PIXELS = 784
RING = {"generator.hidden": (64, 64), "discriminator.hidden": (64, 64), "ema_half_life": 0.0, "data.std": 0.05,
        "penalties.r1": False, "generator_optimizer.b1": 0.5, "discriminator_optimizer.b1": 0.5,
        "train.batch_size": 128, **short(steps=600, log_every=30, evaluate_every=60)}
DIGITS = {"data.name": "mnist_small", "data.test_examples": 500, "data.binarize": "static", "output_bias": "data_mean",
          "train.batch_size": 100, **short(steps=500, log_every=20, evaluate_every=100)}
RUNS = {
    "run A": Training("gan/ring.py", RING | {
        "loss.name": "wasserstein", "generator_optimizer.learning_rate": 1e-4,
        "discriminator_optimizer.learning_rate": 1e-2}),
    "run B": Training("gan/ring.py", RING | {
        "generator_optimizer.learning_rate": 1e-3, "discriminator_optimizer.learning_rate": 1e-4}),
    "run C": Training("gan/ring.py", RING | {
        "loss.name": "minimax", "data.radius": 6.0, "generator.activation": "tanh",
        "generator_optimizer.learning_rate": 1e-4, "discriminator_optimizer.learning_rate": 3e-3}),
    "run D": Training("vae/digits.py", DIGITS | {"data.train_examples": 100}),
    "run E": Training("vae/digits.py", DIGITS | {"objective.beta": 1 / PIXELS}),
    "run F": Training("vae/digits.py", DIGITS | {"optimizer.learning_rate": 3e-2}),
}
FAILURES = {
    "an exploding critic": lambda m: m["size of a logit"] > 1_000,
    "mode collapse": lambda m: 1 <= m["modes of 8, median of the second half"] <= 4,
    "a dead generator": lambda m: m["norm of the generator's gradient"] < 1e-3,
    "memorised data": lambda m: m["ELBO of training images less that of test images"] > 100,
    "a wrong scale of the KL": lambda m: m["mean square of a latent"] > 2,
    "a vanished KL": lambda m: m["KL, nats"] < 0.1,
}
"""Failure to what its number says, in the order of the runs: of a GAN's the first three, of a VAE's the others."""

SAMPLES, SHOWN = 2_500, 18
LEAST = 0.1
"""Nats: a smaller KL is drawn as this one."""

LAST = 5
"""Rows of the log whose mean is the end of a run."""


def run(folder, **changes) -> Lesson:
    """Trains the six, and asks each of the rules about each run of its family."""
    models = trained(RUNS, folder, **changes)
    rows = {name: by_kind(read_metrics(model.workdir)) for name, model in models.items()}
    gans, vaes = ([name for name in models if models[name].config.family == family] for family in ("gan", "vae"))
    samples = {name: model.sample(SAMPLES) for name, model in models.items()}
    found = {name: of_gan(rows[name]) for name in gans}
    found |= {name: of_vae(models[name], rows[name], samples[name]) for name in vaes}
    rules = dict(zip(models, FAILURES.values(), strict=True))
    holds = all(rules[name](found[other]) == (other == name)
                for names in (gans, vaes) for name in names for other in names)
    numbers = {f"{name}: {key}": float(value) for name, own in found.items() for key, value in own.items()}
    claim = "Each failure has a rule of one number, which finds its own run and no other run of the same family."
    return Lesson(draw(models, rows, samples), numbers, claim, bool(holds))


def end(rows, name: str) -> float:
    """The mean of the last values of a metric."""
    return float(series(rows, name).values[-LAST:].mean())


def of_gan(rows: Mapping) -> dict[str, float]:
    """What the log of a GAN says."""
    train, modes = rows["train"], series(rows["eval"], "modes").values
    logits = [abs(end(train, f"{side}_logits")) for side in ("real", "fake")]
    half = modes[len(modes) // 2:]
    return {"size of a logit": max(logits), "modes of 8, median of the second half": float(np.median(half)),
            "norm of the generator's gradient": end(train, "generator_gradient_norm"),
            "norm of the discriminator's gradient": end(train, "discriminator_gradient_norm"),
            "accuracy on real examples": end(train, "real_accuracy"), "accuracy on fakes": end(train, "fake_accuracy")}


def of_vae(model, rows: Mapping, samples) -> dict[str, float]:
    """What the log, the latents of test images, and the samples of a VAE say."""
    data = load(model.config.data)
    train, test = (np.asarray(model.decoded(split)["x"]) for split in (data.train, data.test))
    q = model.encode(test)
    z = np.asarray(q.sample(jax.random.key(0)))
    drawn = np.random.default_rng(0).uniform(size=samples.shape) < samples  # black and white, as the data is
    distances = (nearest(flat(x), flat(train)).distance for x in (drawn, test))
    last = rows["eval"][-1]
    seen = end(rows["train"], "elbo")
    return {"ELBO of training images, nats": seen, "ELBO of training images less that of test images":
            seen - last["elbo"], "KL, nats": last["kl"], "active latents": active_units(q.loc),
            "mean square of a latent": np.square(z).mean(), "C": copying(*distances)["nearer"]}


def flat(images) -> np.ndarray:
    """Images [n h w c] as vectors."""
    return np.float32(images).reshape(len(images), -1)


def draw(models, rows, samples):
    """Two panels for each run: curves of its log, and samples."""
    figure, axes = panels([f"R{name[1:]}{what}" for name in models for what in (": log", ": samples")],
                          height=215, columns=4)
    for i, (name, model) in enumerate(models.items()):
        curves, picture = axes[2 * i:2 * i + 2]
        if model.config.family == "gan":
            gan_curves(curves, rows[name]["train"])
            points(picture, samples[name], model.config.data)
        else:
            vae_curves(curves, rows[name])
            images(picture, samples[name][:SHOWN], np.asarray(model.decoded(load(model.config.data).train)["x"]))
        curves.set(yscale="log", xlabel="step")
    legends(axes[:11:10])
    return figure


def gan_curves(axes, rows) -> None:
    """Gradient norms of both players, and the mean size of a logit."""
    logits = series(rows, "real_logits"), series(rows, "fake_logits")
    size = np.maximum(*(np.abs(curve.values) for curve in logits))
    axes.plot(*series(rows, "discriminator_gradient_norm"), color=COLOURS[0], linewidth=1.2, label="gradient of D")
    axes.plot(*series(rows, "generator_gradient_norm"), color=COLOURS[1], linewidth=1.2, label="gradient of G")
    axes.plot(logits[0].steps, size, color=INK, linewidth=1.0, linestyle=":", label="size of a logit")


def vae_curves(axes, rows: Mapping) -> None:
    """Minus the ELBO on both splits, and the KL of test images, at least `LEAST` for the logarithm."""
    for kind, label, line in (("train", "-ELBO, training", "-"), ("eval", "-ELBO, test", "--")):
        curve = series(rows[kind], "elbo")
        axes.plot(curve.steps, -curve.values, color=COLOURS[0], linewidth=1.2, linestyle=line, label=label)
    kl = series(rows["eval"], "kl")
    axes.plot(kl.steps, np.maximum(kl.values, LEAST), color=COLOURS[1], linewidth=1.2, label="KL")
    axes.set(ylim=(0.8 * LEAST, 1_000))


def points(axes, samples, data: Mapping) -> None:
    """Samples over the means of the modes."""
    means, _ = mixtures.components(data)
    limit = 1.7 * data["radius"]
    axes.scatter(*samples.T, s=3, c=SAMPLE_COLOUR, linewidths=0, alpha=0.5)
    axes.scatter(*means.T, s=22, c=INK, marker="x", linewidths=0.9)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=(), yticks=())


def images(axes, samples, train, rows: int = 3) -> None:
    """Rows of samples, each above a row of the training images nearest to them."""
    near = train[nearest(flat(samples > 0.5), flat(train)).index]
    pairs = np.stack([samples.reshape(rows, -1, *samples.shape[1:]), near.reshape(rows, -1, *near.shape[1:])], 1)
    pixels = np.uint8(np.round(255 * pairs)).reshape(-1, *samples.shape[1:])
    axes.imshow(image_grid(pixels, rows=2 * rows, background=128), cmap="gray", vmin=0, vmax=255,
                interpolation="nearest")
    axes.set_axis_off()
