"""Evaluators of a model by scores of a network's outputs, beside a row of real images.

The protocol is in every name, `fid_inception_tf1_50k_train`: score, network, rule of resizing, number of samples, the
split compared with. The real row, `..._real`, has images of the other split in place of the samples, as many or all.

Samples are rounded to bytes first. Outputs of real images are kept on the disk (`store`); those of samples are computed
once for all evaluators of an evaluation.
"""

import functools
import hashlib
import itertools
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from ml_collections import ConfigDict

from gen import config as configs
from gen.config.ranges import Count
from gen.data import RANGES, Dataset, host_bytes
from gen.data.streaming import Column
from gen.errors import UserError, lookup
from gen.evaluation.checks import finite
from gen.evaluation.comparison import OTHER, named
from gen.evaluation.features import count, real_examples
from gen.evaluation.kernel import SUBSET
from gen.evaluation.pretrained import weights
from gen.evaluation.pretrained.extraction import BATCH, extractor
from gen.evaluation.pretrained.networks import NETWORKS, Network
from gen.evaluation.pretrained.scores import MOST, NEIGHBOURS, SPLITS, Score, renamed, scores
from gen.evaluation.pretrained.statistics import Known, known
from gen.evaluation.pretrained.store import fill, opened
from gen.evaluation.types import DRAWN, Subject
from gen.signals import asked

SAMPLES = 50_000
INCEPTION, DINOV2 = "inception", "dinov2_vitl14"
"""Networks of evaluators, unless the config names another one."""

SCORES_OF = {
    "inception_fid": (INCEPTION, "fid"), "inception_kid": (INCEPTION, "kid"), "inception_score": (INCEPTION, "is"),
    "inception_prdc": (INCEPTION, "prdc"), "inception_sfid": (INCEPTION, "sfid"),
    "dinov2_fd": (DINOV2, "fd"), "dinov2_kd": (DINOV2, "kd"), "dinov2_prdc": (DINOV2, "prdc"),
}
"""Evaluator to its network and the score that it applies, as the network names it."""

_OUTPUTS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
"""Of the samples of an evaluation, by the function that draws them; gone with it."""


def inception_fid(subject: Subject, samples: Count = SAMPLES, split: str = "train", resize: str = "tf1"
                  ) -> dict[str, float]:
    """The Frechet Inception distance to all images of a split."""
    return evaluated(subject, INCEPTION, "fid", scores(), samples, split, resize)


def inception_sfid(subject: Subject, samples: Count = SAMPLES, split: str = "train", resize: str = "tf1"
                   ) -> dict[str, float]:
    """The same of spatial outputs."""
    return evaluated(subject, INCEPTION, "sfid", scores(), samples, split, resize)


def inception_kid(subject: Subject, samples: Count = SAMPLES, split: str = "train", resize: str = "tf1",
                  subset: Count = SUBSET) -> dict[str, float]:
    """The kernel distance, over disjoint subsets of so many images, and its standard error."""
    return evaluated(subject, INCEPTION, "kid", scores(subset=subset), samples, split, resize)


def inception_score(subject: Subject, samples: Count = SAMPLES, resize: str = "tf1", splits: Count = SPLITS
                    ) -> dict[str, float]:
    """The Inception score; its real row is of training images."""
    return evaluated(subject, INCEPTION, "is", scores(splits=splits), samples, "test", resize)


def inception_prdc(subject: Subject, samples: Count = MOST, split: str = "train", resize: str = "tf1",
                   k: Count = NEIGHBOURS, most: Count = MOST) -> dict[str, float]:
    """Precision, recall, density and coverage with k neighbours, of at most so many images of each set."""
    return evaluated(subject, INCEPTION, "prdc", scores(k=k, most=most), samples, split, resize)


def dinov2_fd(subject: Subject, samples: Count = SAMPLES, split: str = "train", resize: str = "pillow",
              network: str = DINOV2) -> dict[str, float]:
    """The Frechet distance of DINOv2's features to all images of a split (Stein et al. 2023)."""
    return evaluated(subject, network, "fd", scores(), samples, split, resize)


def dinov2_kd(subject: Subject, samples: Count = SAMPLES, split: str = "train", resize: str = "pillow",
              network: str = DINOV2, subset: Count = SUBSET) -> dict[str, float]:
    """The kernel distance of the same features."""
    return evaluated(subject, network, "kd", scores(subset=subset), samples, split, resize)


def dinov2_prdc(subject: Subject, samples: Count = MOST, split: str = "train", resize: str = "pillow",
                network: str = DINOV2, k: Count = 5, most: Count = MOST) -> dict[str, float]:
    """Precision, recall, density and coverage of the same features; 5 neighbours, as Stein et al. have them."""
    return evaluated(subject, network, "prdc", scores(k=k, most=most), samples, split, resize)


def check(name: str, options: Mapping | ConfigDict, dataset: Dataset) -> None:
    """Raises a UserError where there are no weights, no such network or rule, or no images: to ask before training."""
    key = f"config.evaluators.{name}"
    usual, score = SCORES_OF[name]
    network = lookup(NETWORKS, options.get("network", usual), f"{key}.network")
    lookup(network.scores, score, f"{key}.network {network.published.name}: score")
    weights.require(network.published)
    lookup(network.rules, options["resize"], f"{key}.resize")
    lookup(OTHER, options.get("split", "train"), f"{key}.split")
    shape = dataset.spec.shape
    if len(shape) != 3 or shape[-1] not in (1, 3) or dataset.spec.range not in RANGES:
        raise UserError(f"{key} needs images of 1 or 3 channels; the examples have the shape {tuple(shape)}.")


