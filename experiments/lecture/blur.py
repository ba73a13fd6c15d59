r"""A VAE and a GAN with the same decoder, trained on the same data, make different mistakes. The VAE's samples are
blurred. The GAN's are sharp, but it may leave examples out. The reason is what each of them minimises.

**After this chapter** you can say why a Gaussian likelihood blurs, and what each family is good at.

**You need** the ELBO, the game of a GAN, and the directions of KL.

## What the Gaussian likelihood asks for

The decoder $f(z)$ gives the mean of each pixel, and $s$ is the standard deviation of the pixels around it, one number
for all of them:

$$\log p(x \mid z) = -\sum_i \left( \frac{(x_i - f_i(z))^2}{2 s^2} + \log(s \sqrt{2 \pi}) \right)$$

On average over all images that $z$ cannot tell apart, this is largest for their mean:

$$f^*(z) = \mathbb{E}[x \mid z]$$

A mean of images is no image: between black and white it is grey. To a discriminator a single grey pixel gives the
sample away. Maximum likelihood must cover all data, the direction $\mathrm{KL}(p \,\|\, q)$, and pays with samples
between the examples. A GAN may leave kinds of examples out, and pays with missing modes.

<details><summary>Step by step: the best mean</summary>

1. For fixed $z$ the decoder chooses $f$ to minimise $\mathbb{E}[(x - f)^2 \mid z]$.
2. The derivative in $f$ is $-2 \, \mathbb{E}[x - f \mid z]$.
3. It is 0 where $f = \mathbb{E}[x \mid z]$.

</details>

## Predict, then look

The digits here are black and white, without any grey pixel. Which share of the pixels will be grey in samples of the
VAE, and which in samples of the GAN?

{figure}

The first grid shows data. The second shows decoded means of the VAE, the third samples of its $p(x \mid z)$, which add
the noise that the likelihood assumes. The last grid shows the GAN. A pixel counts as grey between 0.1 and 0.9.

## Which one to use

| | VAE | GAN |
| --- | --- | --- |
| likelihood of an example | a bound, or an estimate | none |
| latents of an example | by the encoder | none |
| samples | blurred, all kinds of examples | sharp, may miss some |
| training | one loss that goes down | a game; watch it |

Measured side by side on MNIST, with the same amount of arithmetic in training, and with two more families:
`python scripts/reproduce.py --table=families_mnist --protocol=cpu`.

## In twenty lines

```python
import jax
import jax.numpy as jnp

key = jax.random.key(0)
x = (jax.random.uniform(key, (1_000, 16)) < 0.3).astype(jnp.float32)  # black and white: 0 and 1

def log_likelihood(x, f, s):
    return -(((x - f) ** 2) / (2 * s**2) + jnp.log(s) + jnp.log(2 * jnp.pi) / 2).sum(-1)

f, s = jnp.full(16, 0.9), 0.5
for _ in range(200):
    f = f + 0.1 * jax.grad(lambda f: log_likelihood(x, f, s).mean())(f)
assert jnp.allclose(f, x.mean(0), atol=1e-3)
grey = ((f > 0.1) & (f < 0.9)).mean()
assert grey == 1.0 and ((x > 0.1) & (x < 0.9)).mean() == 0.0

from gen.distributions import Normal
library = Normal(f, jnp.full(16, jnp.log(s))).log_prob(x).sum(-1)
assert jnp.allclose(log_likelihood(x, f, s), library, atol=1e-4)
print("the best mean:", f[:4], "share of grey pixels:", grey)
```

## Turn the knob

A Bernoulli likelihood suits black and white pixels better: the decoder computes for each pixel the probability that it
is white. Compare its samples:

```bash
python scripts/train.py --config=experiments/vae/digits.py --config.data.binarize=static
```

## Exercises

1. Half of the images have a white pixel where the other half have a black one, and $z$ cannot tell which. What does the
   Gaussian decoder answer there, and which $s$ is best?

<details><summary>Answer</summary>

The mean, 0.5. The best variance is the mean squared error, $s^2 = 0.25$: the noise of a sample is then as large as the
picture itself.

```python
pixel = jnp.array([0.0, 1.0])
best = jax.vmap(lambda s: -((pixel - 0.5) ** 2 / (2 * s**2) + jnp.log(s)).mean())(scales := jnp.linspace(0.1, 1, 901))
assert abs(scales[best.argmax()] - 0.5) < 2e-3
```

</details>

2. What would a best discriminator say about a sample with one grey pixel, if no real image has one?

<details><summary>Answer</summary>

$D^*(x) = p(x) / (p(x) + q(x)) = 0$, because $p(x) = 0$.

```python
p, q = 0.0, 0.2
assert p / (p + q) == 0
```

</details>
"""

