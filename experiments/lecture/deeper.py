r"""A VAE is trained on latents that its encoder proposes, and sampled with latents from its prior. Where the two
differ, samples are bad and the bound is loose. This chapter measures the difference and makes it smaller in two ways: a
prior that is learned, and a second layer of latents. The second way leads to diffusion.

**After this chapter** you can split the KL of a VAE into what the latents tell and what the prior gets wrong, explain a
VampPrior, and write down the ELBO of two layers.

**You need** the ELBO, mixtures, and the KL divergence.

## What the prior gets wrong

Encode all $N$ images of the data, and mix the answers. This mixture is the **aggregated posterior**:

$$q(z) = \frac{1}{N} \sum_{n=1}^{N} q(z \mid x_n)$$

Its samples are the latents that the decoder was trained on. A sample of the model uses a latent from the prior $p(z)$
instead. If the prior has mass where $q(z)$ has none, a hole, then the decoder is asked about latents that it has never
seen.

The KL of the ELBO, averaged over the data, is

$$R = \frac{1}{N} \sum_{n=1}^{N} \mathrm{KL}(q(z \mid x_n) \,\|\, p(z))$$

It contains this difference (Hoffman & Johnson 2016):

$$R = I(x; z) + \mathrm{KL}(q(z) \,\|\, p(z))$$

The first part is the **mutual information**, which is the mean KL of each answer from their mixture:

$$I(x; z) = \frac{1}{N} \sum_{n=1}^{N} \mathrm{KL}(q(z \mid x_n) \,\|\, q(z))$$

It says how many nats a latent tells about its image, and that is what latents are for. The second part is pure loss. It
is 0 for the prior $p(z) = q(z)$.

<details><summary>Step by step: the split</summary>

1. For every $z$, $\log \frac{q(z \mid x_n)}{p(z)} = \log \frac{q(z \mid x_n)}{q(z)} + \log \frac{q(z)}{p(z)}$.
2. Take the expectation over $q(z \mid x_n)$, and then the mean over $n$. The left side becomes the mean KL to the
   prior.
3. The first term on the right becomes $I(x; z)$, by its definition.
4. The second term depends on $z$ alone. Drawing an $n$ and then $z$ from $q(z \mid x_n)$ is drawing $z$ from the
   mixture $q(z)$. So its mean is $\mathbb{E}_{q(z)} \log \frac{q(z)}{p(z)} = \mathrm{KL}(q(z) \,\|\, p(z))$.

</details>

## A learned prior

The prior $q(z)$ itself would need the encoder's answers to all $N$ images for a single value of $p(z)$. A **VampPrior**
takes the answers to $K$ images only, which are made up and learned with the rest of the model (Tomczak & Welling 2018):

$$p(z) = \frac{1}{K} \sum_{k=1}^{K} q(z \mid u_k)$$

The images $u_k$ are called pseudo-inputs.

## A second layer

The other way is to let a latent $z_2$ draw the latent $z_1$, and $z_1$ the image: $z_2 \sim \mathcal{N}(0, I)$, then
$z_1 \sim p(z_1 \mid z_2)$, then $x \sim p(x \mid z_1)$. So the density of $z_1$ is a mixture of infinitely many
normals, and it is learned:

$$p(z_1) = \int p(z_1 \mid z_2) \, p(z_2) \, dz_2$$

The encoder gets a second layer too, $q(z_1 \mid x) \, q(z_2 \mid z_1)$. Each layer costs the bound one KL term, also
called its rate ($R_1$ here is not the penalty R1):

$$\mathrm{ELBO} = \mathbb{E}_q \log p(x \mid z_1) - R_1 - R_2$$

The rate of the first layer compares its posterior with a prior that the second layer draws:

$$R_1 = \mathbb{E}_q \log \frac{q(z_1 \mid x)}{p(z_1 \mid z_2)}$$

The second layer has the fixed prior:

$$R_2 = \mathbb{E}_q \log \frac{q(z_2 \mid z_1)}{p(z_2)}$$

<details><summary>Step by step: the bound of two layers</summary>

1. Take both latents as one, $z = (z_1, z_2)$. The ELBO is $\mathbb{E}_q \log \frac{p(x, z)}{q(z \mid x)}$, as before.
2. The model is a chain: $p(x, z) = p(x \mid z_1) \, p(z_1 \mid z_2) \, p(z_2)$.
3. The encoder is a chain in the other direction: $q(z \mid x) = q(z_1 \mid x) \, q(z_2 \mid z_1)$.
4. The logarithm of the quotient is a sum. Pair the factors that belong to the same layer: these are $-R_1$ and $-R_2$.

</details>

More layers are more pairs; what each of them holds is the subject of the next chapter. Now make every layer as large as
the image, give up learning the encoder, and let it add noise instead: that is a diffusion model, the subject of the
last chapter.

## Predict, then look

The data is the ring of eight Gaussians, whose $\log p(x)$ is known. Three VAEs with two latents have the same encoder
and decoder. The first has the standard normal prior, the second a learned mixture of 16 normals, the third a second
layer. Where will samples of each prior fall, compared with the encoder's latents? What will the samples of the first
one look like?

{figure}

On the left are samples of the aggregated posterior (blue) and of the prior (orange), on the right samples of the model
over the means of the data (crosses). A standard normal has no gaps, so that latents from between the groups become
points from between the modes. The learned mixture leaves the gaps out. The second layer, which learns a smooth map and
no list of groups, puts fewer latents into the hole and the gaps than the standard normal, but still some.

On images the same happens. With a VampPrior the log-likelihood of a VAE of MNIST, images of handwritten digits, is 2.9
nats better than with a standard normal (`python scripts/reproduce.py --table=vamp --protocol=cpu`, its samples are in
the gallery).

## In twenty lines

The split, for 50 answers $q(z \mid x_n)$ on the line:

```python
import jax
import jax.numpy as jnp

key_m, key_n, key_z = jax.random.split(jax.random.key(0), 3)
m, s = 1.5 * jax.random.normal(key_m, (50,)), 0.3  # the answers are N(m_n, s^2)

def log_normal(z, m, s):
    return -((z - m) ** 2) / (2 * s**2) - jnp.log(s) - jnp.log(2 * jnp.pi) / 2

n = jax.random.randint(key_n, (20_000,), 0, 50)
z = m[n] + s * jax.random.normal(key_z, n.shape)
log_answer, log_prior = log_normal(z, m[n], s), log_normal(z, 0.0, 1.0)
log_mixture = jax.nn.logsumexp(log_normal(z[:, None], m, s), axis=1) - jnp.log(50)
information, waste = (log_answer - log_mixture).mean(), (log_mixture - log_prior).mean()

closed_form = ((m**2 + s**2 - 1) / 2 - jnp.log(s)).mean()
assert abs(information + waste - closed_form) < 0.05

from gen.distributions import Normal
from gen.evaluation.latents import decomposition
parts = decomposition(z[:, None], log_answer, log_prior, Normal(m[:, None], jnp.full((50, 1), jnp.log(s))))
assert jnp.isclose(parts.mutual_information, information, atol=1e-3)
assert jnp.isclose(parts.total_correlation + parts.dimension_wise_kl, waste, atol=1e-3)
print("the latents tell", information, "nats, the prior wastes", waste)
```

## Turn the knob

Train a VAE of digits with a VampPrior. `prior.components` is $K$: with how few pseudo-inputs is its ELBO still better
than that of a standard normal?

```bash
python scripts/train.py --config=experiments/vae/digits.py --config.prior.name=vamp --config.prior.components=5
```

## Exercises

1. How large can $I(x; z)$ be for $N$ images, and when?

<details><summary>Answer</summary>

$\log N$: the mixture has at least the $N$-th part of each answer, $q(z) \ge q(z \mid x_n) / N$, so no logarithm in
$I(x; z)$ exceeds $\log N$. It comes close where the answers do not overlap, so that $z$ tells which image it belongs
to.

```python
apart = 10.0 * jnp.arange(50)
z = apart[n] + s * jax.random.normal(key_z, n.shape)
mixture = jax.nn.logsumexp(log_normal(z[:, None], apart, s), axis=1) - jnp.log(50)
assert jnp.isclose((log_normal(z, apart[n], s) - mixture).mean(), jnp.log(50), atol=1e-3)
```

</details>

2. Let $z_2 \sim \mathcal{N}(0, 1)$ and $p(z_1 \mid z_2) = \mathcal{N}(a z_2, s^2)$ with a number $a$. Is the second
   layer of use?

<details><summary>Answer</summary>

No. $z_1$ is then a normal with the variance $a^2 + s^2$, as the prior of one layer may be. A network in the place of
$a z_2$ makes the difference: here $\sin(3 z_2)$ puts two humps where a normal has one.

```python
z_2 = jax.random.normal(jax.random.key(1), (200_000,))
noise = 0.3 * jax.random.normal(jax.random.key(2), z_2.shape)
linear, curved = 2 * z_2 + noise, jnp.sin(3 * z_2) + noise
flatness = lambda z: ((z - z.mean()) ** 4).mean() / z.var() ** 2  # 3 for every normal, less for two humps
assert abs(linear.var() - (2**2 + 0.3**2)) < 0.05 and abs(flatness(linear) - 3) < 0.05 and flatness(curved) < 2
```

</details>
"""

