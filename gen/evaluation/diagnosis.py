"""What a GAN's metrics say of its two classic failures: mode collapse, and a generator without a gradient."""

from collections.abc import Mapping

COLLAPSED = 0.2
"""Spread of the samples, in that of the data, below which they are called collapsed."""

SURE = 0.98
"""Accuracy on real and on fake examples from which the discriminator is called sure."""

VANISHED = 1e-2
"""Ratio of the generator's gradient through log(1 - D) to that through -log D, below which the former has vanished."""

DEAD = 1e-4
"""Gradient norm of the generator, in the loss that trains it, below which it is dead.

Whatever the scale, it is also dead where log(1 - D)'s gradient has vanished and the loss that trains has no more than
ten times `VANISHED` of -log D's.
"""


def diagnose(metrics: Mapping[str, float]) -> list[str]:
    """Returns a warning for every failure that a GAN's metrics show, "kind: evidence; what usually helps".

    Args:
      metrics: of training or of an evaluation, or both; the rules whose metrics are not among them say nothing.
    """
    return [warning for rule in (collapse, dead_generator) if (warning := rule(metrics))]


def collapse(metrics: Mapping[str, float]) -> str | None:
    """The samples differ much less from each other than the data does."""
    spread = metrics.get("diversity", 1.0)
    if spread >= COLLAPSED:
        return None
    return (f"mode collapse: the samples spread {spread:.2g} times as far as the data (diversity < {COLLAPSED:g}). "
            "What usually helps: packing=2, the loss relativistic_paired with penalties r1 and r2, minibatch_stddev=4, "
            "unrolled_steps=5, a smaller learning rate of the generator.")


def dead_generator(metrics: Mapping[str, float]) -> str | None:
    """The discriminator is sure of every example, and the generator learns nothing from it."""
    accuracy = min(metrics.get("real_accuracy", 0.0), metrics.get("fake_accuracy", 0.0))
    norm = metrics.get("generator_gradient_norm", float("inf"))
    saturating = metrics.get("generator_gradient_saturating", float("inf"))
    other = metrics.get("generator_gradient_non_saturating", 0.0)
    saturated = saturating < VANISHED * other and norm < 10 * VANISHED * other
    if accuracy < SURE or norm >= DEAD and not saturated:
        return None
    both = f" ({saturating:.2g} through log(1 - D), {other:.2g} through -log D)" if other else ""
    return (f"dead generator: the discriminator tells real from fake in {accuracy:.1%} of the cases, and the "
            f"generator's gradient norm is {norm:.2g}{both}. "
            "What usually helps: the loss non_saturating in place of minimax, a penalty (r1 or wgan_gp), "
            "instance_noise, a smaller learning rate of the discriminator.")
