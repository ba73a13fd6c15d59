"""Diffusion as a hierarchical VAE with a fixed encoder: q(x_t | x), its posterior, the terms of the bound, samplers.

Variance is preserved, so that one number says how noisy x_t = alpha x + sigma epsilon is (Kingma et al. 2021, eq. 3-5):

    log_snr = log(alpha^2 / sigma^2),   alpha^2 = sigmoid(log_snr),   sigma^2 = sigmoid(-log_snr).

T steps have T + 1 levels of noise, t = 0, 1/T, ..., 1, from nearly clean to nearly pure noise; log_snr at a level is a
noise schedule's. Times s < t; `log_snr` has a shape that broadcasts against x. Losses are functions (terms) -> Float[b]
to be minimised, in the manner of `bounds`; samplers are functions of one step from any level to any other.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gen.config.ranges import Count, Interior, Probability, Real
from gen.distributions import Normal, kl_normal, standard_normal

Examples = Float[Array, "*x"]
LogSNR = Float[Array, "..."]
Option = float | Float[Array, ""]


class Linear(nn.Module):
    """Noise that is added in `levels` steps, its variance beta growing on a straight line (Ho et al. 2020, section 4).

    log_snr = logit(prod (1 - beta)) up to each step, the first being t = 0 and the last t = 1, linear in between.
    """

    first: Interior[float] = 1e-4
    last: Interior[float] = 0.02
    levels: Count = 1000

    @nn.compact
    def __call__(self, t: Float[Array, "*n"]) -> Float[Array, "*n"]:
        log_alpha2 = jnp.cumsum(jnp.log1p(-jnp.linspace(self.first, self.last, self.levels)))
        log_snr = log_alpha2 - jnp.log(-jnp.expm1(log_alpha2))
        return jnp.interp(t, jnp.linspace(0, 1, self.levels), log_snr)


class Cosine(nn.Module):
    """alpha = cos(angle), the angle growing on a straight line (Nichol & Dhariwal 2021, eq. 17), between finite ends.

    Their offset s is our log_snr_max = -2 log tan(pi / 2 s / (1 + s)), 8.8 for s = 0.008. Most levels lie in the middle
    and those near the clean end far apart in log_snr: good for samples, while a bound of few steps is loose there.
    """

    log_snr_max: Real[float] = 13.3
    log_snr_min: Real[float] = -10.0

    @nn.compact
    def __call__(self, t: Float[Array, "*n"]) -> Float[Array, "*n"]:
        low, high = (jnp.arctan(jnp.exp(-0.5 * v)) for v in (self.log_snr_max, self.log_snr_min))
        return -2 * jnp.log(jnp.tan(low + t * (high - low)))


class Learned(nn.Module):
    """Both ends and a monotone network between them are learned (Kingma et al. 2021, appendix H).

    log_snr = max + (min - max) (g(t) - g(0)) / (g(1) - g(0)), g(t) = t + sum_k a_k sigmoid(b_k t + c_k), a and b
    positive; nearly linear at first.
    """

    width: Count = 64
    log_snr_max: Real[float] = 13.3
    log_snr_min: Real[float] = -5.0

    @nn.compact
    def __call__(self, t: Float[Array, "*n"]) -> Float[Array, "*n"]:
        high, low = (self.param(name, nn.initializers.constant(getattr(self, name)), ())
                     for name in ("log_snr_max", "log_snr_min"))
        height = self.param("height", nn.initializers.constant(-7.0), (self.width,))
        slope, shift = (self.param(name, nn.initializers.normal(4.0), (self.width,)) for name in ("slope", "shift"))

        def g(t):
            return t + (jax.nn.softplus(height) * jax.nn.sigmoid(jax.nn.softplus(slope) * t[..., None] + shift)).sum(-1)

        start, end = g(jnp.zeros(())), g(jnp.ones(()))
        return high + (low - high) * (g(t) - start) / (end - start)


NOISE_SCHEDULES = {"linear": Linear, "cosine": Cosine, "learned": Learned}
"""Modules from times in [0, 1] to log_snr, which falls."""


def alpha(log_snr: LogSNR) -> LogSNR:
    """What is left of the signal."""
    return jnp.sqrt(jax.nn.sigmoid(log_snr))


def sigma(log_snr: LogSNR) -> LogSNR:
    """The standard deviation of the noise."""
    return jnp.sqrt(jax.nn.sigmoid(-log_snr))


def diffused(x: Examples, epsilon: Examples, log_snr: LogSNR) -> Examples:
    """x_t ~ q(x_t | x) = N(alpha x, sigma^2) with this standard normal noise (Kingma et al. 2021, eq. 1)."""
    return alpha(log_snr) * x + sigma(log_snr) * epsilon


class Estimate(NamedTuple):
    """What a network says of x_t = alpha x + sigma epsilon: the example and its noise, which fix each other."""

    x: Examples
    epsilon: Examples


def from_epsilon(epsilon: Examples, x_t: Examples, log_snr: LogSNR) -> Estimate:
    """The network predicts the noise (Ho et al. 2020, eq. 11 and 15)."""
    return Estimate((x_t - sigma(log_snr) * epsilon) / alpha(log_snr), epsilon)


def from_x(x: Examples, x_t: Examples, log_snr: LogSNR) -> Estimate:
    """The network predicts the example (Salimans & Ho 2022, section 4)."""
    return Estimate(x, (x_t - alpha(log_snr) * x) / sigma(log_snr))


def from_velocity(v: Examples, x_t: Examples, log_snr: LogSNR) -> Estimate:
    """The network predicts v = alpha epsilon - sigma x (Salimans & Ho 2022, section 4 and appendix D)."""
    a, s = alpha(log_snr), sigma(log_snr)
    return Estimate(a * x_t - s * v, s * x_t + a * v)


def velocity(estimate: Estimate, log_snr: LogSNR) -> Examples:
    """v = alpha epsilon - sigma x (Salimans & Ho 2022, section 4)."""
    return alpha(log_snr) * estimate.epsilon - sigma(log_snr) * estimate.x


PREDICTIONS = {"epsilon": from_epsilon, "x": from_x, "v": from_velocity}
"""What the network's output is, as functions (output, x_t, log_snr) -> Estimate."""