import jax
import numpy as np

from gen.data import load, mixtures
from gen.distributions.priors import MixturePrior, VampPrior
from gen.evaluation.latents import decomposition
from gen.evaluation.modes import coverage
from gen.families.vae.hierarchical import Chain
from gen.figures.curves import COLOURS
from gen.figures.panels import INK, panels
from gen.figures.points import SAMPLE_COLOUR
from gen.lecture import Lesson, Training, short, trained

TITLE = "Deeper models"
SHOWS = (decomposition, VampPrior, MixturePrior, Chain)
NARROW_COLUMNS = 2

SAME = {"data.name": "ring", "data.std": 0.1, "data.binarize": "none", "latents": 2,
        "likelihood.name": "normal", "likelihood.scale": 0.1, "encoder.hidden": (64, 64), "decoder.hidden": (64, 64),
        "optimizer.learning_rate": 2e-3, **short(steps=2_500, log_every=250)}
RUNS = {
    "standard normal": Training("vae/digits.py", SAME),
    "mixture": Training("vae/digits.py", SAME | {"prior.name": "mixture", "prior.components": 16}),
    "two layers": Training("vae/digits.py", SAME | {"hierarchy.name": "chain", "hierarchy.latents": (2,),
                                                    "hierarchy.hidden": (64, 64)}),
}
DRAWS, SAMPLES, SHOWN = 20, 2_500, 600
"""Latents for the ELBO of each test point, samples of each model, and points of each cloud that are drawn."""


