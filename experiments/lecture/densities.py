r"""A generative model is a probability distribution that is learned from examples. It can do one or more of three
things: draw new examples, say how probable an example is, and find what lies behind an example. This chapter begins
with the simplest examples there are, numbers on a line.

**After this chapter** you can tell a density from a probability, and go from a density to its distribution function and
back.

**You need** calculus: integrals and derivatives. Each chapter has some code in Python, with JAX in the place of numpy.
You can follow the text without it. Four things are not in numpy: `jax.grad(f)` is the derivative of `f`; `jax.vmap(f)`
applies `f` to each row of an array; `jax.jit(f)` is the same function, but faster; and `jax.random.key(0)` is the start
of a sequence of random numbers, which `jax.random.split` divides into several. The lines from `from gen` on compare the
result with this project's library. The code of an exercise continues the cell above it.

## Area and slope

A random number $X$ has the density $p$ if the probability of an interval is the area below $p$:

$$P(a < X \le b) = \int_a^b p(x) \, dx$$

Here $P$ stands for the probability of what is in its parentheses. The distribution function $F$ collects the area from
the left. So areas are differences of $F$, and $p$ is its slope:

$$F(a) = P(X \le a) = \int_{-\infty}^a p(x) \, dx$$

$$p(x) = F'(x)$$

A density is not a probability. It may be larger than 1: a number that is uniform on $[0, 1/2]$, which means that no
place there is more likely than another, has the density 2 there. Only the area is bounded by 1.

The densities of this course are mostly normals and mixtures of them. A normal, also called a Gaussian, is a bell. Its
mean $m$ is the place of its top, and its standard deviation $s$, also called its scale, is its width: two thirds of the
area lie within $s$ of $m$, and 95 % within $2 s$. The standard normal has $m = 0$ and $s = 1$. A hump of a density is
also called a mode.

$$\mathcal{N}(x; m, s^2) = \frac{1}{s \sqrt{2 \pi}} \exp\left( -\frac{(x - m)^2}{2 s^2} \right)$$

A mixture is drawn in two steps: first one of $K$ normals, each as likely as the others, then a number from it. Its
density is the mean of theirs:

$$p(x) = \frac{1}{K} \sum_{k=1}^{K} \mathcal{N}(x; m_k, s^2)$$

## Predict, then look

The density has two humps. Where is its distribution function steepest, where is it flat, and what is its value in the
middle between the humps?

{figure}

The shaded area in the first panel is the height of the band in the second. The slope of the dashed tangent in the
second panel is the height of the density at the marked point of the first.

## In twenty lines

```python
import jax
import jax.numpy as jnp

def normal(x, m, s):
    return jnp.exp(-((x - m) ** 2) / (2 * s**2)) / (s * jnp.sqrt(2 * jnp.pi))

def p(x):
    return (normal(x, -1.5, 0.5) + normal(x, 1.5, 0.5)) / 2

def cdf(a, n=20_000):
    '''The area from the left, by the trapezoidal rule.'''
    x = jnp.linspace(-8.0, a, n)
    return jnp.trapezoid(p(x), x)

area = cdf(2.0) - cdf(1.0)
slope = (cdf(1.01) - cdf(0.99)) / 0.02
assert abs(slope - p(1.0)) < 1e-2

import numpy as np
from gen.data import mixtures
data = {"name": "line", "modes": 2, "spacing": 3.0, "std": 0.5}
assert abs(cdf(0.7) - mixtures.cdf(data)(np.array([0.7]))[0]) < 1e-4
assert abs(jnp.log(p(0.7)) - mixtures.log_density(data)(np.array([[0.7]]))[0]) < 1e-4
print("P(1 < X <= 2) =", area, " slope at 1:", slope, " density at 1:", p(1.0))
```

## Turn the knob

`DATA["std"]` in `experiments/lecture/densities.py` is the scale of both humps. At which scale do the two humps become
one?

```bash
python scripts/lecture.py --only=densities
```

## Exercises

1. $X$ is uniform on $[0, 1/2]$. Write down $p$ and $F$, and check that the slope of $F$ is $p$.

<details><summary>Answer</summary>

$p(x) = 2$ and $F(x) = 2x$ on $[0, 1/2]$.

```python
F = lambda x: jnp.clip(2 * x, 0, 1)
assert jax.grad(F)(0.3) == 2.0 and F(0.5) == 1.0
```

</details>

2. Two normals of scale $s$ stand at $-1$ and $1$. For which $s$ does their mixture have one hump only?

<details><summary>Answer</summary>

The second derivative at 0 is proportional to $1 / s^2 - 1$. It is negative, a hump in the middle, for $s > 1$.

```python
def curvature(s):
    return jax.grad(jax.grad(lambda x: (normal(x, -1.0, s) + normal(x, 1.0, s)) / 2))(0.0)
assert curvature(0.9) > 0 and curvature(1.1) < 0
```

</details>
"""

