"""Evaluators of a model by scores of Inception, beside a row of real images.

The protocol is in every name, `fid_inception_tf1_50k_train`: score, network, rule of resizing, number of samples, the
split compared with. The real row, `..._real`, has images of the other split in place of the samples, as many or all.

Samples are rounded to bytes first. Outputs of real images are kept on the disk (`store`); those of samples are computed
once for all evaluators of an evaluation.
"""

import functools
import hashlib
import itertools
import weakref
from collections.abc import Iterator, Mapping

import numpy as np
from ml_collections import ConfigDict

from gen import config as configs
from gen.config.ranges import Count
from gen.data import RANGES, Dataset, host_bytes
from gen.data.streaming import Column
from gen.errors import UserError, lookup
from gen.evaluation.comparison import OTHER, named
from gen.evaluation.features import count, real_examples
from gen.evaluation.inception import weights
from gen.evaluation.inception.extraction import BATCH, extractor
from gen.evaluation.inception.resize import RULES
from gen.evaluation.inception.scores import MOST, NEIGHBOURS, SPLITS, Score, scores
from gen.evaluation.inception.statistics import Known, known
from gen.evaluation.inception.store import fill, opened
from gen.evaluation.kernel import SUBSET
from gen.evaluation.types import Subject
from gen.signals import asked

SAMPLES = 50_000
SCORES_OF = {"inception_fid": "fid", "inception_kid": "kid", "inception_score": "is", "inception_prdc": "prdc",
             "inception_sfid": "sfid"}
"""Evaluator to the score that it applies."""

_OUTPUTS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
"""Of the samples of an evaluation, by the function that draws them; gone with it."""


def inception_fid(subject: Subject, samples: Count = SAMPLES, split: str = "train", resize: str = "tf1"
                  ) -> dict[str, float]:
    """The Frechet Inception distance to all images of a split."""
    return evaluated(subject, "fid", scores()["fid"], samples, split, resize)


def inception_sfid(subject: Subject, samples: Count = SAMPLES, split: str = "train", resize: str = "tf1"
                   ) -> dict[str, float]:
    """The same of spatial outputs."""
    return evaluated(subject, "sfid", scores()["sfid"], samples, split, resize)


def inception_kid(subject: Subject, samples: Count = SAMPLES, split: str = "train", resize: str = "tf1",
                  subset: Count = SUBSET) -> dict[str, float]:
    """The kernel distance, over disjoint subsets of so many images, and its standard error."""
    return evaluated(subject, "kid", scores(subset=subset)["kid"], samples, split, resize)


def inception_score(subject: Subject, samples: Count = SAMPLES, resize: str = "tf1", splits: Count = SPLITS
                    ) -> dict[str, float]:
    """The Inception score; its real row is of training images."""
    return evaluated(subject, "is", scores(splits=splits)["is"], samples, "test", resize)


def inception_prdc(subject: Subject, samples: Count = MOST, split: str = "train", resize: str = "tf1",
                   k: Count = NEIGHBOURS, most: Count = MOST) -> dict[str, float]:
    """Precision, recall, density and coverage with k neighbours, of at most so many images of each set."""
    return evaluated(subject, "prdc", scores(k=k, most=most)["prdc"], samples, split, resize)


def check(name: str, options: Mapping | ConfigDict, dataset: Dataset) -> None:
    """Raises a UserError where there are no weights, no such rule, or no images: to ask before training."""
    weights.require()
    lookup(RULES, options["resize"], f"config.evaluators.{name}.resize")
    lookup(OTHER, options.get("split", "train"), f"config.evaluators.{name}.split")
    shape = dataset.spec.shape
    if len(shape) != 3 or shape[-1] not in (1, 3) or dataset.spec.range not in RANGES:
        raise UserError(f"config.evaluators.{name} needs images of 1 or 3 channels; the examples have the shape "
                        f"{tuple(shape)}.")


def evaluated(subject: Subject, name: str, score: Score, samples: int, split: str, resize: str) -> dict[str, float]:
    """The score of samples and, with `_real`, of images of the other split."""
    dataset, data = subject.dataset, configs.to_json(subject.config.data)
    wanted = _wanted(subject, score)
    reference = real_images(dataset, data, split, 0, resize, score.outputs) if score.compared else None
    real = real_images(dataset, data, OTHER[split], samples, resize, score.outputs)
    found = applied(name, score, _samples(subject, samples, resize, wanted), reference, resize, split)
    rows = applied(name, score, real, reference, resize, split)
    return found | {f"{key}_real": value for key, value in rows.items()}


def applied(name: str, score: Score, samples: Known, reference: Known | None, resize: str, split: str
            ) -> dict[str, float]:
    """The score with its protocol in the names."""
    values = score.function(samples, reference) if score.compared else score.function(samples)
    n = min(score.most or samples.n, samples.n)
    against = (split,) if score.compared else ()
    return named(values, weights.load().word, resize, *score.protocol, n, *against)


def _wanted(subject: Subject, score: Score) -> tuple[str, ...]:
    """The outputs that the evaluators of the config take, and this one."""
    names = [SCORES_OF[name] for name in subject.config.get("evaluators", {}) if name in SCORES_OF]
    every = {output for name in names for output in scores()[name].outputs}
    return tuple(sorted(every | set(score.outputs)))


def _samples(subject: Subject, n: int, resize: str, wanted: tuple[str, ...]) -> Known:
    computed = _OUTPUTS.setdefault(subject.sample, {})
    key = n, resize, wanted, weights.load().sha256
    if key not in computed:
        x, scale = subject.draw(n), subject.dataset.spec.range
        images = (host_bytes(x[i:i + BATCH], scale) for i in range(0, n, BATCH))
        parts = list(extractor(weights.load(), resize, wanted)(asked(images, subject.ask)))
        computed[key] = Known(n, {name: np.concatenate([part[name] for part in parts]) for name in wanted})
    return computed[key]


@functools.lru_cache(maxsize=4)
def real_images(dataset: Dataset, data: str, split: str, n: int, resize: str, wanted: tuple[str, ...]) -> Known:
    """What is known of n real images of a split, 0 for all; their outputs are kept on the disk.

    `data`: the section of the config, as JSON.
    """
    part, scale = configs.from_json(data), dataset.spec.range
    n = count(dataset, part, split, n)
    identity = {"images": part["name"], "binarize": part["binarize"], "split": split, "n": n,
                "data": data_digest(getattr(dataset, split)["x"]), "resize": resize, "weights": weights.load().sha256}

    def images(first: int) -> Iterator[np.ndarray]:
        every = (image for x in real_examples(dataset, part, split, n) for image in host_bytes(x, scale))
        return itertools.islice(every, first, None)

    with opened(identity) as store:
        fill(store, images, n, wanted, lambda batches: extractor(weights.load(), resize, wanted)(batches))
        return known(store, n, wanted)


def data_digest(x: np.ndarray | Column) -> str:
    """A hash of the stored images; of streamed ones, of a thousand of them."""
    rows = x if isinstance(x, np.ndarray) else x[np.unique(np.linspace(0, len(x) - 1, 1_000).astype(int))]
    return hashlib.sha256(np.ascontiguousarray(rows)).hexdigest()
