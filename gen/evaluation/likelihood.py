"""log p(x) of latent-variable models in nats: importance weighting, and annealed importance sampling from both ends.

The functions take a model as functions of arrays; `log_likelihood` and `bidirectional` apply them to a run.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from gen.config.ranges import Count, Natural, NonNegative
from gen.data import decoder
from gen.distributions.likelihoods import LIKELIHOODS
from gen.evaluation.checks import LEAST_STEPS, at_least, of_stored
from gen.evaluation.comparison import word
from gen.evaluation.types import Subject
from gen.families.types import Batch, TrainState
from gen.probability.sampling import log_mean_exp
from gen.rng import stream

CHUNK = 100
"""Posterior samples of an example that are decoded together."""

Sampler = Callable[[PRNGKeyArray, int], Float[Array, "k b"]]
Density = Callable[[Float[Array, "k b d"]], Float[Array, "k b"]]


def importance_weighted(log_weights: Sampler, key: PRNGKeyArray, samples: int, chunk: int) -> Float[Array, "b"]:
    """log (1/S) sum_s w_s of each example with S = `samples` posterior samples (Burda et al. 2016, section 5).

    A lower bound of log p(x) in expectation that tightens with S. The samples come in chunks, their weights summed by
    a running logsumexp, so that memory does not grow with S.

    Args:
      log_weights: (key, k) -> log p(x, z_k) - log q(z_k | x) of k fresh samples, in nats.
      chunk: samples at a time.
    """
    def body(i, total):
        log_w = log_weights(jax.random.fold_in(key, i), chunk)
        inside = i * chunk + jnp.arange(chunk) < samples
        return jnp.logaddexp(total, jax.nn.logsumexp(jnp.where(inside[:, None], log_w, -jnp.inf), axis=0))

    shape = jax.eval_shape(partial(log_weights, k=chunk), key).shape
    total = jax.lax.fori_loop(0, -(-samples // chunk), body, jnp.full(shape[1:], -jnp.inf))
    return total - jnp.log(samples)


class Annealing(NamedTuple):
    """A path from p(z) to p(z|x), and how the chains move along it.

    Attributes:
      ladder: inverse temperatures t of the intermediate distributions p(z) p(x|z)^t.
      step_sizes: of the Hamiltonian trajectory at each of them, for each example.
      leapfrogs: steps of a trajectory.
    """

    ladder: Float[Array, "t"]
    step_sizes: Float[Array, "t b"]
    leapfrogs: int

    def reversed(self) -> "Annealing":
        """The path from p(z|x) to p(z)."""
        return Annealing(self.ladder[::-1], self.step_sizes[::-1], self.leapfrogs)


def temperatures(n: int) -> Float[Array, "n"]:
    """n inverse temperatures from 0 to 1, dense at both ends: sigmoid(u), u in [-4, 4], stretched (Wu et al. 2017)."""
    s = jax.nn.sigmoid(jnp.linspace(-4, 4, n))
    return (s - s[0]) / (s[-1] - s[0])


def tuned(log_prior: Density, log_likelihood: Density, z: Float[Array, "k b d"], key: PRNGKeyArray,
          ladder: Float[Array, "t"], leapfrogs: int, target: NonNegative[float] = 0.65) -> Annealing:
    """Finds step sizes by a pilot run from z ~ p(z): 2 % more or less after each trajectory.

    They aim at `target` acceptance. The chains that count then move with fixed step sizes, as the bounds require.
    """
    def body(carry, inputs):
        z, step_size = carry
        t, key = inputs
        z, accepted = hamiltonian_step(lambda z: log_prior(z) + t * log_likelihood(z), z, key, step_size, leapfrogs)
        step_size = jnp.clip(step_size * jnp.where(accepted.mean(0) > target, 1.02, 0.98), 1e-4, 2.0)
        return (z, step_size), step_size

    initial = (z, jnp.full(z.shape[1:2], 0.1))
    _, step_sizes = jax.lax.scan(body, initial, (ladder, jax.random.split(key, len(ladder))))
    return Annealing(ladder, step_sizes, leapfrogs)


def annealed(log_prior: Density, log_likelihood: Density, z: Float[Array, "k b d"], key: PRNGKeyArray,
             path: Annealing) -> Float[Array, "k b"]:
    """Log-weights of k annealed chains of each example (Neal 2001; Wu et al. 2017, algorithm 1).

    From z ~ p(z), the mean of w estimates p(x) without bias: `log_mean_exp` of the log-weights is a lower bound of
    log p(x) in expectation. From an exact sample z ~ p(z|x) along `path.reversed()`, the mean of w estimates 1 / p(x):
    -`log_mean_exp` is an upper bound (Grosse et al. 2015, bidirectional Monte Carlo).
    """
    def body(carry, inputs):
        z, log_w = carry
        before, after, step_size, key = inputs
        log_w += (after - before) * log_likelihood(z)
        z, _ = hamiltonian_step(
            lambda z: log_prior(z) + after * log_likelihood(z), z, key, step_size, path.leapfrogs)
        return (z, log_w), None

    keys = jax.random.split(key, len(path.ladder) - 1)
    steps = (path.ladder[:-1], path.ladder[1:], path.step_sizes[1:], keys)
    (_, log_w), _ = jax.lax.scan(body, (z, jnp.zeros(z.shape[:2])), steps)
    return log_w


def hamiltonian_step(log_density: Density, z: Float[Array, "k b d"], key: PRNGKeyArray, step_size: Float[Array, "b"],
                     leapfrogs: int) -> tuple[Float[Array, "k b d"], Float[Array, "k b"]]:
    """One trajectory of Hamiltonian Monte Carlo (Neal 2011, section 5.3.2). Returns (z, 1 where it was accepted)."""
    gradient = jax.grad(lambda z: log_density(z).sum())
    momentum_key, accept_key = jax.random.split(key)
    momentum, epsilon = jax.random.normal(momentum_key, z.shape), step_size[..., None]

    def leapfrog(carry, _):
        position, momentum = carry
        position = position + epsilon * momentum
        return (position, momentum + epsilon * gradient(position)), None

    half = momentum + 0.5 * epsilon * gradient(z)
    (proposal, last), _ = jax.lax.scan(leapfrog, (z, half), None, length=leapfrogs)
    last = last - 0.5 * epsilon * gradient(proposal)

    def energy(z, momentum):
        return 0.5 * jnp.square(momentum).sum(-1) - log_density(z)

    log_ratio = energy(z, momentum) - energy(proposal, last)
    accept = jnp.log(jax.random.uniform(accept_key, log_ratio.shape)) < log_ratio
    return jnp.where(accept[..., None], proposal, z), jnp.float32(accept)


def test_examples(subject: Subject, n: int, key: PRNGKeyArray) -> Batch:
    """The first n test examples (0: all), decoded; dynamic binarisation draws from `key`.

    Raises UserError for more than there are.
    """
    n = of_stored(n, len(subject.dataset.test["x"]), "The number of test examples")
    raw = {name: v[:n] for name, v in subject.dataset.test.items()}
    return decoder(subject.config.data)(jax.device_put(raw), key)


def batches(batch: Batch, size: int) -> Iterator[tuple[Batch, int]]:
    """Yields (examples, how many of them count): all of the same size, the last one filled up with its last example."""
    n = len(batch["x"])
    for i in range(-(-n // size)):
        yield filled(batch, i, size), min(size, n - i * size)


def filled(batch: Batch, i: int, size: int) -> Batch:
    """The i-th `size` examples of a batch, filled up with its last one where there are no more."""
    rows = np.minimum(np.arange(i * size, (i + 1) * size), len(batch["x"]) - 1)
    return {name: v[rows] for name, v in batch.items()}


def log_likelihood_per_example(subject: Subject, samples: int, examples: int, rows: int) -> Float[np.ndarray, "n"]:
    """Importance-weighted log p(x) of the first `examples` test examples (0: all), in nats, in order.

    Images and samples are batched so that about `rows` latents are decoded at a time: that bounds the memory.
    """
    n = of_stored(examples, len(subject.dataset.test["x"]), "The number of test examples")
    size = together(at_least(1, samples, "The number of samples"), n, rows)
    parts = subject.parts("log_likelihood", -(-n // size), weighed, samples=samples, examples=n, rows=rows)
    return np.concatenate(parts)[:n]


def together(samples: int, examples: int, rows: int) -> int:
    """Test examples that are weighed together."""
    return max(1, min(rows // min(samples, CHUNK, rows), examples))


def weighed(subject: Subject, samples: int, examples: int, rows: int) -> Callable[[int], Float[np.ndarray, "_"]]:
    """The function that gives the i-th batch's log p(x); the last batch is filled up with its last example."""
    log_weights = subject.method("log_weights")
    key, chunk = stream(subject.state.key, "log likelihood"), min(samples, CHUNK, rows)
    batch, size = test_examples(subject, examples, stream(key, "decode")), together(samples, examples, rows)

    @jax.jit
    def evaluate(state: TrainState, batch: Batch, i: Int[Array, ""]):
        weights = partial(log_weights, state, batch)
        return importance_weighted(weights, stream(key, "samples", i), samples, chunk)

    return lambda i: np.asarray(evaluate(subject.state, filled(batch, i, size), i))


