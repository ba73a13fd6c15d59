"""Adversarial losses: functions of the discriminator's logits on real and on fake examples, per example, minimised.

A loss has two sides. The discriminator minimises `discriminator(real_logits, fake_logits)`, the generator
`generator(real_logits, fake_logits)`. D(x) = sigmoid(logit). `ADVERSARIAL` maps names to functions that make a loss
from its options; options may be traced, so that a sweep over them compiles once.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gen.config.ranges import Fraction, NonNegative, Probability, Real

Logits = Float[Array, "b"]
Scalar = Float[Array, ""]
Option = float | Scalar


def constant(real: Scalar, fake: Scalar) -> dict[str, Scalar]:
    """The options stay as they are."""
    return {}


class AdversarialLoss(NamedTuple):
    """The two sides of a loss, each (real_logits, fake_logits) -> Float[b], and where D changes its mind.

    Attributes:
      discriminator, generator: what each player minimises.
      threshold: (real_logits, fake_logits) -> the logit above which an example counts as called real.
      adapted: (mean real logit, mean fake logit) -> options of the loss, by name, after a step of the discriminator.
    """

    discriminator: Callable[[Logits, Logits], Logits]
    generator: Callable[[Logits, Logits], Logits]
    threshold: Callable[[Logits, Logits], Scalar]
    adapted: Callable[[Scalar, Scalar], dict[str, Scalar]] = constant


def zero(real: Logits, fake: Logits) -> Scalar:
    """D(x) = 1/2."""
    return jnp.zeros(())


def midpoint(real: Logits, fake: Logits) -> Scalar:
    """Halfway between the mean logits: for losses that leave a constant of the logits free."""
    return (real.mean() + fake.mean()) / 2


def cross_entropy(real: Logits, fake: Logits, label_smoothing: Probability[Option] = 0.0) -> Logits:
    """-(1 - s) log D(x) - s log(1 - D(x)) - log(1 - D(G(z))).

    The discriminator's side of the game (Goodfellow et al. 2014, eq. 1); s > 0 lowers the target of real examples, and
    of these alone, to 1 - s (one-sided label smoothing; Salimans et al. 2016, section 3.4).
    """
    real_term = (1 - label_smoothing) * jax.nn.softplus(-real) + label_smoothing * jax.nn.softplus(real)
    return real_term + jax.nn.softplus(fake)


def saturating(real: Logits, fake: Logits) -> Logits:
    """log(1 - D(G(z))): the generator's side of the minimax game (Goodfellow et al. 2014, eq. 1).

    Its gradient vanishes where the discriminator is sure that the example is fake.
    """
    return -jax.nn.softplus(fake)


def non_saturating_generator(real: Logits, fake: Logits) -> Logits:
    """-log D(G(z)): the same fixed point with a gradient where D is sure (Goodfellow et al. 2014, section 3)."""
    return jax.nn.softplus(-fake)


def negative_logit(real: Logits, fake: Logits) -> Logits:
    """-D(G(z)) on logits: the generator's side of the hinge and Wasserstein losses (Miyato et al. 2018, eq. 18)."""
    return -fake


def minimax(label_smoothing: Probability[Option] = 0.0) -> AdversarialLoss:
    """The zero-sum game of Goodfellow et al. 2014, eq. 1."""
    return AdversarialLoss(lambda real, fake: cross_entropy(real, fake, label_smoothing), saturating, zero)


def non_saturating(label_smoothing: Probability[Option] = 0.0) -> AdversarialLoss:
    """The game that Goodfellow et al. 2014 train in section 3: the generator maximises log D(G(z))."""
    return AdversarialLoss(
        lambda real, fake: cross_entropy(real, fake, label_smoothing), non_saturating_generator, zero)


def hinge() -> AdversarialLoss:
    """max(0, 1 - real) + max(0, 1 + fake) against -fake (Lim & Ye 2017; Miyato et al. 2018, eq. 17 and 18)."""
    return AdversarialLoss(
        lambda real, fake: jax.nn.relu(1 - real) + jax.nn.relu(1 + fake), negative_logit, zero)


