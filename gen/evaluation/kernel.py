"""The kernel distance KID of two sets of features: the squared maximum mean discrepancy, unbiased.

Source: Binkowski, Sutherland, Arbel & Gretton, Demystifying MMD GANs, 2018.

Kernel k(x, y) = (x . y / d + 1)^3, subsets of 1,000. Unlike the Frechet distance it has no bias, and may be negative.
"""

import numpy as np
from jaxtyping import Float

from gen.errors import UserError
from gen.estimates import estimate
from gen.evaluation.checks import finite
from gen.probability.divergences import polynomial, squared_mmd

SUBSET = 1_000


def kid(
    samples: Float[np.ndarray, "n d"], reference: Float[np.ndarray, "m d"], subset: int = SUBSET
) -> dict[str, float]:
    """Returns the mean of the estimates on pairs of subsets and, with more than one pair, its standard error.

    The subsets are disjoint, so that their estimates are independent and the error covers the draw of the samples:
    min(n, m) // subset of them, or one of min(n, m) where that is less than a subset. Both sets must be shuffled.

    Raises UserError below two vectors, or if one is not finite.
    """
    x, y = (finite(np.asarray(features)) for features in (samples, reference))
    fewest = min(len(x), len(y))
    if fewest < 2:
        raise UserError("A kernel distance needs at least two samples and two reference examples.")
    size = min(subset, fewest)
    blocks = [slice(i * size, (i + 1) * size) for i in range(fewest // size)]
    found = estimate([float(squared_mmd(np.float64(x[block]), np.float64(y[block]), polynomial)) for block in blocks])
    return {"kid": found.mean} | ({"kid_se": found.error} if len(blocks) > 1 else {})