def log_likelihood(subject: Subject, samples: Count = 5_000, examples: Natural = 0, rows: Count = 4_000
                   ) -> dict[str, float]:
    """Mean importance-weighted log p(x) of test examples in nats, and in bits per dimension where pixels are quantised.

    `samples`: S. `examples`: the first ones, 0 for all. `rows`: latents decoded at a time.
    """
    mean = log_likelihood_per_example(subject, samples, examples, rows).mean(dtype=np.float64)
    name, dimensions = f"iw{word(samples)}", math.prod(subject.dataset.spec.shape)
    results = {f"log_likelihood_{name}": float(mean)}
    if LIKELIHOODS[subject.config.likelihood.name].quantized:
        results[f"bits_per_dim_{name}"] = float(-mean / (dimensions * math.log(2)))
    return results


def bidirectional(subject: Subject, examples: Natural = 32, chains: Count = 8, steps: Count = 500, leapfrogs: Count = 10
                  ) -> dict[str, float]:
    """Annealed importance sampling from both ends (Wu et al. 2017), in nats.

    `log_likelihood_ais`: a lower bound of the mean log p(x) of the first test examples (0: all).
    `ais_lower_simulated` and `ais_upper_simulated`: bounds for examples drawn from the model itself, whose exact
    posterior samples are known; `ais_gap`, their difference, says how far the first one can be trusted.
    """
    log_joint, simulate = subject.method("log_joint"), subject.method("simulate")
    examples = of_stored(examples, len(subject.dataset.test["x"]), "The number of test examples")
    steps = at_least(LEAST_STEPS["annealed_log_likelihood"], steps, "The number of temperatures")
    latents, key = subject.method("latents"), stream(subject.state.key, "annealing")

    @jax.jit
    def bounds(state: TrainState, real: Batch):
        def densities(batch):
            return (lambda z: log_joint(state, batch, z)[0]), (lambda z: log_joint(state, batch, z)[1])

        def prior(name):
            z = latents(state, stream(key, name), chains * examples)
            return z.reshape(chains, examples, -1)

        def lower(batch, name):
            pilot = prior(f"{name} pilot"), stream(key, f"{name} pilot steps")
            path = tuned(*densities(batch), *pilot, temperatures(steps), leapfrogs)
            log_w = annealed(*densities(batch), prior(name), stream(key, f"{name} chains"), path)
            return log_mean_exp(log_w), path

        simulated, z = simulate(state, stream(key, "simulate"), examples)
        below, path = lower(simulated, "simulated")
        z = jnp.broadcast_to(z, (chains, *z.shape))
        above = -log_mean_exp(annealed(*densities(simulated), z, stream(key, "reverse"), path.reversed()))
        return lower(real, "real")[0].mean(), below.mean(), above.mean()

    real = test_examples(subject, examples, stream(key, "decode"))
    real, below, above = map(float, bounds(subject.state, real))
    return {"log_likelihood_ais": real, "ais_lower_simulated": below, "ais_upper_simulated": above,
            "ais_gap": above - below}
