r"""A diffusion model is a VAE with many layers of latents whose encoder is not learned: it adds noise, a little at a
time, until nothing of the example is left. Only the way back is learned, by one network for all levels of noise.

**After this chapter** you can write down the encoder and the bound of a diffusion model, and say how samplers with and
without noise differ.

**You need** the ELBO, also that of two layers, and the KL of two normals.

## The fixed encoder

At time $t$, between 0 and 1, the layer $x_t$ is a weighted sum of the example and of noise, independent in each
coordinate (that is what $I$ says). Every level can be reached in one jump:

$$q(x_t \mid x) = \mathcal{N}(\alpha_t x, \sigma_t^2 I), \qquad \alpha_t^2 + \sigma_t^2 = 1$$

The ratio of signal to noise falls with $t$:

$$\mathrm{SNR}(t) = \alpha_t^2 / \sigma_t^2$$

## What the network is asked

Given $x_t$ it names the noise $\varepsilon$ in it. The example follows from that:

$$\hat{x} = \frac{x_t - \sigma_t \hat{\varepsilon}}{\alpha_t}$$

Trained by the squared error of the noise, the best answer for $x$ is the mean of all examples that $x_t$ may come from.

## The bound

It is the ELBO of many layers (Ho et al. 2020, eq. 5; Kingma et al. 2021): a reconstruction at the bottom, a KL of
normals for each step from time $t$ back to an earlier time $s$, and a KL to the prior at the top. Because both normals
of a step have the same variance, each KL is a squared error with a weight:

$$\mathrm{KL}_t = \tfrac{1}{2} \left( \mathrm{SNR}(s) - \mathrm{SNR}(t) \right) \| x - \hat{x} \|^2$$

<details><summary>Step by step: the bound</summary>

1. Take $x_0, \dots, x_1$ as the latents of a VAE. The ELBO is $\mathbb{E}_q \log p(x \mid x_0) + \mathbb{E}_q \log
   p(x_0, \dots, x_1) - \mathbb{E}_q \log q(x_0, \dots, x_1 \mid x)$.
2. The decoder is a chain, $p(x_1) \prod p(x_s \mid x_t)$. Given $x$, the encoder is one too, $q(x_1 \mid x) \prod q(x_s
   \mid x_t, x)$, by Bayes' rule.
3. Pair the factors: a KL at the top, $\mathrm{KL}(q(x_1 \mid x) \,\|\, p(x_1))$, and one for each step,
   $\mathrm{KL}(q(x_s \mid x_t, x) \,\|\, p(x_s \mid x_t))$.
4. From $x_s$ to $x_t$ the encoder adds noise: $q(x_t \mid x_s) = \mathcal{N}(a x_s, b I)$ with $a = \alpha_t /
   \alpha_s$ and $b = \sigma_t^2 - a^2 \sigma_s^2$, so that $q(x_t \mid x)$ comes out right. By Bayes' rule, as in the
   chapter on joint densities, $q(x_s \mid x_t, x)$ is a normal with the variance $\sigma_s^2 b / \sigma_t^2$, and $x$
   has the factor $\alpha_s b / \sigma_t^2$ in its mean. The decoder uses the same normal with $\hat{x}$ in place of
   $x$.
5. The KL of two normals with the same variance is the squared distance of their means over twice the variance. The
   factor of $\| x - \hat{x} \|^2$ is $\frac{1}{2} \alpha_s^2 b / (\sigma_s^2 \sigma_t^2) = \frac{1}{2}
   (\alpha_s^2 / \sigma_s^2 - \alpha_t^2 / \sigma_t^2)$, half the fall of the SNR.

</details>

## Sampling

Start from pure noise, and go down the levels. DDPM draws each step from $p(x_s \mid x_t)$, with new noise. DDIM adds no
noise (Song et al. 2021), so sampling is a map from latents to examples. With small steps it can be run backwards:

$$x_s = \alpha_s \hat{x} + \sigma_s \hat{\varepsilon}$$

## Predict, then look

The map of DDIM sends each latent to one of eight modes. Will latents of the same mode lie together, or be mixed?

{figure}

The first panel shows the data and three levels of noise. The second shows what the network sees in noisy points at $t =
0.6$, the ends of the grey lines: the mean of the examples they may come from, in orange. The third shows latents,
coloured by the mode that they become: neighbours become the same mode.

Here all modes are covered. That is no guarantee. Recall is the share of real images that have a sample near them: in
our table of the families on MNIST the diffusion model has the lowest of all, after the same short training (`python
scripts/reproduce.py --table=families_mnist`).

## In twenty lines

```python
import jax
import jax.numpy as jnp

alpha = lambda t: jnp.cos(jnp.pi * t / 2)
sigma = lambda t: jnp.sin(jnp.pi * t / 2)
modes = jnp.array([-1.0, 1.0])  # all the data there is

def mean_example(x_t, t):
    '''E[x | x_t], exact: each mode weighted by how well it explains x_t.'''
    weights = jax.nn.softmax(-((x_t[:, None] - alpha(t) * modes) ** 2) / (2 * sigma(t) ** 2))
    return weights @ modes

def ddim(x, n=100):
    times = jnp.linspace(0.999, 0.001, n + 1)
    for t, s in zip(times[:-1], times[1:]):
        x_hat = mean_example(x, t)
        epsilon = (x - alpha(t) * x_hat) / sigma(t)
        x = alpha(s) * x_hat + sigma(s) * epsilon
    return x

z = jax.random.normal(jax.random.key(0), (1_000,))
x = ddim(z)
assert jnp.abs(jnp.abs(x) - 1).max() < 0.05 and (jnp.sign(x) == jnp.sign(z)).mean() > 0.99

from gen.objectives import diffusion
log_snr = lambda t: 2 * jnp.log(alpha(t) / sigma(t))
t, s = 0.6, 0.5
x_hat = mean_example(z, t)
mine = alpha(s) * x_hat + sigma(s) * (z - alpha(t) * x_hat) / sigma(t)
theirs = diffusion.ddim(z, diffusion.from_x(x_hat, z, log_snr(t)), jnp.zeros_like(z), log_snr(t), log_snr(s))
assert jnp.allclose(mine, theirs, atol=1e-5)
print("samples:", x[:6])
```

## Turn the knob

The schedule says how fast the noise grows. Compare the bound and the samples with the linear one:

```bash
python scripts/train.py --config=experiments/diffusion/ring.py --config.noise_schedule.name=linear
```

## Exercises

1. What is $\hat{\varepsilon}$, given $x_t$ and $\hat{x}$? Check that mixing both again gives $x_t$.

<details><summary>Answer</summary>

$\hat{\varepsilon} = (x_t - \alpha_t \hat{x}) / \sigma_t$.

```python
t = 0.4
x_t = jnp.array([0.3, -0.8])
x_hat = mean_example(x_t, t)
assert jnp.allclose(alpha(t) * x_hat + sigma(t) * (x_t - alpha(t) * x_hat) / sigma(t), x_t, atol=1e-6)
```

</details>

2. At $t$ near 1, what is the best answer $\hat{x}$, whatever $x_t$ is?

<details><summary>Answer</summary>

The mean of the data, here 0: the noisy point says nothing about the example.

```python
assert jnp.abs(mean_example(jnp.array([-2.0, 0.5, 2.0]), 0.9999)).max() < 1e-2
```

</details>
"""

