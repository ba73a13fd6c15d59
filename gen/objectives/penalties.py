"""Penalties on a discriminator: functions (discriminate, real, fake, key) -> Float[b], any of them with any loss.

One that takes `step` is given the step of training, one that takes `averages` the moving averages of the logits.

`discriminate` maps examples [b ...] to logits [b]; under packing an example of it is a pack. The loss of the
discriminator gains weight * penalty; the weight is a leaf of the TrainState, and so are the float options of a penalty.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from gen.augment.diffaugment import whole
from gen.augment.resampling import reflected
from gen.config.ranges import Decay, Natural, NonNegative, Probability
from gen.rng import stream

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


def consistency(discriminate: Discriminate, real: Examples, fake: Examples, key: PRNGKeyArray,
                ratio: Probability[Option] = 0.125, fakes: NonNegative[Option] = 1.0) -> Float[Array, "b"]:
    """(D(x) - D(T(x)))^2 + fakes (D(G(z)) - D(T(G(z))))^2, T a flip and a shift by up to `ratio` of the sides.

    Balanced consistency (Zhao et al. 2021, algorithm 1, weights 10 and 10); without fakes that of Zhang et al. 2020.
    """
    def inconsistency(x: Examples, key: PRNGKeyArray) -> Float[Array, "b"]:
        return jnp.square(discriminate(x) - discriminate(flipped_and_shifted(x, key, ratio)))

    return inconsistency(real, stream(key, "real")) + fakes * inconsistency(fake, stream(key, "fake"))


def flipped_and_shifted(x: Float[Array, "b h w c"], key: PRNGKeyArray, ratio: Option) -> Float[Array, "b h w c"]:
    """Each image mirrored with probability 1/2, and moved by whole pixels, what comes into view being reflected."""
    x = jnp.where(jax.random.bernoulli(stream(key, "flip"), shape=(len(x), 1, 1, 1)), x[:, :, ::-1], x)
    for axis, name in ((1, "rows"), (2, "columns")):
        n, shape = x.shape[axis], [len(x), 1, 1, 1]
        reach = whole(ratio, n)
        shift = jnp.floor(jax.random.uniform(stream(key, name), (len(x), 1)) * (2 * reach + 1)) - reach
        shape[axis] = n
        place = reflected(jnp.arange(n) + shift.astype(jnp.int32), n)
        x = jnp.take_along_axis(x, place.reshape(shape), axis)
    return x


class Averages(NamedTuple):
    """Moving averages of the discriminator's mean logits of real and of fake examples."""

    real: Float[Array, ""]
    fake: Float[Array, ""]

    def moved(self, real: Float[Array, ""], fake: Float[Array, ""], step: Int[Array, ""], decay: Option, start: int
              ) -> "Averages":
        """The averages with the means of a step; before step `start` they are those means."""
        kept = jnp.where(step < start, 0.0, decay)
        return Averages(kept * self.real + (1 - kept) * real, kept * self.fake + (1 - kept) * fake)


def lecam(discriminate: Discriminate, real: Examples, fake: Examples, key: PRNGKeyArray, averages: Averages,
          step: Int[Array, ""], decay: Decay[Option] = 0.99, start: Natural = 1_000) -> Float[Array, "b"]:
    """max(0, D(x) - a_fake)^2 + max(0, a_real - D(G(z)))^2, a being moving averages of the logits, the step's included.

    Tseng et al. 2021, eq. 5, in the form of their released code for CIFAR: nothing until after step `start`, no
    gradient through the averages. Its weight is 0.3 and its decay 0.9; 0.99 is that of their code for StyleGAN2.
    """
    of_real, of_fake = discriminate(real), discriminate(fake)
    means = jax.lax.stop_gradient((of_real.mean(), of_fake.mean()))
    now = averages.moved(*means, step, decay, start)
    value = jnp.square(jax.nn.relu(of_real - now.fake)) + jnp.square(jax.nn.relu(now.real - of_fake))
    return jnp.where(step > start, value, 0)


PENALTIES = {"r1": r1, "r2": r2, "wgan_gp": wgan_gp, "dragan": dragan, "consistency": consistency, "lecam": lecam}
"""Name to function(discriminate, real, fake, key, **options) -> Float[b]."""

SIDES = {"r1": "real", "r2": "fake"}
"""Penalties at the examples of one side, differentiated by the examples themselves, through the augmentation.

So R1 and R2 in the released code of R3GAN, StyleGAN2-ADA, DiffAugment and PyTorch-StudioGAN. The other penalties are at
points between or around what the discriminator is shown, augmented, as in compare_gan with DiffAugment (Zhao et al.
2020, the authors' code); PyTorch-StudioGAN takes them between images without augmentation.
"""
