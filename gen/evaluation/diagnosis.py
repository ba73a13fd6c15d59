"""What metrics say of failures: a GAN's mode collapse, its generator without a gradient, and updates all left out."""

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

STILL = 0.9
"""Part of the updates that `skip_norm` leaves out from which a training hardly moves."""


def diagnose(metrics: Mapping[str, float]) -> list[str]:
    """Returns a warning for every failure that the metrics show, "kind: evidence; what usually helps".

    Args:
      metrics: of training or of an evaluation, or both; the rules whose metrics are not among them say nothing.
    """
    return [warning for rule in (collapse, dead_generator, standstill) if (warning := rule(metrics))]


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


def standstill(metrics: Mapping[str, float]) -> str | None:
    """Hardly any update is made, because the gradient's norm is above the optimizer's `skip_norm`."""
    for name, part in metrics.items():
        if name.endswith("skipped_updates") and part >= STILL:
            prefix = name.removesuffix("skipped_updates")
            norm = metrics.get(f"{prefix}gradient_norm")
            found = f", whose norm is {norm:.3g}" if norm is not None else ""
            return (f"standstill: {part:.0%} of the updates were left out for their gradient{found} "
                    f"({name}; config.{prefix}optimizer.skip_norm). What usually helps: a larger skip_norm, or 0 for "
                    "none, or clip_norm in its place.")
    return None