def least_squares(fake_target: Real[Option] = 0.0, real_target: Real[Option] = 1.0, generator_target: Real[Option] = 1.0
                  ) -> AdversarialLoss:
    """1/2 (real - b)^2 + 1/2 (fake - a)^2 against 1/2 (fake - c)^2 (Mao et al. 2017, eq. 2), on raw outputs.

    a, b, c are the targets; b - c = 1 and b - a = 2 makes it Pearson's chi^2, the defaults are the 0-1 coding.
    """
    return AdversarialLoss(
        lambda real, fake: (jnp.square(real - real_target) + jnp.square(fake - fake_target)) / 2,
        lambda real, fake: jnp.square(fake - generator_target) / 2,
        lambda real, fake: jnp.asarray((fake_target + real_target) / 2, jnp.float32))


def wasserstein() -> AdversarialLoss:
    """fake - real against -fake (Arjovsky et al. 2017, eq. 2 and 3); the critic must be kept Lipschitz.

    Either by `weight_clip` of the game (their algorithm 1) or by a penalty such as `wgan_gp`.
    """
    return AdversarialLoss(lambda real, fake: fake - real, negative_logit, midpoint)


def relativistic_paired() -> AdversarialLoss:
    """softplus(-(real - fake)) against softplus(real - fake): RpGAN (Huang et al. 2024, eq. 2).

    The i-th real example is paired with the i-th fake one (Jolicoeur-Martineau 2019).
    """
    return AdversarialLoss(
        lambda real, fake: jax.nn.softplus(fake - real), lambda real, fake: jax.nn.softplus(real - fake), midpoint)


def relativistic_average() -> AdversarialLoss:
    """Cross-entropy of each logit relative to the mean of the other side: RaGAN (Jolicoeur-Martineau 2019, section 4).

    D: softplus(-(real - mean fake)) + softplus(fake - mean real); the generator has real and fake exchanged.
    """
    def average(real, fake):
        return jax.nn.softplus(fake.mean() - real) + jax.nn.softplus(fake - real.mean())

    return AdversarialLoss(average, lambda real, fake: average(fake, real), midpoint)


def boundary_equilibrium(gamma: Fraction[Option] = 0.5, rate: NonNegative[Option] = 1e-3,
                         balance: Probability[Option] = 0.0) -> AdversarialLoss:
    """E(x) - k E(G(z)) against E(G(z)), with energy E = -logit (Berthelot et al. 2017, section 3.4).

    After each step k, the `balance`, grows by `rate` (gamma E(x) - E(G(z))) within [0, 1], which holds E(G(z)) near
    gamma E(x). Theirs is the energy of an autoencoder, the config's `reconstruction`; without one nothing keeps E >= 0,
    and the balance means nothing.
    """
    def adapted(real, fake):
        return {"balance": jnp.clip(balance + rate * (fake - gamma * real), 0.0, 1.0)}

    return AdversarialLoss(lambda real, fake: balance * fake - real, negative_logit, midpoint, adapted)


def mean_of_best(values: Float[Array, "b"], logits: Float[Array, "b"], fraction: Option) -> Float[Array, ""]:
    """The mean of what belongs to the highest of the logits, a fraction of them, but of one at least.

    So that the generator learns from its best examples alone (Sinha et al. 2020, algorithm 1).
    """
    rank = jnp.argsort(jnp.argsort(-logits))
    kept = rank < jnp.maximum(jnp.floor(fraction * len(logits) + 1e-3), 1)
    return jnp.where(kept, values, 0).sum() / kept.sum()


ADVERSARIAL = {
    "minimax": minimax,
    "non_saturating": non_saturating,
    "hinge": hinge,
    "least_squares": least_squares,
    "wasserstein": wasserstein,
    "relativistic_paired": relativistic_paired,
    "relativistic_average": relativistic_average,
    "boundary_equilibrium": boundary_equilibrium,
}
"""Name to function(**options) -> `AdversarialLoss`."""