def evaluated(subject: Subject, network: str, name: str, table: Mapping[str, Score], samples: int, split: str,
              resize: str) -> dict[str, float]:
    """The network's score of that name, of samples and, with `_real`, of images of the other split.

    `table`: all scores with their options.
    """
    dataset, data, net = subject.dataset, configs.to_json(subject.config.data), NETWORKS[network]
    score = table[net.scores[name]]
    wanted = _wanted(subject, network, score)
    reference = real_images(dataset, data, split, 0, network, resize, score.outputs) if score.compared else None
    real = real_images(dataset, data, OTHER[split], samples, network, resize, score.outputs)
    found = applied(net, name, score, _samples(subject, samples, network, resize, wanted), reference, resize, split)
    rows = applied(net, name, score, real, reference, resize, split)
    return found | {f"{key}_real": value for key, value in rows.items()}


def applied(network: Network, name: str, score: Score, samples: Known, reference: Known | None, resize: str,
            split: str) -> dict[str, float]:
    """The score with its protocol in the names."""
    values = score.function(samples, reference) if score.compared else score.function(samples)
    n = min(score.most or samples.n, samples.n)
    against = (split,) if score.compared else ()
    word = weights.load(network.published).word
    return named(renamed(values, network.scores[name], name), word, resize, *score.protocol, n, *against)


def _wanted(subject: Subject, network: str, score: Score) -> tuple[str, ...]:
    """The outputs of the network that the evaluators of the config take, and this one."""
    every, table = set(score.outputs), scores()
    for name, options in subject.config.get("evaluators", {}).items():
        usual, found = SCORES_OF.get(name, ("", ""))
        if found and options.get("network", usual) == network:
            every |= set(table[NETWORKS[network].scores[found]].outputs)
    return tuple(sorted(every))


def _samples(subject: Subject, n: int, network: str, resize: str, wanted: tuple[str, ...]) -> Known:
    computed, loaded = _OUTPUTS.setdefault(subject.sample, {}), weights.load(NETWORKS[network].published)
    key = n, network, resize, wanted, loaded.sha256
    if key not in computed:
        if subject.share:
            options = {"n": n, "network": network, "resize": resize, "wanted": wanted}
            parts = subject.share("outputs", -(-n // DRAWN), options)
        else:
            extract = extractor(NETWORKS[network], loaded, resize, wanted)
            parts = list(extract(asked(_images(subject.draw(n), subject), subject.ask)))
        computed[key] = Known(n, {name: np.concatenate([part[name] for part in parts])[:n] for name in wanted})
    return computed[key]


def outputs(subject: Subject, n: int, network: str, resize: str, wanted: Sequence[str]
            ) -> Callable[[int], dict[str, np.ndarray]]:
    """The function that draws the i-th batch of n samples and gives the network's outputs `wanted` of it."""
    extract = extractor(NETWORKS[network], weights.load(NETWORKS[network].published), resize, tuple(wanted))

    def part(i: int) -> dict[str, np.ndarray]:
        found = list(extract(_images(finite(subject.batch(n, i), "samples"), subject)))
        return {name: np.concatenate([one[name] for one in found]) for name in wanted}

    return part


def _images(x: np.ndarray, subject: Subject) -> Iterator[np.ndarray]:
    """Samples as the bytes of images, some at a time."""
    return (host_bytes(x[i:i + BATCH], subject.dataset.spec.range) for i in range(0, len(x), BATCH))


@functools.lru_cache(maxsize=4)
def real_images(dataset: Dataset, data: str, split: str, n: int, network: str, resize: str, wanted: tuple[str, ...]
                ) -> Known:
    """What is known of n real images of a split, 0 for all; their outputs are kept on the disk.

    `data`: the section of the config, as JSON.
    """
    part, scale, net = configs.from_json(data), dataset.spec.range, NETWORKS[network]
    loaded = weights.load(net.published)
    n = count(dataset, part, split, n)
    identity = {"images": part["name"], "binarize": part["binarize"], "split": split, "n": n,
                "data": data_digest(getattr(dataset, split)["x"]), "resize": resize, "weights": loaded.sha256}

    def images(first: int) -> Iterator[np.ndarray]:
        every = (image for x in real_examples(dataset, part, split, n) for image in host_bytes(x, scale))
        return itertools.islice(every, first, None)

    with opened(net, identity) as store:
        fill(store, images, n, wanted, lambda batches: extractor(net, loaded, resize, wanted)(batches))
        return known(store, n, wanted)


def data_digest(x: np.ndarray | Column) -> str:
    """A hash of the stored images; of streamed ones, of a thousand of them."""
    rows = x if isinstance(x, np.ndarray) else x[np.unique(np.linspace(0, len(x) - 1, 1_000).astype(int))]
    return hashlib.sha256(np.ascontiguousarray(rows)).hexdigest()