import jax
import jax.numpy as jnp
import numpy as np

from gen.data import load, mixtures
from gen.evaluation.modes import coverage
from gen.figures.curves import COLOURS
from gen.figures.panels import INK, legends, panels
from gen.figures.points import DATA_COLOUR, SAMPLE_COLOUR
from gen.lecture import Lesson, Training, short, subject, trained
from gen.objectives.diffusion import bound, ddim, ddpm, diffused

TITLE = "Diffusion"
SHOWS = (diffused, bound, ddpm, ddim)
RUNS = {"diffusion": Training("diffusion/ring.py", {"schedules.learning_rate.steps": 2_500, **short(2_500, 100)})}

LEVELS = (0.4, 0.6, 0.8)
"""Times whose noisy points are drawn; at the middle one the denoiser's estimates too."""

SAMPLES = 2_500


def run(folder, gap: float = 0.7, **changes) -> Lesson:
    """Trains a diffusion model on the ring; measures its bound, its modes, and how well its map turns round."""
    model = trained(RUNS, folder, **changes)["diffusion"]
    x = jnp.asarray(load(model.config.data).test["x"])
    found = jax.jit(model.program.family.evaluate)(model.state, {"x": x}, jax.random.key(0))
    elbo, best = float(found["elbo"].mean()), float(mixtures.log_density(model.config.data)(np.asarray(x)).mean())
    means, std = mixtures.components(model.config.data)
    modes = coverage(subject(model).sample(SAMPLES), means, std)
    z = jax.random.normal(jax.random.key(1), (SAMPLES, 2))
    decoded = model.method("decode", z)
    again = np.asarray(model.method("invert", jnp.asarray(decoded)))
    off = float(np.median(np.linalg.norm(again - np.asarray(z), axis=1)))
    numbers = {"ELBO (nats)": elbo, "E log p(x) of the data": best, "modes of 8": modes.modes,
               "share within 3 std": modes.high_quality, "median distance of z after there and back": off}
    holds = best - gap < elbo < best and modes.modes == len(means) and off < 0.5
    claim = (f"The bound is below E log p(x), by less than {gap:g} nats. All modes are covered. DDIM backwards finds "
             "the latents again, within 0.5 in the median; two independent latents are 1.7 apart.")
    return Lesson(draw(model, np.asarray(x), np.asarray(z), np.asarray(decoded)), numbers, claim, bool(holds))


def draw(model, x, z, decoded):
    """Points at levels of noise, what is seen in them at one level, and latents by the mode that they become."""
    figure, (left, middle, right) = panels(["data, and three levels of noise", "what is seen at t = 0.6",
                                            "latents by the mode they become"], height=270)
    shown = jnp.asarray(x[:1_000])
    for t, shade in zip(LEVELS[::-1], ("#c3c9d1", "#8a939e", COLOURS[0]), strict=True):
        noisy = model.method("noised", shown, jnp.full(len(shown), t), jax.random.key(2))
        left.scatter(*np.asarray(noisy).T, s=1.5, c=shade, linewidths=0, label=f"t = {t:g}")
    left.scatter(*x[:1_000].T, s=1.5, c=INK, linewidths=0, label="data")
    at = jnp.full(len(shown), LEVELS[1])
    noisy = model.method("noised", shown, at, jax.random.key(2))
    seen = np.asarray(model.method("denoise", noisy, at))
    middle.plot(*np.stack([np.asarray(noisy), seen], 1)[:150].transpose(2, 1, 0), color=DATA_COLOUR, linewidth=0.4)
    middle.scatter(*seen.T, s=1.5, c=SAMPLE_COLOUR, linewidths=0)
    mode = np.round(np.arctan2(decoded[:, 1], decoded[:, 0]) / (np.pi / 4)) % 8
    right.scatter(*z.T, s=2, c=mode, cmap="tab10", vmax=9, linewidths=0)
    for axes, limit in ((left, 2.6), (middle, 1.8), (right, 3.2)):
        axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    legends([left], markerscale=6)
    return figure
