"""A density known up to a constant, p(x) = exp(-2 (x^2 - 1)^2) / Z, has no inverse to sample by.

Two ways round it, from samples of another density q:

    rejection     keep x ~ q with probability p(x) Z / (M q(x)): exact samples, a share Z / M of all
    importance    keep all, with weights w = p(x) Z / q(x): E_p[f] = E_q[w f] / E_q[w], Z = E_q[w]

Either way an expectation is a mean of n numbers, off by its standard deviation over the root of n, whatever the
dimension: a tenth of the error costs a hundred times the samples. What depends on q is how many of them count: the
share accepted, or the effective sample size, (sum w)^2 / sum w^2. Where q is too narrow, few weights have all the mass
and the error estimate itself is wrong. The importance-weighted bound of a VAE is the second way with its encoder as q.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import integrate

from gen.distributions import Normal
from gen.estimates import estimate
from gen.figures.curves import COLOURS
from gen.figures.panels import legends, panels
from gen.figures.points import DATA_COLOUR, render
from gen.lecture import Lesson
from gen.probability.sampling import effective_sample_size, importance, normalised, rejection

TITLE = "Monte Carlo"
SHOWS = (rejection, importance, effective_sample_size, estimate)

SCALE, N = 1.2, 40_000
"""Of q = N(0, SCALE^2); samples."""

X = np.linspace(-3, 3, 601)
SIZES, REPEATS = (30, 100, 300, 1_000, 3_000, 10_000), 100


def log_p(x):
    """Up to log Z."""
    return -2 * jnp.square(jnp.square(x) - 1)


def proposal(n: int, scale: float = SCALE) -> Normal:
    """q, n times."""
    return Normal(jnp.zeros(n), jnp.full(n, jnp.log(scale)))


def integral(power: int) -> float:
    """Of x^power exp(log_p(x)), by quadrature."""
    return integrate.quad(lambda x: x**power * np.exp(-2 * (x**2 - 1) ** 2), -5, 5)[0]


def errors() -> np.ndarray:
    """Root mean squared error of E[x^2] by importance sampling, for each of SIZES."""
    def one(key):
        x, log_w = importance(key, log_p, proposal(max(SIZES)))
        return jnp.array([(normalised(log_w[:n]) * jnp.square(x[:n])).sum() for n in SIZES])

    found = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(2), REPEATS))
    return np.sqrt(np.square(np.asarray(found) - integral(2) / integral(0)).mean(0))


def run(folder) -> Lesson:
    """Estimates Z in both ways, and the error of an expectation by the number of samples."""
    q, z = proposal(N), integral(0)
    log_bound = float((log_p(X) - proposal(len(X)).log_prob(jnp.asarray(X))).max())
    x, accepted = map(np.asarray, rejection(jax.random.key(0), log_p, q, log_bound))
    share = estimate(accepted.astype(float).tolist())
    weights = estimate(np.exp(np.float64(importance(jax.random.key(1), log_p, q)[1])).tolist())
    scales = np.geomspace(0.15, 6, 25)
    sizes = [float(effective_sample_size(importance(jax.random.key(1), log_p, proposal(N, s))[1]) / N) for s in scales]
    found, bound = errors(), np.exp(log_bound)
    slope = np.polyfit(np.log(SIZES), np.log(found), 1)[0]
    numbers = {"Z by quadrature": z, "Z by rejection": share.mean * bound, "its standard error": share.error * bound,
               "Z by importance": weights.mean, "its standard error too": weights.error,
               "share accepted": share.mean, "greatest effective share of the samples": max(sizes),
               "power of n in the error": slope}
    holds = (abs(share.mean * bound - z) < 4 * share.error * bound and abs(weights.mean - z) < 4 * weights.error
             and abs(slope + 0.5) < 0.1)
    claim = "Both find Z within four of their standard errors, and the error falls as n to the power -0.5 +- 0.1."
    return Lesson(draw(x[:1_500], accepted[:1_500], bound, scales, sizes, found), numbers, claim, bool(holds))


def draw(x, accepted, bound, scales, sizes, found):
    """Accepted and rejected points under M q, the error by n, and the effective sample size by the scale of q."""
    figure, (left, middle, right) = panels(["rejection", "error of E[x^2], importance", "effective share by q's scale"])
    height = np.random.default_rng(0).uniform(size=len(x))
    (p, q), (at, above) = ((np.exp(np.asarray(v)) for v in (log_p(x), proposal(len(x)).log_prob(jnp.asarray(x))))
                           for x in (X, x))
    y = np.where(accepted, height * at, at + height * (bound * above - at))
    for chosen, colour, label in ((accepted, COLOURS[0], "accepted"), (~accepted, DATA_COLOUR, "rejected")):
        left.scatter(x[chosen], y[chosen], s=3, c=colour, linewidths=0, alpha=0.6, label=label)
    left.plot(X, p, color="#10151c", linewidth=1.2, label="p Z")
    left.plot(X, bound * q, color=COLOURS[1], linewidth=1.2, label="M q")
    left.set(xlim=(-3, 3), ylim=(0, 2.2 * p.max()), xlabel="x")
    middle.loglog(SIZES, found, "o-", color=COLOURS[0], linewidth=1.4, markersize=3.5, label=f"over {REPEATS} repeats")
    middle.loglog(SIZES, found[0] * np.sqrt(SIZES[0] / np.array(SIZES)), color="#10151c", linewidth=0.9, linestyle=":",
                  label="slope -1/2")
    middle.set(xlabel="samples n")
    right.semilogx(scales, sizes, color=COLOURS[0], linewidth=1.4)
    right.set(xlabel="scale of q", ylim=(0, 1), xticks=(0.2, 0.5, 1, 2, 5), xticklabels=(0.2, 0.5, 1, 2, 5))
    right.minorticks_off()
    legends([left, middle])
    return render(figure)
