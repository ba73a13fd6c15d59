r"""A hierarchy of latents draws an image in steps: first the top layer, then each layer given all above it. This
chapter holds the upper layers of a sample and draws the lower ones anew. So it shows what each layer decides.

**After this chapter** you can draw from a hierarchy layer by layer, and split the variance of its samples into the
shares of its layers.

**You need** a second layer of latents, conditional densities, and the variance.

## From the top down

With three layers, $z_3$ comes from its prior, $z_2$ from $p(z_2 \mid z_3)$, $z_1$ from $p(z_1 \mid z_2, z_3)$, and the
image from $p(x \mid z_1, z_2, z_3)$. The network of this chapter is a convolutional ladder (Sonderby et al. 2016). Its
layers are maps: 2 x 2 places for $z_3$, 4 x 4 for $z_2$, and 8 x 8 for $z_1$. A latent of a small map reaches a
large part of the image.

The encoder goes the same way, from $q(z_3 \mid x)$ to $q(z_1 \mid z_2, z_3, x)$, with the network of the prior and with
features of $x$. So each layer has one KL term, the cost of what it tells beyond the layers above it.

Nobody says which layer shall hold what. A layer that is not needed costs KL and tells nothing: the training decides.

## Which part of the image is whose

Draw one sample, keep its $k$ upper layers, and draw all below them anew. The two images $x$ and $x'$, means of
$p(x \mid z)$, differ by what the upper layers leave open:

$$V_k = \frac{1}{2} \mathbb{E} |x - x'|^2$$

This is the variance of the pixels, added up, that is left when $k$ layers are known. With $k = 0$ nothing is kept, and
$V_0$ is the whole variance. With all layers kept the images are equal and the rest is 0. So layer $k$, counted from the
top, has the share

$$s_k = \frac{V_{k-1} - V_k}{V_0}$$

and the shares of all layers add up to 1.

<details><summary>Step by step: half a squared difference is a variance</summary>

1. Take one pixel, and fix the upper layers. Then $x$ and $x'$ are independent draws with the same mean $m$ and the same
   variance $v$.
2. $\mathbb{E}(x - x')^2 = \mathbb{E}(x - m)^2 + \mathbb{E}(x' - m)^2 - 2 \, \mathbb{E}(x - m)(x' - m)$.
3. The first two terms are $v$ each, and the last one is 0 because the draws are independent. So half of it is $v$.
4. Now let the upper layers vary: $V_k$ is the mean of $v$ over them, added up over the pixels.

</details>

## Predict, then look

A ladder of three layers has seen 8,000 digits. In each row of the pictures the samples share nothing, the top layer, or
the two upper layers. What will be the same in a row where the top layer is shared: the digit, its slant, its strokes?
Which layer has the largest share of the variance?

{figure}

The titles say how many pairs of samples, one of them redrawn, show the same digit, by the nearest training image of
each. The bars are the shares of the variance. The top layer decides the rough shape: its width, its slant, and often
the digit. The layer next to the image draws the strokes, and decides which digit appears where the shape leaves two of
them open. In this training the layer between has the smallest share. With two other seeds it has a larger one than the
layer next to the image, while the top layer always has more than half. After a training of a minute many samples are
still no digits.

## In twenty lines

Three layers of one latent each, and an image of two pixels:

```python
import jax
import jax.numpy as jnp

def image(z3, z2, z1):
    return jnp.stack([2 * z3 + z2, z2 * z1], axis=-1)

def draw(key, n):
    return jax.random.normal(key, (3, n))

n = 400_000
z, other = draw(jax.random.key(0), n), draw(jax.random.key(1), n)
x = image(*z)
left = []
for kept in range(4):
    again = image(*z[:kept], *other[kept:])
    left.append(((x - again) ** 2).sum(-1).mean() / 2)
share = [(left[k - 1] - left[k]) / left[0] for k in (1, 2, 3)]
assert jnp.allclose(jnp.array(share), jnp.array([4, 1, 1]) / 6, atol=0.01)

from gen.evaluation.layers import shares, variance_below
library = [variance_below(x, image(*z[:kept], *other[kept:])) for kept in range(4)]
assert jnp.allclose(jnp.array(library), jnp.array(left), rtol=1e-4)
assert jnp.allclose(shares(library), jnp.array(share), atol=1e-4)
print("shares from the top down:", share)
```

## Turn the knob

A run of a hierarchy has the pictures `layers`, `top_layers` and `temperatures`. Train a ladder of digits with two
layers in place of three, and look at them:

```bash
python scripts/train.py --config=experiments/vae/lvae_mnist.py:cpu --config.data.name=mnist_small \
    --config.hierarchy.halvings=0,1 --config.train.steps=600 --config.evaluators.log_likelihood=false \
    --workdir=/tmp/ladder
python scripts/sample.py --workdir=/tmp/ladder --kind=layers
```

## Exercises

1. The decoder and the priors ignore $z_1$. What is its share, and what is its best posterior?

<details><summary>Answer</summary>

The share is 0, and the best posterior is the prior: any other costs KL and helps nothing. The layer has collapsed.

```python
flat = lambda z3, z2, z1: jnp.stack([2 * z3 + z2, z2], axis=-1)
ignoring = [variance_below(flat(*z), flat(*z[:kept], *other[kept:])) for kept in range(4)]
assert shares(ignoring)[2] == 0
```

</details>

2. In the twenty lines above the second pixel is $z_2 z_1$. Whose is its variance, and why?

<details><summary>Answer</summary>

It is all that of $z_1$. Without $z_1$ the mean of the pixel is 0 whatever $z_2$ is, so that $z_2$ alone decides
nothing. What two layers do together counts as the lower one's.

```python
pixel = [variance_below(x[:, 1:], image(*z[:kept], *other[kept:])[:, 1:]) for kept in range(4)]
assert jnp.allclose(shares(pixel), jnp.array([0.0, 0.0, 1.0]), atol=0.02)
```

</details>
"""