def guided(conditional: Examples, unconditional: Examples, weight: Option) -> Examples:
    """(1 + w) f(x_t, label) - w f(x_t) of any prediction f (Ho & Salimans 2022, eq. 6)."""
    return (1 + weight) * conditional - weight * unconditional


def posterior(x_t: Examples, x: Examples, log_snr_t: LogSNR, log_snr_s: LogSNR) -> Normal:
    """q(x_s | x_t, x) = N(r alpha_s / alpha_t x_t + (1 - r) alpha_s x, (1 - r) sigma_s^2), r = SNR(t) / SNR(s).

    Ho et al. 2020, eq. 6-7, in this form Salimans & Ho 2022, section 2.
    """
    r, rest = jnp.exp(log_snr_t - log_snr_s), -jnp.expm1(log_snr_t - log_snr_s)
    loc = r * alpha(log_snr_s) / alpha(log_snr_t) * x_t + rest * alpha(log_snr_s) * x
    return Normal(loc, jnp.broadcast_to(0.5 * jnp.log(rest) + jnp.log(sigma(log_snr_s)), loc.shape))


def prior_kl(x: Float[Array, "b ..."], log_snr: Float[Array, ""]) -> Float[Array, "b ..."]:
    """KL(q(x_1 | x) || N(0, 1)) per element, in nats: L_T of the bound (Ho et al. 2020, eq. 5)."""
    loc = alpha(log_snr) * x
    return kl_normal(Normal(loc, jnp.broadcast_to(jnp.log(sigma(log_snr)), x.shape)), standard_normal(x.shape))


def step_kl_weight(log_snr_t: LogSNR, log_snr_s: LogSNR) -> LogSNR:
    """(SNR(s) / SNR(t) - 1) / 2: KL(q(x_s | x_t, x) || p(x_s | x_t)) over the squared error of epsilon.

    L_{t-1} of the bound for p(x_s | x_t) = q(x_s | x_t, x = estimate) (Kingma et al. 2021, eq. 14 and 17).
    """
    return 0.5 * jnp.expm1(log_snr_s - log_snr_t)


class Terms(NamedTuple):
    """What a loss sees of each example, at one of T + 1 levels of noise that is drawn uniformly.

    Attributes:
      squared_error: (epsilon - estimate)^2, summed over the event.
      level: the term of the bound that belongs to the level, in nats: at t = 0 -log p(x | x_0), else L_{t-1}.
      prior: L_T, in nats.
      levels: T + 1.
      size: elements of an example.
    """

    squared_error: Float[Array, "b"]
    level: Float[Array, "b"]
    prior: Float[Array, "b"]
    levels: int
    size: int


def simple(terms: Terms) -> Float[Array, "b"]:
    """||epsilon - estimate||^2 / size: the bound without its weights (Ho et al. 2020, eq. 14)."""
    return terms.squared_error / terms.size


def bound(terms: Terms) -> Float[Array, "b"]:
    """L_T + (T + 1) times a random one of the other terms: -log p(x) in expectation at most (Ho et al. 2020, eq. 5)."""
    return terms.prior + terms.levels * terms.level


LOSSES = {"simple": simple, "bound": bound}


def even_levels(offset: Int[Array, ""], k: int, n: int, levels: int) -> Int[Array, "k n"]:
    """k of the levels 0, ..., `levels` - 1 for each of n examples: spread evenly, and uniform each if `offset` is.

    Their sums have less variance than with independent ones (Kingma et al. 2021, appendix I.1); k = `levels` are all.
    """
    apart, shift = jnp.arange(k) * levels // k, jnp.arange(n) * levels // (n * k)
    return (offset + apart[:, None] + shift) % levels


def ddpm(x_t: Examples, estimate: Estimate, noise: Examples, log_snr_t: LogSNR, log_snr_s: LogSNR) -> Examples:
    """x_s ~ p(x_s | x_t) = q(x_s | x_t, x = estimate): ancestral sampling (Ho et al. 2020, algorithm 2)."""
    q = posterior(x_t, estimate.x, log_snr_t, log_snr_s)
    return q.loc + jnp.exp(q.log_scale) * noise


def ddim(x_t: Examples, estimate: Estimate, noise: Examples, log_snr_t: LogSNR, log_snr_s: LogSNR,
         eta: Probability[Option] = 0.0) -> Examples:
    """alpha_s x + sqrt(sigma_s^2 - c^2) epsilon + c noise, c = eta times the posterior's scale.

    Song et al. 2021 (DDIM), eq. 12 and 16. eta = 0 adds no noise, and goes from x_s to a noisier x_t too; eta = 1 is
    ancestral sampling.
    """
    variance = eta**2 * -jnp.expm1(log_snr_t - log_snr_s)
    x_s = alpha(log_snr_s) * estimate.x + sigma(log_snr_s) * jnp.sqrt(1 - variance) * estimate.epsilon
    return x_s + sigma(log_snr_s) * jnp.sqrt(variance) * noise


SAMPLERS = {"ddpm": ddpm, "ddim": ddim}
"""One step: (x_t, estimate, standard normal noise, log_snr of t, log_snr of s) -> x_s."""
