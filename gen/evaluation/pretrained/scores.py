"""The numbers: functions of what is known of two sets of images (`statistics.Known`), the samples and the reference."""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import log_softmax, logsumexp

from gen.errors import UserError
from gen.evaluation import frechet, kernel, manifold
from gen.evaluation.pretrained.statistics import Known

SPLITS = 10
NEIGHBOURS = 3
MOST = 10_000
"""Of each set, for precision and recall, whose time grows with the square."""

POINTS, SMALLEST = 15, 5_000
"""Of the extrapolation of FID: how many numbers of samples, and the least of them."""


def frechet_distance(samples: Known, reference: Known, name: str) -> float:
    """d^2 of the Gaussians of these outputs, in float64."""
    a, b = samples.gaussian(name), reference.gaussian(name)
    return frechet.squared_distance(*a, *b)


def fid(samples: Known, reference: Known) -> dict[str, float]:
    """The Frechet Inception distance (Heusel et al. 2017)."""
    return {"fid": frechet_distance(samples, reference, "features")}


def sfid(samples: Known, reference: Known) -> dict[str, float]:
    """The same of spatial outputs (Nash et al. 2021)."""
    return {"sfid": frechet_distance(samples, reference, "spatial")}


def kid(samples: Known, reference: Known, subset: int = kernel.SUBSET) -> dict[str, float]:
    """The kernel distance over disjoint subsets, and its standard error (Binkowski et al. 2018)."""
    most = min(samples.n, len(reference.outputs("features")))
    return kernel.kid(samples.part("features", most), reference.part("features", most), subset)


def inception_score(samples: Known, splits: int = SPLITS) -> dict[str, float]:
    """exp E KL(p(y|x) || p(y)) over each of some consecutive parts: mean and standard deviation (Salimans et al. 2016).

    Raises a UserError where there are fewer images than parts.
    """
    logits = samples.outputs("logits")
    if len(logits) < splits:
        raise UserError(f"The Inception score takes {splits} parts, and there are {len(logits)} images.")
    ends = [i * len(logits) // splits for i in range(splits + 1)]
    values = [split_score(logits[a:b]) for a, b in zip(ends, ends[1:], strict=False)]
    return {"is": float(np.mean(values)), "is_std": float(np.std(values))}


def split_score(logits: Float[np.ndarray, "n k"]) -> float:
    """exp E KL(p(y|x) || p(y)) of one part."""
    log_p = log_softmax(np.float64(logits), axis=1)
    log_mean = logsumexp(log_p, axis=0) - np.log(len(log_p))
    return float(np.exp((np.exp(log_p) * (log_p - log_mean)).sum(1).mean()))


def prdc(samples: Known, reference: Known, k: int = NEIGHBOURS, most: int = MOST) -> dict[str, float]:
    """Precision, recall, density and coverage of at most so many of each (`gen.evaluation.manifold`)."""
    return manifold.prdc(samples.part("features", most), reference.part("features", most), k)


def fid_infinity(samples: Known, reference: Known, points: int = POINTS, smallest: int = SMALLEST) -> dict[str, float]:
    """FID at an infinite number of samples: the intercept of a line in 1/N, and its standard error.

    FID's bias is about proportional to 1/N (Chong & Forsyth 2020, section 4): FID is computed for random subsets of
    `smallest` samples to all of them, in equal steps. Raises a UserError where there are too few samples for a line.
    """
    x = samples.outputs("features")
    if len(x) < 2 * smallest:
        raise UserError(f"FID infinity begins with subsets of {smallest} samples, and needs twice as many; there are "
                        f"{len(x)}.")
    rng, target = np.random.default_rng(0), reference.gaussian("features")
    sizes = np.linspace(smallest, len(x), points).astype(int).tolist()
    values = []
    for size in sizes:
        rows = np.sort(rng.choice(len(x), size, replace=False))
        values.append(frechet.squared_distance(*Known(size, {"features": x[rows]}).gaussian("features"), *target))
    return intercept(1 / np.array(sizes), np.array(values))


def intercept(x: Float[np.ndarray, "p"], y: Float[np.ndarray, "p"]) -> dict[str, float]:
    """The value at 0 of the line of least squares, and its standard error."""
    (_, found), covariance = np.polyfit(x, y, 1, cov=True)
    return {"fid_infinity": float(found), "fid_infinity_se": float(np.sqrt(covariance[1, 1]))}


def renamed(values: Mapping[str, float], score: str, name: str) -> dict[str, float]:
    """Values of a score with another name for it: kid and kid_se as kd and kd_se."""
    return {key.replace(score, name, 1): value for key, value in values.items()}


class Score(NamedTuple):
    """A score with its options.

    Attributes:
      function: (samples, reference) -> named values; without `compared`, (samples).
      outputs: of both that it takes.
      protocol: words of its options, in the names of its metrics.
      compared: whether it has a reference.
      most: of the samples that it takes at most; 0 for all.
    """

    function: Callable[..., dict[str, float]]
    outputs: tuple[str, ...]
    protocol: tuple[str, ...] = ()
    compared: bool = True
    most: int = 0


def scores(subset: int = kernel.SUBSET, splits: int = SPLITS, k: int = NEIGHBOURS, most: int = MOST
           ) -> dict[str, Score]:
    """Every score by name, with these options."""
    return {
        "fid": Score(fid, ("features",)),
        "kid": Score(functools.partial(kid, subset=subset), ("features",), (f"subset{subset}",)),
        "is": Score(functools.partial(inception_score, splits=splits), ("logits",), (f"splits{splits}",), False),
        "prdc": Score(functools.partial(prdc, k=k, most=most), ("features",), (f"k{k}",), most=most),
        "sfid": Score(sfid, ("spatial",)),
        "fid_infinity": Score(fid_infinity, ("features",)),
    }
