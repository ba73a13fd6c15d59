"""Bounds on log p(x) as functions of the terms of k posterior samples, in nats per example.

A bound is a function (terms, **options) -> Float[b] to be maximised; one that also takes `step` is given the step of
training. Its float options are leaves of the TrainState (`hypers`), so that a sweep over them compiles once. Where
the model and the posterior climb different functions, the bound returns both, as `Sides`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gen.config.ranges import Count, NonNegative, Positive
from gen.errors import UserError
from gen.probability.sampling import log_mean_exp, normalised

Scalar = float | Float[Array, ""]


class Terms(NamedTuple):
    """The terms of the variational bound for z_1..z_k ~ q(z|x), in nats, summed over the event.

    Attributes:
      log_likelihood: log p(x | z_k).
      log_prior: log p(z_k).
      log_posterior: log q(z_k | x).
      log_posterior_held: makes the same numbers with the parameters of q held fixed: gradients flow through z_k alone.
        A function, since in a hierarchy they take the way down once more. None where q is known only along its own
        samples (flows).
      kl: KL(q(z|x) || p(z)) by latent group, in closed form where there is one: of each dimension for a diagonal
        posterior and prior, of each layer in a hierarchy, else as a whole. Without the weight of a warm-up: bounds that
        compare it with a number of nats compare the divergence itself.
      beta: the weight that the terms of z have: 1, or that of the KL warm-up, which is in the log-densities already.
    """

    log_likelihood: Float[Array, "k b"]
    log_prior: Float[Array, "k b"]
    log_posterior: Float[Array, "k b"]
    log_posterior_held: Callable[[], Float[Array, "k b"]] | None
    kl: Float[Array, "b g"]
    beta: NonNegative[Scalar] = 1.0

    @property
    def log_w(self) -> Float[Array, "k b"]:
        """log p(x, z_k) - log q(z_k | x)."""
        return self.log_likelihood + self.log_prior - self.log_posterior

    @property
    def log_w_held(self) -> Float[Array, "k b"]:
        """The same, with the parameters of q held fixed: the path derivative of Roeder et al. 2017."""
        if self.log_posterior_held is None:
            raise UserError("This objective needs log q(z|x) at any z, which a flow does not give: set "
                            "config.posterior.name=normal, or another config.objective.name.")
        return self.log_likelihood + self.log_prior - self.log_posterior_held()

    def tempered(self, beta: Float[Array, ""] | float) -> "Terms":
        """The terms with log p(z) and log q(z|x) times beta: KL warm-up, for any bound."""
        held = self.log_posterior_held
        return Terms(self.log_likelihood, beta * self.log_prior, beta * self.log_posterior,
                     held and (lambda: beta * held()), self.kl, beta * self.beta)


class Sides(NamedTuple):
    """What the parameters of the model (decoder, prior) and those of the posterior climb, where that differs.

    Attributes:
      model: the bound itself, whose value is reported.
      posterior: its gradient counts, its value does not.
    """

    model: Float[Array, "b"]
    posterior: Float[Array, "b"]


def elbo(terms: Terms, beta: NonNegative[Scalar] = 1.0) -> Float[Array, "b"]:
    """E_q[log p(x|z)] - beta KL(q(z|x) || p(z)) with the KL in closed form.

    beta = 1 is the evidence lower bound (Kingma & Welling 2014, eq. 10); beta > 1 is the beta-VAE
    (Higgins et al. 2017, eq. 4).
    """
    return terms.log_likelihood.mean(0) - terms.beta * beta * terms.kl.sum(-1)


def monte_carlo_elbo(terms: Terms) -> Float[Array, "b"]:
    """E_q[log p(x, z) - log q(z|x)], the KL by samples too (Kingma & Welling 2014, eq. 6)."""
    return terms.log_w.mean(0)


def capacity(terms: Terms, step: Int[Array, ""], gamma: NonNegative[Scalar] = 1000.0,
             nats: NonNegative[Scalar] = 25.0, steps: Count = 100_000) -> Float[Array, "b"]:
    """E_q[log p(x|z)] - gamma |KL - C|, C growing from 0 to `nats` over `steps` (Burgess et al. 2018, eq. 8).

    KL is the mean over the batch, as in disentanglement_lib's AnnealedVAE: examples may differ in what they tell.
    """
    kl = terms.kl.sum(-1).mean()
    return terms.log_likelihood.mean(0) - terms.beta * gamma * jnp.abs(kl - nats * grown(step, steps))


def capacity_per_example(terms: Terms, step: Int[Array, ""], gamma: NonNegative[Scalar] = 1000.0,
                         nats: NonNegative[Scalar] = 25.0, steps: Count = 100_000) -> Float[Array, "b"]:
    """`capacity` with each example's own KL held at C: the equation of the paper read for one x."""
    return terms.log_likelihood.mean(0) - terms.beta * gamma * jnp.abs(terms.kl.sum(-1) - nats * grown(step, steps))


def grown(step: Int[Array, ""], steps: int) -> Float[Array, ""]:
    """From 0 to 1 on a line over `steps`, then 1."""
    return jnp.clip(step / steps, 0, 1)


def free_bits(terms: Terms, nats: NonNegative[Scalar] = 0.5) -> Float[Array, "b"]:
    """E_q[log p(x|z)] - sum_g max(nats, KL_g), the KL of group g averaged over the batch (Kingma et al. 2016, eq. 15).

    A group whose mean is below counts as the constant for every example, any other with the example's own KL. A KL
    warm-up weighs the sum; what is compared with `nats` is the KL itself.
    """
    return terms.log_likelihood.mean(0) - terms.beta * jnp.where(terms.kl.mean(0) > nats, terms.kl, nats).sum(-1)


