"""Adversarial losses: functions of the discriminator's logits on real and on fake examples, per example, minimised.

A loss has two sides. The discriminator minimises `discriminator(real_logits, fake_logits)`, the generator
`generator(real_logits, fake_logits)`. D(x) = sigmoid(logit).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jaxtyping import Array, Float

Logits = Float[Array, "b"]


class AdversarialLoss(NamedTuple):
    """The two sides of a loss, each (real_logits, fake_logits) -> Float[b]."""

    discriminator: Callable[[Logits, Logits], Logits]
    generator: Callable[[Logits, Logits], Logits]


def cross_entropy(real: Logits, fake: Logits) -> Logits:
    """-log D(x) - log(1 - D(G(z))): the discriminator's side of the game (Goodfellow et al. 2014, eq. 1)."""
    return jax.nn.softplus(-real) + jax.nn.softplus(fake)


def saturating(real: Logits, fake: Logits) -> Logits:
    """log(1 - D(G(z))): the generator's side of the minimax game (Goodfellow et al. 2014, eq. 1).

    Its gradient vanishes where the discriminator is sure that the example is fake.
    """
    return -jax.nn.softplus(fake)


def non_saturating(real: Logits, fake: Logits) -> Logits:
    """-log D(G(z)): the same fixed point with a gradient where D is sure (Goodfellow et al. 2014, section 3)."""
    return jax.nn.softplus(-fake)


def hinge(real: Logits, fake: Logits) -> Logits:
    """max(0, 1 - real) + max(0, 1 + fake) (Lim & Ye 2017; Miyato et al. 2018, eq. 17)."""
    return jax.nn.relu(1 - real) + jax.nn.relu(1 + fake)


def negative_logit(real: Logits, fake: Logits) -> Logits:
    """-D(G(z)) on logits: the generator's side of the hinge and Wasserstein losses (Miyato et al. 2018, eq. 18)."""
    return -fake


ADVERSARIAL = {
    "minimax": AdversarialLoss(cross_entropy, saturating),
    "non_saturating": AdversarialLoss(cross_entropy, non_saturating),
    "hinge": AdversarialLoss(hinge, negative_logit),
}