def run(folder, **changes) -> Lesson:
    """Trains the three; compares their bounds with log p(x), and their priors with the latents of their encoders."""
    models = trained(RUNS, folder, **changes)
    data = models["mixture"].config.data
    x = np.float32(load(data).test["x"][:SAMPLES])
    best, numbers, clouds = float(mixtures.log_density(data)(x).mean()), {}, {}
    for name, model in models.items():
        clouds[name] = latents(model, x) + (simulated(model),)
        numbers |= {f"{name}: E log p(x) less the ELBO, nats": best - elbo(model, x),
                    f"{name}: samples within 3 std of a mode":
                        coverage(clouds[name][-1], *mixtures.components(data)).high_quality}
    for name in ("standard normal", "mixture"):
        parts = split(models[name], x)
        numbers |= {f"{name}: I(x; z), nats": float(parts.mutual_information),
                    f"{name}: KL(q(z) || p(z)), nats": float(parts.total_correlation + parts.dimension_wise_kl)}
    misses, good, waste = ([v for key, v in numbers.items() if part in key] for part in ("less", "within", "KL(q"))
    claim = ("With a learned mixture the ELBO misses less than half as much of log p(x) as with a standard normal, "
             "less than half as many samples are off the modes, and KL(q(z) || p(z)) is less than half. With a second "
             "layer the first two are less than three quarters of those with the standard normal.")
    off = [1 - share for share in good]
    holds = all(v[1] < v[0] / 2 for v in (misses, off, waste)) and all(v[2] < 0.75 * v[0] for v in (misses, off))
    return Lesson(draw(models, clouds, data), numbers, claim, bool(holds))


def elbo(model, x) -> float:
    """The mean ELBO of the points, by samples of the encoder."""
    log_weights = jax.jit(model.program.family.methods["log_weights"], static_argnums=3)
    return float(np.float64(log_weights(model.state, {"x": x}, jax.random.key(0), DRAWS)).mean())


def latents(model, x):
    """(samples of q(z|x), samples of the prior) [n 2] of the layer next to x."""
    prior = jax.jit(model.program.family.methods["latents"], static_argnums=2)(model.state, jax.random.key(1), SAMPLES)
    return np.asarray(model.encode(x).sample(jax.random.key(2)))[:, :2], np.asarray(prior)[:, :2]


def simulated(model) -> np.ndarray:
    """Samples of p(x), the noise of the likelihood included."""
    simulate = jax.jit(model.program.family.methods["simulate"], static_argnums=2)
    return np.asarray(simulate(model.state, jax.random.key(3), SAMPLES)[0]["x"])


def split(model, x):
    """The parts of the mean KL over the points."""
    q = model.encode(x)
    z = q.sample(jax.random.key(4))
    log_prior, _ = model.method("log_joint", {"x": x}, z[None])
    return decomposition(z, q.log_prob(z).sum(-1), log_prior[0], q)


def draw(models, clouds, data):
    """For each model its latents with those of its prior, and its samples."""
    titles = [f"{name.removeprefix('standard ')}: {what}" for name in models for what in ("latents", "samples")]
    figure, axes = panels(titles, height=270, columns=2)
    means, _ = mixtures.components(data)
    for left, right, (posterior, prior, x) in zip(axes[::2], axes[1::2], clouds.values(), strict=True):
        z, colours = np.concatenate([posterior[:SHOWN], prior[:SHOWN]]), np.repeat([COLOURS[0], SAMPLE_COLOUR], SHOWN)
        order = np.random.default_rng(0).permutation(2 * SHOWN)
        left.scatter(*z[order].T, s=3, c=colours[order], linewidths=0, alpha=0.6)
        right.scatter(*x[:SHOWN].T, s=3, c=SAMPLE_COLOUR, linewidths=0, alpha=0.6)
        right.scatter(*means.T, s=22, c=INK, marker="x", linewidths=0.9)
        left.set(xlim=(-4, 4), ylim=(-4, 4), aspect="equal")
        right.set(xlim=(-1.7, 1.7), ylim=(-1.7, 1.7), aspect="equal")
    return figure
