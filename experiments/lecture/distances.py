r"""Divergences compare two densities at each point. Distances also know how far points are from each other. The
difference decides what a generator can learn when its samples do not overlap with the data.

**After this chapter** you can compute the Wasserstein distance and the maximum mean discrepancy of samples, and say
which distances still change when the two distributions do not overlap.

**You need** the directions of KL, and the inverse distribution function.

## Distances of samples

On the line, sort both samples and pair the smallest with the smallest, and so on. The mean distance of the pairs is the
Wasserstein distance:

$$W_1(p, q) = \int_0^1 \left| F_p^{-1}(u) - F_q^{-1}(u) \right| du$$

The maximum mean discrepancy works in any dimension. It compares average similarities. A kernel $k(x, y)$ measures them:
it is 1 for equal points and falls to 0 as they move apart. With $x, x'$ drawn from $p$ and $y, y'$ from $q$:

$$\mathrm{MMD}^2(p, q) = \mathbb{E}\, k(x, x') - 2\, \mathbb{E}\, k(x, y) + \mathbb{E}\, k(y, y')$$

Its estimate from samples has no bias, which means that it is right on average. So for two samples of one distribution
it is 0 on average, and often negative. KID, a common score of generated images, is this estimate on features: numbers
that a network has computed from each image (Binkowski et al. 2018).

## Two normals that move apart

Take $\mathcal{N}(0, s^2)$ and $\mathcal{N}(m, s^2)$, and let the shift $m$ grow.

$$\mathrm{KL} = \frac{m^2}{2 s^2}$$

$$W_1 = |m|$$

The JSD rises to $\log 2$ and the total variation to 1, and there they stay: their slope in $m$ vanishes. The KL of two
normals does not saturate, it grows with the square of the shift. But it is infinite as soon as one density is 0 where
the other is not, as for images on two separate surfaces. $W_1$ grows by 1 for each unit of the shift. This is the
argument for Wasserstein GANs (Arjovsky et al. 2017, example 1).

## Predict, then look

Which of KL, JSD, TV, $W_1$ and MMD can still tell a shift of 5 from a shift of 6?

{figure}

The first panel shows sorted samples: the area between the curves is $W_1$. The second shows the distances by the
shift; the KL leaves the picture upwards. Its MMD, the root of $\mathrm{MMD}^2$, uses the sum of seven kernels of
different widths, so it can be larger than with one kernel. Far apart it rises slowly, but it still rises. The third
panel shows 400 estimates of $\mathrm{MMD}^2$ from 100 samples, for equal normals and for a shift of 0.1.

## In twenty lines

```python
import jax
import jax.numpy as jnp
import numpy as np

key_x, key_y = jax.random.split(jax.random.key(0))
x, y = jax.random.normal(key_x, (500,)), 2.0 + jax.random.normal(key_y, (500,))

def w1(x, y):
    return jnp.abs(jnp.sort(x) - jnp.sort(y)).mean()

def kernel(a, b):
    return jnp.exp(-((a[:, None] - b[None]) ** 2) / 2)

def mmd2(x, y):
    '''Pairs of a point with itself are left out: they would always agree.'''
    n = len(x)
    within = lambda k: (k.sum() - jnp.trace(k)) / (n * (n - 1))
    return within(kernel(x, x)) - 2 * kernel(x, y).mean() + within(kernel(y, y))

from gen.probability import divergences
assert np.isclose(w1(x, y), divergences.wasserstein(np.asarray(x), np.asarray(y)), atol=1e-5)
library = divergences.squared_mmd(x[:, None], y[:, None], lambda a, b: kernel(a[:, 0], b[:, 0]))
assert np.isclose(mmd2(x, y), library, atol=1e-5)
print("W1:", w1(x, y), "MMD^2:", mmd2(x, y))
```

## Turn the knob

`SCALE` in `experiments/lecture/distances.py` is the scale $s$ of both normals. Double it: which curves stretch to the
right, and which one stays?

```bash
python scripts/lecture.py --only=distances
```

## Exercises

1. Two point masses, at 0 and at $m$. Compute TV, JSD and $W_1$ for $m = 1$ and $m = 100$.

<details><summary>Answer</summary>

They share no point, so $\mathrm{TV} = 1$ and $\mathrm{JSD} = \log 2$ for both. $W_1 = m$.

```python
p, q = np.array([1.0, 0.0]), np.array([0.0, 1.0])
assert divergences.total_variation(p, q) == 1 and np.isclose(divergences.jensen_shannon(p, q), np.log(2))
for m in (1.0, 100.0):
    assert divergences.wasserstein(np.array([0.0]), np.array([m])) == m
```

</details>

2. Why is $W_1$ of two normals with the same scale exactly $|m|$?

<details><summary>Answer</summary>

$F_q^{-1}(u) = F_p^{-1}(u) + m$ for every $u$, so the integrand is $|m|$ everywhere.

```python
assert np.isclose(w1(jnp.sort(x), jnp.sort(x) + 3.0), 3.0, atol=1e-5)
```

</details>
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from gen.estimates import estimate
from gen.figures.curves import COLOURS
from gen.figures.panels import INK, legends, panels
from gen.figures.points import DATA_COLOUR, SAMPLE_COLOUR
from gen.lecture import Lesson
from gen.probability.divergences import (
    inverse_multiquadratic,
    jensen_shannon,
    kl_gaussian,
    squared_mmd,
    total_variation,
    wasserstein,
)

TITLE = "Distances between samples"
SHOWS = (wasserstein, squared_mmd, kl_gaussian, jensen_shannon, total_variation)

SCALE, N = 0.5, 4_000
"""Of both normals; samples of each."""

SHIFTS = np.linspace(0, 6, 25)
EDGES = np.linspace(-4, 10, 2_801)
SMALL, REPEATS, MOVED = 100, 400, 0.1
"""Samples of an estimate of MMD^2, estimates, and the shift of those that are not of one distribution."""


def masses(shift: float) -> np.ndarray:
    """Of the normal around `shift`."""
    return np.diff(stats.norm.cdf(EDGES, shift, SCALE))


def estimates(shift: float) -> np.ndarray:
    """Of MMD^2 between two samples of normals this far apart."""
    x, y = SCALE * jax.random.normal(jax.random.key(1), (2, REPEATS, SMALL, 1))
    return np.asarray(jax.jit(jax.vmap(lambda x, y: squared_mmd(x, y, inverse_multiquadratic)))(x, y + shift))


def run(folder) -> Lesson:
    """Moves one of two normals away from the other."""
    x, y = SCALE * np.random.default_rng(0).normal(size=(2, N))
    variance = np.full((len(SHIFTS), 1, 1), SCALE**2)
    found = {
        "KL (nats)": kl_gaussian(SHIFTS[:, None], variance, np.zeros((len(SHIFTS), 1)), variance),
        "W_1 of samples": [wasserstein(x, y + m) for m in SHIFTS],
        "JSD (nats)": [jensen_shannon(masses(0), masses(m)) for m in SHIFTS],
        "TV": [total_variation(masses(0), masses(m)) for m in SHIFTS],
        "MMD of samples": [float(np.sqrt(max(squared_mmd(
            jnp.asarray(x[:1_000, None]), jnp.asarray(y[:1_000, None] + m), inverse_multiquadratic), 0)))
            for m in SHIFTS],
    }
    off = np.abs(np.array(found["W_1 of samples"]) - SHIFTS).max()
    error = SCALE * np.sqrt(2 / N)
    far = SHIFTS >= 4
    slopes = {name: np.polyfit(SHIFTS[far], np.array(values)[far], 1)[0] for name, values in found.items()}
    same, moved = estimates(0.0), estimates(MOVED)
    of_same = estimate(same.tolist())
    numbers = {"W_1: largest difference from the shift": off, "standard error of a difference of means": error,
               "KL less m^2 / (2 s^2), at most": np.abs(found["KL (nats)"] - SHIFTS**2 / (2 * SCALE**2)).max(),
               "JSD of the farthest": found["JSD (nats)"][-1], "log 2": np.log(2)}
    numbers |= {f"{name}: slope where they hardly overlap": slope for name, slope in slopes.items()}
    numbers |= {"MMD^2 of one distribution: mean": of_same.mean, "its standard error": of_same.error,
                "share of these estimates below 0": (same < 0).mean(),
                f"MMD^2 at a shift of {MOVED}: mean": moved.mean()}
    holds = (off < 4 * error and abs(slopes["W_1 of samples"] - 1) < 0.01 and abs(slopes["JSD (nats)"]) < 1e-3
             and abs(slopes["TV"]) < 1e-3 and slopes["KL (nats)"] > 10
             and numbers["KL less m^2 / (2 s^2), at most"] < 1e-9 and abs(of_same.mean) < 4 * of_same.error)
    claim = ("Where the densities hardly overlap JSD and TV are flat, W_1 of samples grows by 1 for each unit of the "
             "shift, and the KL, m^2 / (2 s^2), by more than 10. MMD^2 of two samples of one distribution is 0 on "
             "average, within four standard errors.")
    return Lesson(draw(x, y, found, same, moved), numbers, claim, bool(holds))


def draw(x, y, found, same, moved):
    """Sorted samples of two normals, all distances by the shift, and the estimates of MMD^2."""
    figure, (left, middle, right) = panels(["sorted samples: the area is W₁", "distance by the shift",
                                            f"MMD² of {SMALL} samples"])
    u, shift = np.linspace(0, 1, 200), 2.0
    a, b = (np.quantile(v, u) for v in (x, y + shift))
    left.fill_betweenx(u, a, b, color=DATA_COLOUR, alpha=0.3, linewidth=0, label=f"area = {np.abs(a - b).mean():.2f}")
    left.plot(a, u, color=COLOURS[0], linewidth=1.4, label="x")
    left.plot(b, u, color=SAMPLE_COLOUR, linewidth=1.4, label=f"y, shifted by {shift:g}")
    left.set(xlabel="value", ylabel="share of the samples below", xlim=(-7, 4.5), ylim=(0, 1))
    for (name, values), colour in zip(found.items(), COLOURS, strict=False):
        middle.plot(SHIFTS, values, color=colour, linewidth=1.4, label=name.split()[0].replace("W_1", "W₁"))
    middle.set(xlabel="shift m", xlim=(0, 6), ylim=(0, 14))
    bins = np.linspace(min(same.min(), moved.min()), max(same.max(), moved.max()), 41)
    for values, colour, label in ((same, COLOURS[0], "one distribution"), (moved, SAMPLE_COLOUR, f"m = {MOVED}")):
        right.hist(values, bins, color=colour, alpha=0.5, label=label)
    right.axvline(0, color=INK, linewidth=0.9, linestyle=":")
    right.set(xlabel="estimate of MMD²")
    legends([left, right])
    legends([middle], loc="upper right")
    return figure