import jax
import numpy as np

from gen.data import load
from gen.distributions.likelihoods import LIKELIHOODS
from gen.figures.grids import image_grid
from gen.figures.panels import panels
from gen.lecture import Lesson, Training, short, trained
from gen.objectives.adversarial import ADVERSARIAL

TITLE = "Blur"
SHOWS = (LIKELIHOODS["normal_shared"], ADVERSARIAL["non_saturating"])

SAME = {"data.name": "mnist_small", "data.binarize": "static", "latents": 16, "train.batch_size": 64}
NETWORK = {"name": "dcgan", "width": 16}
RUNS = {
    "VAE": Training("vae/digits.py", SAME | {
        **{f"{part}.{key}": value for part in ("encoder", "decoder") for key, value in NETWORK.items()},
        "likelihood.name": "normal_shared", "likelihood.initial_scale": 0.3, **short(steps=500, log_every=100)}),
    "GAN": Training("gan/dcgan_mnist.py", SAME | {
        **{f"{part}.{key}": value for part in ("generator", "discriminator") for key, value in NETWORK.items()},
        "data.range": "unit", "generator_optimizer.learning_rate": 5e-4, "discriminator_optimizer.learning_rate": 5e-4,
        "ema_half_life": 0.0, **short(steps=700, log_every=100)}),
}

GREY = (0.1, 0.9)
N, SHOWN = 300, 25
NARROW_COLUMNS = 2


def grey(images) -> float:
    """Share of the pixels that are neither black nor white."""
    return float(((images > GREY[0]) & (images < GREY[1])).mean())


def run(folder, **changes) -> Lesson:
    """Trains both on static binarised digits; counts the grey pixels of their samples."""
    models = trained(RUNS, folder, **changes)
    vae = models["VAE"]
    noisy = np.asarray(jax.jit(vae.program.family.methods["simulate"], static_argnums=2)(
        vae.state, jax.random.key(0), N)[0]["x"])
    images = {"data": load(vae.config.data).test["x"][:N] / 255, "VAE, means": vae.sample(N),
              "VAE, samples": noisy, "GAN": models["GAN"].sample(N)}
    shares = {name: grey(x) for name, x in images.items()}
    numbers = {f"{name}: share of grey pixels": share for name, share in shares.items()}
    claim = ("No pixel of the data is grey; over an eighth of the VAE's are, and less than two thirds as many of the "
             "GAN's.")
    blurred, sharp = shares["VAE, means"], shares["GAN"]
    return Lesson(draw(images, shares), numbers, claim, shares["data"] == 0 and blurred > max(1 / 8, 1.5 * sharp))


def draw(images, shares):
    """Grids of each with its share of grey pixels."""
    figure, row = panels([f"{name}: {shares[name]:.0%} grey" for name in images], height=230)
    for axes, x in zip(row, images.values(), strict=True):
        pixels = np.uint8(np.round(255 * np.clip(x[:SHOWN], 0, 1)))
        axes.imshow(image_grid(pixels, background=128), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_axis_off()
    return figure
