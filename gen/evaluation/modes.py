"""Mode coverage of samples from a 2-D Gaussian mixture, in PacGAN's definition (Lin et al. 2018, section 4.1)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import entropy


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
    """Counts the modes that the samples reach: each belongs to its nearest mean, and is good within 3 std of it."""
    distances = np.linalg.norm(samples[:, None] - means[None], axis=-1)
    good = distances.min(1) <= 3 * std
    counts = np.bincount(distances.argmin(1)[good], minlength=len(means))
    kl = float(entropy(counts, np.ones(len(means)))) if good.any() else float("inf")
    return Coverage(int((counts > 0).sum()), float(good.mean()), kl)