import jax
import numpy as np

from gen.data import load
from gen.evaluation.layers import shares, variance_below
from gen.evaluation.memorization import nearest
from gen.families.vae.bidirectional import TopDown
from gen.figures.curves import COLOURS
from gen.figures.grids import image_grid
from gen.figures.panels import panels
from gen.lecture import Lesson, Training, short, trained
from gen.rng import stream

TITLE = "What each layer holds"
SHOWS = (TopDown, variance_below, shares)
NARROW_COLUMNS = 2

STEPS = 2_400
RUNS = {"ladder": Training("vae/lvae_mnist.py:cpu", {
    "data.name": "mnist_small", "data.binarize": "dynamic", "latents": 8, "hierarchy.width": 12,
    "hierarchy.merge": "linear", "hierarchy.gated": False, "hierarchy.skip": False,
    "schedules.learning_rate.steps": STEPS, "evaluators.log_likelihood": False, "evaluators.latents": False,
    "train.batch_size": 50, **short(STEPS, log_every=100)})}
KEPT = {0: "nothing", 1: "the top layer", 2: "two layers"}
"""Upper layers that the samples of a row share."""

N, ROWS, COLUMNS = 2_000, 5, 5


def run(folder, **changes) -> Lesson:
    """Trains a ladder of three layers; redraws its lower layers, and measures what changes."""
    model = trained(RUNS, folder, **changes)["ladder"]
    z = jax.jit(model.program.family.methods["latents"], static_argnums=2)(model.state, jax.random.key(0), N)
    z, train = np.concatenate([np.repeat(z[:ROWS], COLUMNS, axis=0), z]), load(model.config.data).train
    shown, x = np.split(model.decode(z), [ROWS * COLUMNS])
    rows, again = zip(*(np.split(model.decode(redrawn(model, z, kept)), [len(shown)]) for kept in KEPT), strict=True)
    left, digits = [float(variance_below(x, images)) for images in again], digit(x, train)
    parts = shares([*left, 0.0])
    same = [float((digits == digit(images, train)).mean()) for images in again]
    numbers = {f"layer {len(parts) - i}: share of the variance": float(part) for i, part in enumerate(parts)}
    numbers |= {f"{what} shared: {key}": value for key, values in
                {"variance left": left, "pairs of the same digit": same}.items()
                for what, value in zip(KEPT.values(), values, strict=True)}
    claim = ("The top layer, 32 of 672 latents, has a larger share of the variance than the two below it together. "
             "Pairs that share it show the same digit more than twice as often as pairs that share nothing, and "
             "pairs that share two layers more often still.")
    holds = parts[0] > parts[1:].sum() and same[1] > 2 * same[0] and same[2] > same[1]
    return Lesson(draw(rows, same, parts), numbers, claim, bool(holds))


def redrawn(model, z, kept: int):
    """Latents [n d] whose upper `kept` layers are those of z, all below drawn anew."""
    complete = jax.jit(model.program.family.methods["complete"], static_argnums=3)
    return complete(model.state, stream(jax.random.key(1), "kept", kept), z, kept)


def digit(images, train) -> np.ndarray:
    """The label [n] of the training image that is nearest to each."""
    flat, known = (np.float32(x).reshape(len(x), -1) for x in (images, train["x"]))
    found = nearest(flat, known / 255)
    return np.asarray(train["label"])[found.index]


def draw(images, same, parts):
    """Images in rows that share what is kept, and the shares of the layers as bars."""
    titles = [f"{what} shared: {share:.0%} same digit" for what, share in zip(KEPT.values(), same, strict=True)]
    figure, (*row, bars) = panels([*titles, "shares of the variance"], height=230)
    for axes, x in zip(row, images, strict=True):
        pixels = np.uint8(np.round(255 * np.clip(x, 0, 1)))
        axes.imshow(image_grid(pixels, rows=ROWS, background=128), cmap="gray", vmin=0, vmax=255,
                    interpolation="nearest")
        axes.set_axis_off()
    bars.bar(range(len(parts)), parts, 0.6, color=COLOURS[0])
    bars.set(xticks=range(len(parts)), xticklabels=[f"$z_{len(parts) - i}$" for i in range(len(parts))], ylim=(0, 1))
    return figure
