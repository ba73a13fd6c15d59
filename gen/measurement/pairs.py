"""Distances of pairs: each sample and the reference image of the same place."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from gen.errors import UserError
from gen.evaluation.comparison import named
from gen.evaluation.pretrained import lpips, weights
from gen.evaluation.pretrained.extraction import batches, coloured
from gen.evaluation.pretrained.weights import Weights
from gen.measurement.sources import Source, TellUser

TRUNKS = {f"lpips_{trunk}": trunk for trunk in lpips.TRUNKS}
"""Metric to the network that compares."""

PIXELS, MOST = 2**19, 64
"""Of the images that are compared at once, at most, and their number."""


def loaded(metric: str) -> Weights:
    """The weights that a metric takes. Raises a UserError where there are none."""
    return weights.load(lpips.PUBLISHED[TRUNKS[metric]])


def measured(metrics: Iterable[str], samples: Source, reference: Source, tell: TellUser
             ) -> tuple[dict[str, float], dict[str, Any]]:
    """The mean of each metric over all pairs with its standard error, and what the numbers are of, as plain data.

    Raises a UserError where the counts or the sizes of a pair differ, or there are no weights.
    """
    if samples.n != reference.n:
        raise UserError(f"LPIPS compares each sample with the reference image of the same place: there are "
                        f"{samples.n:,} samples of {samples.name} and {reference.n:,} images of {reference.name}.")
    sets = {name: {"name": one.name, **one.identity} for name, one in (("samples", samples), ("reference", reference))}
    results, protocol = {}, {}
    for metric in metrics:
        trunk, known = TRUNKS[metric], loaded(metric)
        tell(f"{metric}: {samples.n:,} pairs in their order; weights of SHA-256 {known.sha256}.")
        found = np.concatenate([lpips.lpips(*map(centred, pair), trunk) for pair in joined(samples, reference)])
        values = {"lpips": float(found.mean()), "lpips_se": float(found.std(ddof=1) / np.sqrt(len(found)))}
        results |= named(values, known.word, samples.n, reference.name)
        protocol[metric] = {"weights": known.sha256, "pixels": "bytes", **sets}
    return results, protocol


def centred(x: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n h w 3"]:
    """Bytes as lpips takes them, in [-1, 1]."""
    return np.float32(x) / 127.5 - 1


def joined(samples: Source, reference: Source) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of one size, as many at once as `PIXELS` allows, in their order."""
    pairs = enumerate(zip(samples.images(0), reference.images(0), strict=True))
    checked = (_checked(i, *pair) for i, pair in pairs)
    for (height, width, _), same in itertools.groupby(checked, lambda pair: pair[0].shape):
        for part in batches(same, max(1, min(MOST, PIXELS // (height * width)))):
            yield tuple(np.stack(images) for images in zip(*part, strict=True))


def _checked(i: int, sample: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in colour."""
    if sample.shape[:2] != real.shape[:2]:
        raise UserError(f"LPIPS compares images of one size: sample {i} is {sample.shape[0]}x{sample.shape[1]}, and "
                        f"the reference image {i} {real.shape[0]}x{real.shape[1]}.")
    return coloured(sample[None])[0], coloured(real[None])[0]
