"""Penalties on a discriminator: functions (discriminate, real, fake, key) -> Float[b], any of them with any loss.

`discriminate` maps examples [b ...] to logits [b]; under packing an example of it is a pack. The loss of the
discriminator gains weight * penalty; the weight is a leaf of the TrainState, and so are the float options of a penalty.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from gen.config.ranges import NonNegative

Examples = Float[Array, "b ..."]
Discriminate = Callable[[Examples], Float[Array, "b"]]
Option = float | Float[Array, ""]

TINY = 1e-12
"""Added to squared norms under a root, whose derivative at 0 is infinite."""


def squared_gradient_norm(discriminate: Discriminate, x: Examples) -> Float[Array, "b"]:
    """||grad_x D(x)||^2 of each example."""
    gradient = jax.grad(lambda x: discriminate(x).sum())(x)
    return jnp.square(gradient).reshape(len(x), -1).sum(-1)


def r1(discriminate: Discriminate, real: Examples, fake: Examples, key: PRNGKeyArray) -> Float[Array, "b"]:
    """||grad D(x)||^2 on real examples (Mescheder et al. 2018, eq. 9; their gamma / 2 is our weight)."""
    return squared_gradient_norm(discriminate, real)


def r2(discriminate: Discriminate, real: Examples, fake: Examples, key: PRNGKeyArray) -> Float[Array, "b"]:
    """||grad D(G(z))||^2 on fake examples (Mescheder et al. 2018, eq. 10; their gamma / 2 is our weight)."""
    return squared_gradient_norm(discriminate, fake)


def wgan_gp(discriminate: Discriminate, real: Examples, fake: Examples, key: PRNGKeyArray,
            target: NonNegative[Option] = 1.0, one_sided: bool = False) -> Float[Array, "b"]:
    """(||grad D(x)|| - target)^2 at points drawn evenly between pairs of real and fake (Gulrajani et al. 2017, eq. 3).

    One-sided: only norms above the target cost, max(0, ||grad D|| - target)^2 (their section 4; Petzka et al. 2018).
    """
    mix = jax.random.uniform(key, (len(real),) + (1,) * (real.ndim - 1))
    return distance_to_target(discriminate, mix * real + (1 - mix) * fake, target, one_sided)


def dragan(discriminate: Discriminate, real: Examples, fake: Examples, key: PRNGKeyArray,
           target: NonNegative[Option] = 1.0, noise: NonNegative[Option] = 0.5) -> Float[Array, "b"]:
    """(||grad D(x')|| - target)^2 at x' = x + u * noise * std * v around real examples (Kodali et al. 2017, eq. 3).

    `std` is the standard deviation of all values of the batch, v ~ U(0, 1) a value, u ~ U(0, 1) an example, as in the
    authors' code.
    """
    size_key, direction_key = jax.random.split(key)
    size = jax.random.uniform(size_key, (len(real),) + (1,) * (real.ndim - 1))
    near = real + size * noise * real.std() * jax.random.uniform(direction_key, real.shape)
    return distance_to_target(discriminate, near, target, one_sided=False)


def distance_to_target(discriminate: Discriminate, x: Examples, target: Option, one_sided: bool) -> Float[Array, "b"]:
    """(||grad D(x)|| - target)^2, where one-sided only above the target."""
    excess = jnp.sqrt(squared_gradient_norm(discriminate, x) + TINY) - target
    return jnp.square(jax.nn.relu(excess) if one_sided else excess)


PENALTIES = {"r1": r1, "r2": r2, "wgan_gp": wgan_gp, "dragan": dragan}
"""Name to function(discriminate, real, fake, key, **options) -> Float[b]."""

SIDES = {"r1": "real", "r2": "fake"}
"""Penalties at the examples of one side, differentiated by the examples themselves, through the augmentation.

So R1 and R2 in the released code of R3GAN, StyleGAN2-ADA, DiffAugment and PyTorch-StudioGAN. The other penalties are at
points between or around what the discriminator is shown, augmented, as in compare_gan with DiffAugment (Zhao et al.
2020, the authors' code); PyTorch-StudioGAN takes them between images without augmentation.
"""
