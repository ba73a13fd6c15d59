"""Evaluators that compare features of samples with those of real examples, beside a row of real data.

The protocol is in every name, `fid_lenet_10k_test`: measure, features, number of samples, the split compared with. The
real-data row, `fid_lenet_10k_test_real`, puts real examples of the other split, as many, in place of the samples.
"""

import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from gen import config as configs
from gen.config.ranges import Count
from gen.evaluation import classifiers as kept
from gen.evaluation.features import extractor, real_features
from gen.evaluation.types import Subject

Measure = Callable[[Float[np.ndarray, "n f"], Float[np.ndarray, "m f"]], dict[str, float]]
"""(features of samples, features of the reference) -> named values."""

OTHER = {"test": "train", "train": "test"}


def comparison(measure: Measure) -> Callable[..., dict[str, float]]:
    """Returns the evaluator that applies `measure` to features of samples and of all real examples of a split."""

    def evaluator(
        subject: Subject, samples: Count = 10_000, split: str = "test", features: str = "lenet",
        classifiers: str = kept.FOLDER,
    ) -> dict[str, float]:
        data, dataset = subject.config.data, subject.dataset
        reference = real_features(dataset, data, split, 0, features, classifiers)
        extract = extractor(features, dataset, data, classifiers)
        results = named(measure(extract(subject.draw(samples)), reference), features, samples, split)
        return results | real_row(measure, dataset, configs.to_json(data), samples, split, features, classifiers)

    return evaluator


@functools.lru_cache(maxsize=32)
def real_row(measure: Measure, dataset, data: str, samples: int, split: str, features: str,
             classifiers: str) -> dict[str, float]:
    """The measure of real examples of the other split: what samples as good as real ones reach. Computed once."""
    part = configs.from_json(data)
    reference = real_features(dataset, part, split, 0, features, classifiers)
    real = real_features(dataset, part, OTHER[split], samples, features, classifiers)
    results = named(measure(real, reference), features, len(real), split)
    return {f"{name}_real": value for name, value in results.items()}


def named(values: dict[str, float], *protocol: str | int) -> dict[str, float]:
    """Appends the protocol to every name; whole thousands are written 10k."""
    return {"_".join((name, *map(word, protocol))): value for name, value in values.items()}


def word(value: str | int) -> str:
    """A part of a metric's name: 10000 is "10k", 25600 stays as it is."""
    return f"{value // 1000}k" if isinstance(value, int) and value and value % 1000 == 0 else str(value)
