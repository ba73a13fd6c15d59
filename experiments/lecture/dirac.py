r"""The smallest game of all has one real point, one fake point and a discriminator with one weight. Gradient steps of
both players do not come to rest in it: they circle, and drift outwards. A penalty on the discriminator's slope turns
the circle into a spiral that ends at the equilibrium.

**After this chapter** you can draw the phase plane of a two-player game, explain why simultaneous gradient steps
drift outwards, and say what the penalty R1 changes.

**You need** the value of the game from the chapter on the best discriminator, and derivatives. The phase plane of a
game with two numbers has these numbers as its axes; each point is a state of both players. A dot above a letter is a
derivative in time.

## The game

The real point is at 0. The generator is one number, the fake point $\theta$. The discriminator is one number too, the
slope $\psi$ of its logit, $D(x) = \sigma(\psi x)$ with the logistic function $\sigma(t) = 1 / (1 + e^{-t})$. At the
real point the logit is 0 whatever $\psi$ is, so the value of the game depends on the fake point alone:

$$V(\theta, \psi) = \log \sigma(0) + \log(1 - \sigma(\psi \theta))$$

The generator descends $V$ and the discriminator climbs it. In continuous time the two numbers move with the velocities

$$\dot{\theta} = \sigma(\psi \theta) \, \psi$$

$$\dot{\psi} = -\sigma(\psi \theta) \, \theta$$

At $(\theta, \psi) = (0.7, 0.5)$ these are +0.293 and -0.411: the fake point runs towards larger logits, away from the
real one, and the discriminator turns round to stop it. The only point at rest is $(0, 0)$.

R1 charges the discriminator for its slope at the real point (Mescheder et al. 2018, eq. 9). With the penalty's weight
$\gamma / 2$ its velocity gains one term, a brake:

$$\dot{\psi} = -\sigma(\psi \theta) \, \theta - \gamma \psi$$

<details><summary>Step by step: both velocities, and why the circle closes</summary>

1. $\log(1 - \sigma(t)) = -\log(1 + e^t)$, because $1 - \sigma(t) = 1 / (1 + e^t)$.
2. Its derivative in $t$ is $-e^t / (1 + e^t) = -\sigma(t)$.
3. With $t = \psi \theta$ the chain rule gives $\partial V / \partial \theta = -\sigma(\psi \theta) \psi$ and
   $\partial V / \partial \psi = -\sigma(\psi \theta) \theta$.
4. The generator descends: $\dot\theta = -\partial V / \partial \theta = \sigma(\psi \theta) \psi$.
5. The discriminator climbs: $\dot\psi = \partial V / \partial \psi = -\sigma(\psi \theta) \theta$.
6. The squared distance from the equilibrium changes by
   $\frac{d}{dt} (\theta^2 + \psi^2) = 2 \theta \dot\theta + 2 \psi \dot\psi = 0$: the flow stays on its circle.
7. A step of length $h$ along the tangent leaves the circle. It multiplies $\theta^2 + \psi^2$ by
   $1 + h^2 \sigma(\psi \theta)^2$, which is more than 1, however small $h$ is.
8. With R1 step 6 has the further term $-2 \gamma \psi^2$: the distance shrinks wherever $\psi$ is not 0.

</details>

## Predict, then look

Start at $(1, 0.5)$ and take 400 simultaneous steps of both players. Where does the fake point end without a penalty:
at the real point, on its circle, or farther out? And with R1?

{figure}

The first panel has no penalty, the second has R1 with $\gamma = 0.5$. Arrows show the velocity at each point, the line
shows the steps, the cross is the equilibrium. The third panel follows the distance from it.

## In twenty lines

Plain JAX, with the value of the game alone. The last lines compare it with the library's losses and penalty.

```python
import jax
import jax.numpy as jnp

def value(theta, psi):
    return jnp.log(jax.nn.sigmoid(0.0)) + jnp.log(1 - jax.nn.sigmoid(psi * theta))

def step(point, rate, gamma):
    theta, psi = point
    d_theta, d_psi = jax.grad(value, (0, 1))(theta, psi)
    return theta - rate * d_theta, psi + rate * (d_psi - gamma * psi)

point, rate = (1.0, 0.5), 0.1
for _ in range(100):
    point = step(point, rate, gamma=0.0)

from gen import lecture
chapter = lecture.read("dirac")
same = chapter.steps((1.0, 0.5), gamma=0.0, rate=0.1, n=100)[-1]
assert jnp.allclose(jnp.array(point), same, atol=1e-4)
print("after 100 steps:", point)
```

## Turn the knob

`config.penalties.r1.weight` is $\gamma / 2$. Train the game itself with a weaker brake, and look at `samples.gif`:

```bash
python scripts/train.py --config=experiments/gan/dirac.py:r1 --config.penalties.r1.weight=0.05
```

The same file has other cures and other games: `:instance_noise`, `:wasserstein`, `:alternating`.

## Exercises

1. How many steps does it take to double the distance from the equilibrium without a penalty, if $h = 0.2$ and
   $\sigma(\psi \theta)$ is about $1/2$ all the time?

<details><summary>Answer</summary>

Each step multiplies the squared distance by $1 + h^2 / 4 = 1.01$. The distance doubles when its square is 4 times as
large, after $\log 4 / \log 1.01 \approx 139$ steps.

```python
import math
assert round(math.log(4) / math.log(1 + 0.2**2 / 4)) == 139
path = chapter.steps((0.1, 0.0), gamma=0.0, rate=0.2, n=139)
assert abs(jnp.linalg.norm(path[-1]) / 0.1 - 2) < 0.05
```

</details>

2. Near the equilibrium $\sigma$ is $1/2$ and the velocities are linear. Show that with R1 every start near it moves
   in, for any $\gamma > 0$. When is the path a spiral?

<details><summary>Answer</summary>

The velocities are $\dot\theta = \psi / 2$ and $\dot\psi = -\theta / 2 - \gamma \psi$. The matrix has the trace
$-\gamma < 0$ and the determinant $1/4 > 0$, so both eigenvalues $\lambda$ have a negative real part. The solutions are
sums of terms $e^{\lambda t}$, which go to 0. For $\gamma < 1$ the eigenvalues are complex, and the path is a spiral.

```python
for gamma in (0.01, 0.5, 2.0):
    assert (jnp.linalg.eigvals(jnp.array([[0.0, 0.5], [-0.5, -gamma]])).real < 0).all()
```

</details>
"""