import numpy as np

from gen.data import mixtures
from gen.figures.curves import COLOURS
from gen.figures.panels import INK, legends, panels
from gen.figures.points import DATA_COLOUR
from gen.lecture import Lesson

TITLE = "Densities and distribution functions"
SHOWS = (mixtures.log_density, mixtures.cdf)

DATA = {"name": "line", "modes": 2, "spacing": 3.0, "std": 0.5}
X = np.linspace(-4, 4, 8_001)
INTERVAL, PLACE = (1.0, 2.0), -1.0
"""Whose area is shown, and where the slope is."""


def density(x):
    """Of the data at points [n]."""
    return np.exp(mixtures.log_density(DATA)(np.asarray(x)[:, None]))


def run(folder) -> Lesson:
    """Compares areas of the density with differences of the distribution function, and its slopes with the density."""
    p, cdf = density(X), mixtures.cdf(DATA)
    areas = np.concatenate([[0], np.cumsum((p[1:] + p[:-1]) / 2 * np.diff(X))]) + cdf(X[:1])
    inside = (INTERVAL[0] < X) & (INTERVAL[1] >= X)
    numbers = {"area of the density": areas[-1], "F beyond the data": float(cdf(np.array([9.0]))[0]),
               "largest difference of an area from F": np.abs(areas - cdf(X)).max(),
               "largest difference of a slope from p": np.abs(np.gradient(cdf(X), X) - p).max(),
               "P(1 < X <= 2) as an area": (p[inside] * (X[1] - X[0])).sum(),
               "the same as F(2) - F(1)": float(np.diff(cdf(np.array(INTERVAL)))[0])}
    _, _, area_off, slope_off, area, step = numbers.values()
    claim = "Areas of the density are differences of F, and slopes of F are the density, each within 0.001."
    return Lesson(draw(p, cdf(X)), {k: float(v) for k, v in numbers.items()}, claim,
                  bool(max(area_off, slope_off, abs(area - step)) < 1e-3))


def draw(p, cdf):
    """The density with an area, and the distribution function with the same as a step, and a tangent."""
    figure, (left, right) = panels(["density p: areas are probabilities", "distribution function F: p is its slope"])
    inside = (INTERVAL[0] <= X) & (INTERVAL[1] >= X)
    low, high = (np.interp(edge, X, cdf) for edge in INTERVAL)
    at, height = np.interp(PLACE, X, cdf), float(density([PLACE])[0])
    left.plot(X, p, color=INK, linewidth=1.3)
    left.fill_between(X[inside], p[inside], color=COLOURS[0], alpha=0.4, linewidth=0,
                      label=f"area {high - low:.2f} = P(1 < X <= 2)")
    left.plot([PLACE, PLACE], [0, height], color=COLOURS[1], linewidth=1.4, label=f"p({PLACE:g}) = {height:.2f}")
    right.plot(X, cdf, color=INK, linewidth=1.3)
    for value in (low, high):
        right.axhline(value, color=COLOURS[0], linewidth=0.9, linestyle=":")
    right.fill_betweenx([low, high], -4, 4, color=COLOURS[0], alpha=0.15, linewidth=0,
                        label=f"F(2) - F(1) = {high - low:.2f}")
    near = np.array([-0.9, 0.9])
    right.plot(PLACE + near, at + height * near, color=COLOURS[1], linewidth=1.4, linestyle="--",
               label=f"slope {height:.2f} at {PLACE:g}")
    right.axvline(0, color=DATA_COLOUR, linewidth=0.6)
    left.set(xlim=(-4, 4), ylim=(0, 0.62), xlabel="x")
    right.set(xlim=(-4, 4), ylim=(0, 1.02), xlabel="x")
    legends([left, right])
    return figure