def free_bits_per_example(terms: Terms, nats: NonNegative[Scalar] = 0.5) -> Float[Array, "b"]:
    """`free_bits` with each example's own KL: E_q[log p(x|z)] - sum_g max(nats, KL_g), as boilr's code has it."""
    return terms.log_likelihood.mean(0) - terms.beta * jnp.maximum(terms.kl, nats).sum(-1)


def regularized_autoencoder(terms: Terms, beta: NonNegative[Scalar] = 1e-4) -> Float[Array, "b"]:
    """E_q[log p(x|z)] + beta log p(z), no bound of log p(x): the entropy of q is missing.

    Under a standard normal prior and `posterior.name=point` it is the regularized autoencoder of Ghosh et al. 2020
    (eq. 11), up to a constant, beta / 2 |z|^2 being what their codes cost. Their RAE-L2 adds the squared weights of the
    decoder to the loss; `optimizer.weight_decay` is of both networks, and AdamW's is none of the loss.
    """
    return terms.log_likelihood.mean(0) + beta * terms.log_prior.mean(0)


def balanced(terms: Terms, sizes: tuple[Positive[float], ...] = ()) -> Float[Array, "b"]:
    """E_q[log p(x|z)] - beta sum_g c_g KL_g while beta, the weight of a KL warm-up, is below 1; after it the ELBO.

    c_g is the batch's mean |KL_g| + 0.01 over `sizes[g]`, in parts of its mean over g, and has no gradient: groups that
    tell little pay little, so that none is switched off early (Vahdat & Kautz 2020, NVAE, appendix A, in the form of
    its released code). `sizes` are those of the groups, theirs 4^i / groups of the scale at the i-th halving from the
    top; () where all count alike.

    Raises:
      UserError: there are others than one for each group.
    """
    groups = terms.kl.shape[-1]
    if len(sizes or (1.0,) * groups) != groups:
        raise UserError(f"config.objective.sizes={sizes} must have one for each of the {groups} groups of latents.")
    told = (jnp.abs(terms.kl).mean(0) + 0.01) / jnp.asarray(sizes or 1.0)
    weights = jax.lax.stop_gradient(jnp.where(terms.beta < 1, told / told.mean(), 1))
    return terms.log_likelihood.mean(0) - terms.beta * (weights * terms.kl).sum(-1)


def iwae(terms: Terms) -> Float[Array, "b"]:
    """log (1/k) sum_k w_k (Burda et al. 2016, eq. 8)."""
    return log_mean_exp(terms.log_w)


def miwae(terms: Terms, groups: Count = 1) -> Float[Array, "b"]:
    """The mean of `groups` IWAE bounds of k / groups samples each (Rainforth et al. 2018, eq. 10)."""
    return log_mean_exp(_grouped(terms.log_w, groups)).mean(0)


def ciwae(terms: Terms, beta: NonNegative[Scalar] = 0.5) -> Float[Array, "b"]:
    """beta ELBO + (1 - beta) IWAE (Rainforth et al. 2018, eq. 11)."""
    return beta * terms.log_w.mean(0) + (1 - beta) * log_mean_exp(terms.log_w)


def piwae(terms: Terms, groups: Count = 1) -> Sides:
    """The model climbs IWAE with all k samples, the posterior MIWAE (Rainforth et al. 2018, eq. 12-13)."""
    return Sides(iwae(terms), miwae(terms, groups))


def sticking_the_landing(terms: Terms) -> Float[Array, "b"]:
    """The ELBO without the score of q in its gradient: unbiased, without variance where q is exact.

    Roeder et al. 2017, eq. 8.
    """
    return terms.log_w_held.mean(0)


def sticking_the_landing_iwae(terms: Terms) -> Float[Array, "b"]:
    """IWAE without the score of q in its gradient: biased for k > 1 (Tucker et al. 2019, section 4)."""
    return log_mean_exp(terms.log_w_held)


def dreg(terms: Terms) -> Sides:
    """IWAE; the posterior's gradient is sum_k v_k^2 (d log w_k / dz_k) (dz_k / dphi), v_k = w_k / sum w.

    Doubly reparameterised: unbiased, and its signal-to-noise ratio grows with k (Tucker et al. 2019, eq. 8). Where
    the warm-up has log w = log p(x|z) + beta (log p(z) - log q(z|x)), the score that is reparameterised has the weight
    beta, and v_k^2 becomes (1 - beta) v_k + beta v_k^2.
    """
    v = jax.lax.stop_gradient(normalised(terms.log_w))
    weights = (1 - terms.beta) * v + terms.beta * jnp.square(v)
    return Sides(iwae(terms), (weights * terms.log_w_held).sum(0))


def _grouped(log_w: Float[Array, "k b"], groups: int) -> Float[Array, "k_g g b"]:
    if len(log_w) % groups:
        raise UserError(f"config.samples = {len(log_w)} does not divide into config.objective.groups = {groups}.")
    return log_w.reshape(-1, groups, log_w.shape[1])


BOUNDS = {
    "elbo": elbo,
    "monte_carlo_elbo": monte_carlo_elbo,
    "capacity": capacity,
    "capacity_per_example": capacity_per_example,
    "free_bits": free_bits,
    "free_bits_per_example": free_bits_per_example,
    "balanced": balanced,
    "rae": regularized_autoencoder,
    "iwae": iwae,
    "miwae": miwae,
    "ciwae": ciwae,
    "piwae": piwae,
    "stl": sticking_the_landing,
    "stl_iwae": sticking_the_landing_iwae,
    "dreg": dreg,
}
"""Name to function(terms, **options) -> Float[b], or `Sides`."""
