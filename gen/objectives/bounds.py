"""Bounds on log p(x) as functions of the terms of k posterior samples, in nats per example.

A bound is a function (terms, **options) -> Float[b] to be maximised. Its float options are leaves of the
TrainState (`hypers`), so that a sweep over them compiles once.
"""

import math
from typing import NamedTuple

import jax
from jaxtyping import Array, Float

Scalar = float | Float[Array, ""]


class Terms(NamedTuple):
    """The terms of the variational bound for z_1..z_k ~ q(z|x), in nats, summed over the event.

    Attributes:
      log_likelihood: log p(x | z_k).
      log_prior: log p(z_k).
      log_posterior: log q(z_k | x).
      kl: KL(q(z|x) || p(z)) in closed form.
    """

    log_likelihood: Float[Array, "k b"]
    log_prior: Float[Array, "k b"]
    log_posterior: Float[Array, "k b"]
    kl: Float[Array, "b"]

    @property
    def log_w(self) -> Float[Array, "k b"]:
        """log p(x, z_k) - log q(z_k | x)."""
        return self.log_likelihood + self.log_prior - self.log_posterior


def elbo(terms: Terms, beta: Scalar = 1.0) -> Float[Array, "b"]:
    """E_q[log p(x|z)] - beta KL(q(z|x) || p(z)) with the KL in closed form.

    beta = 1 is the evidence lower bound (Kingma & Welling 2014, eq. 10); beta > 1 is the beta-VAE
    (Higgins et al. 2017, eq. 4).
    """
    return terms.log_likelihood.mean(0) - beta * terms.kl


def iwae(terms: Terms) -> Float[Array, "b"]:
    """log 1/k sum_i w_i: the importance-weighted bound, the ELBO at k = 1 (Burda et al. 2016, eq. 8)."""
    return jax.nn.logsumexp(terms.log_w, axis=0) - math.log(len(terms.log_w))


BOUNDS = {"elbo": elbo, "iwae": iwae}
