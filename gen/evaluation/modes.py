"""Mode coverage: of a 2-D Gaussian mixture (Lin et al., PacGAN, 2018, section 4.1) and of stacked MNIST (4.2)."""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from ml_collections import ConfigDict

from gen import config as configs
from gen.config.ranges import Count
from gen.data import Dataset, mixtures, stacked
from gen.errors import UserError
from gen.evaluation import classifiers as kept
from gen.evaluation.checks import finite
from gen.evaluation.comparison import named
from gen.evaluation.features import reader, real_examples
from gen.evaluation.types import Subject
from gen.probability.divergences import kl


class Coverage(NamedTuple):
    """Attributes:
    modes: components with at least one good sample.
    high_quality: share of good samples, within 3 standard deviations (L2) of their nearest mean.
    reverse_kl: KL(histogram of good samples over modes || uniform), in nats; infinite without a good sample.
    """

    modes: int
    high_quality: float
    reverse_kl: float


def coverage(samples: Float[np.ndarray, "n d"], means: Float[np.ndarray, "m d"], std: float) -> Coverage:
    """Counts the modes that the samples reach: each belongs to its nearest mean, and is good within 3 std of it.

    Raises UserError for samples that are not finite.
    """
    samples = finite(samples, "samples")
    distances = np.linalg.norm(samples[:, None] - means[None], axis=-1)
    good = distances.min(1) <= 3 * std
    counts = np.bincount(distances.argmin(1)[good], minlength=len(means))
    return Coverage(int((counts > 0).sum()), float(good.mean()), reverse_kl(counts))


def reverse_kl(counts: Int[np.ndarray, "m"]) -> float:
    """KL(counts / n || uniform) = log m - entropy, in nats; infinite where all counts are 0."""
    return kl(counts / counts.sum(), np.full(len(counts), 1 / len(counts))) if counts.any() else float("inf")


def modes(subject: Subject, samples: Count = 2_500) -> dict[str, float]:
    """`coverage` of a 2-D mixture, as PacGAN counts it, and that of as many test points (`_real`), or of all.

    Raises UserError for other data.
    """
    means, std = mixtures.components(subject.config.data)
    rows = {"": subject.draw(samples), "_real": subject.dataset.test["x"][:samples]}
    return {f"{name}{row}": float(value) for row, x in rows.items()
            for name, value in coverage(x, means, std)._asdict().items()}


def of_mixture(dataset: Dataset, data: Mapping | ConfigDict) -> None:
    """Raises a UserError for data that are no mixture."""
    if data["name"] not in mixtures.MIXTURES:
        raise UserError(f"modes counts those of a mixture ({', '.join(mixtures.MIXTURES)}); the data is "
                        f"{data['name']!r}.")


def digit_modes(counts: Int[np.ndarray, "1000"]) -> dict[str, float]:
    """Of the number of samples of each digit triple: the modes hit, and how evenly.

    modes: triples with at least one sample, modes5: with at least five, which errors of the classifier hardly invent.
    reverse_kl: KL(histogram || uniform), in nats. effective_modes: 1000 exp(-KL).
    """
    kl = reverse_kl(counts)
    return {"modes": float((counts > 0).sum()), "modes5": float((counts >= 5).sum()), "reverse_kl": kl,
            "effective_modes": float(len(counts) * np.exp(-kl))}


def stacked_modes(
    subject: Subject, samples: Count = 25_600, classifiers: str = kept.FOLDER
) -> dict[str, float]:
    """`digit_modes` of stacked MNIST, each channel read by the MNIST classifier, and of training examples (`_real`).

    Raises UserError for other data, or without the classifier.
    """
    read = _digits(subject.dataset, subject.config.data, classifiers)
    counts = _counts(read(subject.draw(samples)))
    real = _real_counts(subject.dataset, configs.to_json(subject.config.data), samples, classifiers)
    return {f"{name}{row}": value for row, hits in {"": counts, "_real": real}.items()
            for name, value in named(digit_modes(hits), "lenet", int(hits.sum())).items()}


def of_stacked_digits(dataset: Dataset, data: Mapping | ConfigDict) -> None:
    """Raises a UserError for data that are not three digits each."""
    if tuple(dataset.spec.shape)[2:] != (stacked.CHANNELS,) or dataset.spec.classes != stacked.CLASSES:
        raise UserError(f"stacked_modes counts digits of stacked_mnist and stacked_mnist_fixed; the data is "
                        f"{data['name']!r}.")


def _digits(dataset: Dataset, data: Mapping | ConfigDict, classifiers: str):
    """The function from images [n h w 3] to digit triples [n 3]."""
    of_stacked_digits(dataset, data)
    read = reader(dataset, data, classifiers)
    return lambda x: read(x)[1].argmax(-1)


def _counts(digits: Int[np.ndarray, "n 3"]) -> Int[np.ndarray, "1000"]:
    return np.bincount(stacked.triple_label(digits), minlength=stacked.CLASSES)


@functools.lru_cache(maxsize=4)
def _real_counts(dataset: Dataset, data: str, samples: int, classifiers: str) -> Int[np.ndarray, "1000"]:
    """Of training examples; computed once."""
    part = configs.from_json(data)
    read = _digits(dataset, part, classifiers)
    return sum(_counts(read(x)) for x in real_examples(dataset, part, "train", samples))