import jax
import jax.numpy as jnp
import numpy as np

from gen.figures.curves import COLOURS
from gen.figures.panels import INK, legends, panels
from gen.figures.points import SAMPLE_COLOUR
from gen.lecture import Lesson
from gen.objectives.adversarial import minimax
from gen.objectives.penalties import r1

TITLE = "Circling: does the game come to rest?"
SHOWS = (minimax, r1)

START, GAMMA, RATE, STEPS = (1.0, 0.5), 0.5, 0.1, 400
LIMIT = 2.6
"""Half width of the plane that is drawn."""


def velocity(point, gamma: float):
    """(theta', psi') at a point [2]: both players' gradients of the library's minimax loss, R1's weight gamma / 2."""
    loss, key = minimax(), jax.random.key(0)

    def losses(theta, psi):
        real, fake = jnp.zeros(1), psi * theta[None]
        penalty = r1(lambda x: psi * x[:, 0], jnp.zeros((1, 1)), theta[None, None], key)
        return loss.generator(real, fake)[0], (loss.discriminator(real, fake) + gamma / 2 * penalty)[0]

    theta, psi = point
    return -jnp.stack([jax.grad(lambda theta: losses(theta, psi)[0])(theta),
                       jax.grad(lambda psi: losses(theta, psi)[1])(psi)])


def steps(start, gamma: float, rate: float = RATE, n: int = STEPS):
    """The points [n + 1, 2] of n simultaneous steps of both players."""
    def step(point, _):
        after = point + rate * velocity(point, gamma)
        return after, after

    start = jnp.asarray(start, jnp.float32)
    return jnp.concatenate([start[None], jax.jit(lambda start: jax.lax.scan(step, start, None, n)[1])(start)])


def run(folder) -> Lesson:
    """Plays the game without and with R1."""
    paths = {"no penalty": np.asarray(steps(START, 0.0)), f"R1, gamma = {GAMMA:g}": np.asarray(steps(START, GAMMA))}
    distances = {name: np.linalg.norm(path, axis=1) for name, path in paths.items()}
    (plain, penalised), sure = distances.values(), 1 / (1 + np.exp(-paths["no penalty"].prod(1)))
    off = np.abs(plain[1:] ** 2 / plain[:-1] ** 2 - 1 - (RATE * sure[:-1]) ** 2).max()
    numbers = {"theta' at (0.7, 0.5)": velocity(jnp.array([0.7, 0.5]), 0.0)[0],
               "psi' at (0.7, 0.5)": velocity(jnp.array([0.7, 0.5]), 0.0)[1], "distance at the start": plain[0],
               "distance at the end, no penalty": plain[-1], "distance at the end, R1": penalised[-1],
               "growth of a squared distance less its formula, at most": off}
    claim = ("Without a penalty every step leads farther out, by the factor 1 + (h sigma)^2 of the squared distance; "
             "with R1 less than a thousandth of the distance is left.")
    holds = (np.diff(plain) > 0).all() and off < 1e-5 and penalised[-1] < 1e-3 * penalised[0]
    return Lesson(draw(paths, distances), {k: float(v) for k, v in numbers.items()}, claim, bool(holds))


def draw(paths, distances):
    """The plane of each game with its field and its path, and the distances from the equilibrium."""
    figure, (*planes, last) = panels([*paths, "distance from the equilibrium"], height=285)
    side = jnp.linspace(-LIMIT, LIMIT, 15)
    grid = jnp.stack(jnp.meshgrid(side, side), -1).reshape(-1, 2)
    for axes, path, gamma in zip(planes, paths.values(), (0.0, GAMMA), strict=True):
        arrows = np.asarray(jax.vmap(lambda point, gamma=gamma: velocity(point, gamma))(grid))
        axes.quiver(*np.asarray(grid).T, *arrows.T, color="#8d98a7", angles="xy", width=0.004, scale=45)
        axes.plot(*path.T, color=SAMPLE_COLOUR, linewidth=1.3)
        axes.plot(*path[0], "o", color=SAMPLE_COLOUR, markersize=5)
        axes.plot(0, 0, "x", color=INK, markersize=7)
        axes.set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), aspect="equal", xlabel="fake point θ", ylabel="slope ψ")
    for (name, values), colour in zip(distances.items(), (COLOURS[1], COLOURS[0]), strict=True):
        last.plot(values, color=colour, linewidth=1.4, label=name)
    last.set(xlabel="step", ylim=(0, None))
    legends([last])
    return figure
