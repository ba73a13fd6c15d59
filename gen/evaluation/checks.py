"""What evaluators may be given: finite numbers, and no more examples than there are."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Shaped
from ml_collections import ConfigDict

from gen.errors import UserError

NEIGHBOURS = 5
"""Of precision and recall, unless an evaluator has an option `k`."""

LEAST = {"fid": 2, "kid": 2, "mixture_fid": 2, "memorization": 2, "sap": 4, "dci": 4, "inception_fid": 2,
         "inception_kid": 2, "inception_sfid": 2, "dinov2_fd": 2, "dinov2_kd": 2, "prdc": NEIGHBOURS + 1}
"""Evaluator to the fewest samples and real examples that it can use; one for every other."""

NEIGHBOURED = frozenset({"inception_prdc", "dinov2_prdc"})
"""Evaluators with an option `k`, of neighbours: they need more examples than k."""

LEAST_STEPS = {"annealed_log_likelihood": 2}
"""Evaluator to the fewest steps: temperatures go from 0 to 1."""


def finite(x: Shaped[np.ndarray, "n *shape"], what: str = "feature vectors") -> Shaped[np.ndarray, "n *shape"]:
    """Returns `x`. Raises a UserError that counts the rows with a NaN or an infinity, if there are any."""
    if np.issubdtype(x.dtype, np.inexact):
        bad = int((~np.isfinite(x).reshape(len(x), -1).all(1)).sum())
        if bad:
            raise UserError(f"{bad} of {len(x)} {what} hold a NaN or an infinity, so that no metric of them means "
                            "anything: look at the training metrics, or evaluate an earlier checkpoint (--step).")
    return x


def at_least(least: int, n: int, what: str) -> int:
    """Returns `n`. Raises a UserError below `least`."""
    if n < least:
        raise UserError(f"{what} = {n}: at least {least} {'is' if least == 1 else 'are'} needed.")
    return n


def of_stored(n: int, stored: int, what: str) -> int:
    """How many of the `stored` examples `n` means: 0 is all of them. Raises a UserError for more, or fewer than 0."""
    if not 0 <= n <= stored:
        raise UserError(f"{what} = {n}: there are {stored} examples; 0 takes all of them.")
    return n or stored


def numbers(evaluator: str, options: Mapping | ConfigDict, stored: int) -> None:
    """Raises a UserError, which names the key, for numbers with which the evaluator cannot work.

    Args:
      evaluator: its name.
      options: of the config's `evaluators.NAME`.
      stored: how many test examples there are.
    """
    key, least = f"config.evaluators.{evaluator}", LEAST.get(evaluator, 1)
    if evaluator in NEIGHBOURED:
        least = options["k"] + 1
    fewest = {"samples": least, "most": least, "steps": LEAST_STEPS.get(evaluator, 1)}
    for name in ("samples", "most", "votes", "chains", "steps", "leapfrogs", "rows", "components", "codes"):
        if name in options:
            at_least(fewest.get(name, 1), options[name], f"{key}.{name}")
    used = of_stored(options.get("examples", 0), stored, f"{key}.examples")
    at_least(least, used, f"{key}: the number of test examples")
