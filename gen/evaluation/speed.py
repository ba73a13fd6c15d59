"""How fast a model gives samples, on this machine as it is now."""

import time

from gen.config.ranges import Count
from gen.evaluation.checks import at_least
from gen.evaluation.types import Subject

WARM = 500
"""Samples that are drawn first, so that compiling does not count; the batches of the others are of this size."""


def speed(subject: Subject, samples: Count = 1_500) -> dict[str, float]:
    """`samples_per_s`: samples over the seconds that drawing them takes, by the sampler that the config names."""
    at_least(1, samples, "The number of samples")
    subject.draw(WARM)
    start = time.perf_counter()
    subject.draw(samples)
    return {"samples_per_s": samples / (time.perf_counter() - start)}
