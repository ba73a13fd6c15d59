"""How fast a model gives samples, on this machine as it is now."""

import time

from gen.config.ranges import Count
from gen.errors import UserError
from gen.evaluation.checks import at_least, finite
from gen.evaluation.types import DRAWN, Subject
from gen.signals import asked


def speed(subject: Subject, samples: Count = 1_500) -> dict[str, float]:
    """`samples_per_s`: samples over the seconds that drawing them takes, by the sampler that the config names.

    They are drawn for this alone, in the batches of all samples, after one that does not count since it may compile.
    Raises a UserError for samples that are not drawn in batches, or not finite.
    """
    batches = -(-at_least(1, samples, "The number of samples") // DRAWN)
    if subject.batch is None:
        raise UserError("config.evaluators.speed: these samples are not drawn in batches, whose time could be taken.")
    finite(subject.batch(samples, 0), "samples")
    subject.ask()
    start = time.perf_counter()
    for i in asked(range(batches), subject.ask):
        subject.batch(samples, i)
    return {"samples_per_s": min(samples, DRAWN) * batches / (time.perf_counter() - start)}
