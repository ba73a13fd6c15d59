"""Sampling from a density known up to a constant: rejection and importance sampling.

`q` is a `gen.distributions` object of n independent scalars: its shape says how many samples there are.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from gen.distributions.elementary import Distribution

LogDensity = Callable[[Float[Array, "n"]], Float[Array, "n"]]


def rejection(key: PRNGKeyArray, log_p: LogDensity, q: Distribution, log_bound: float
              ) -> tuple[Float[Array, "n"], Bool[Array, "n"]]:
    """Proposals x ~ q, and which of them are accepted: with probability p(x) / (M q(x)), M = exp(log_bound).

    Where p <= M q everywhere, the accepted ones are samples of p / Z, and their share is Z / M, Z the integral of p
    (von Neumann 1951).
    """
    proposal_key, accept_key = jax.random.split(key)
    x = q.sample(proposal_key)
    log_u = jnp.log(jax.random.uniform(accept_key, x.shape))
    return x, log_u < log_p(x) - q.log_prob(x) - log_bound


def importance(key: PRNGKeyArray, log_p: LogDensity, q: Distribution) -> tuple[Float[Array, "n"], Float[Array, "n"]]:
    """Samples x ~ q and their log-weights log w = log p(x) - log q(x), in nats.

    E_p[f] = E_q[w f] / E_q[w], estimated by sum_i normalised(log w)_i f(x_i); log Z by `log_mean_exp`.
    """
    x = q.sample(key)
    return x, log_p(x) - q.log_prob(x)


def log_mean_exp(log_w: Float[Array, "k *b"]) -> Float[Array, "*b"]:
    """log (1/k) sum_k exp(log_w_k)."""
    return jax.nn.logsumexp(log_w, axis=0) - jnp.log(len(log_w))


def normalised(log_w: Float[Array, "k *b"]) -> Float[Array, "k *b"]:
    """The self-normalised importance weights w_k / sum_k w_k."""
    return jax.nn.softmax(log_w, axis=0)


def effective_sample_size(log_w: Float[Array, "k *b"]) -> Float[Array, "*b"]:
    """1 / sum_k v_k^2 of the normalised weights v: k where all are equal, 1 where one has all (Kong 1992)."""
    return 1 / jnp.square(normalised(log_w)).sum(0)
