"""Comparisons with independent packages: what they are, how far apart two results are, and the table of all.

A comparison computes the same numbers with `gen`, in float32 as it trains, and with another package, in float64 where
that can. It yields pairs (ours, theirs); the difference is the largest one of them, over the largest value of the
reference. The test asserts, and the table prints, the same `Row`.
"""

import importlib
import importlib.metadata
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

STAGES = ("losses", "layers", "networks", "optimizers", "densities", "bounds", "diffusion", "codebook", "metrics",
          "inception", "features", "measurement")
"""Modules of this folder, each of which registers its comparisons."""

HEADER = "| what | against | asserted | reached |"
SMALLEST = 1e-2
"""Of the largest value of all leaves: what a leaf is measured by at least."""

INSTALL = "pip install -c tests/parity/constraints.txt -e '.[test,parity]'"


class Comparison(NamedTuple):
    """Attributes:
    stage: the module it is from.
    what: is compared.
    package: the distribution it is compared with, as the index names it.
    tolerance: largest difference.
    pairs: yields (ours, theirs), trees of arrays of one structure.
    """

    stage: str
    what: str
    package: str
    tolerance: float
    pairs: Callable[[], Iterable[tuple[Any, Any]]]


class Row(NamedTuple):
    """Attributes:
    stage, what: of the comparison.
    package: with its version.
    tolerance: that is asserted.
    difference: that is reached.
    """

    stage: str
    what: str
    package: str
    tolerance: float
    difference: float

    @property
    def holds(self) -> bool:
        """Whether the difference is within the tolerance; a NaN is not."""
        return self.difference <= self.tolerance


_REGISTERED: list[Comparison] = []


def against(package: str, what: str, tolerance: float):
    """Registers a function that yields pairs as a comparison with `package`."""
    def register(pairs):
        _REGISTERED.append(Comparison(pairs.__module__.rpartition(".")[2], what, package, tolerance, pairs))
        return pairs

    return register


def optional(module: str):
    """The module, or None where its package is not installed: then its comparisons are skipped."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        return None


def comparisons() -> list[Comparison]:
    """All of them, in the order of `STAGES`."""
    for stage in STAGES:
        importlib.import_module(f"tests.parity.{stage}")
    return sorted(_REGISTERED, key=lambda comparison: STAGES.index(comparison.stage))


def missing(comparison: Comparison) -> str | None:
    """Why it cannot be made here; None if it can."""
    try:
        importlib.metadata.version(comparison.package)
    except importlib.metadata.PackageNotFoundError:
        return f"{comparison.package} is not installed: {INSTALL}"
    return None


def difference(ours: Any, theirs: Any) -> float:
    """max |ours - theirs| over max |theirs|, the largest one of the leaves.

    A leaf below a hundredth of the largest value of all leaves counts as of that size: gradients that are 0 but for
    rounding, as of a bias in front of batch norm. Where all of theirs are 0 the difference is absolute.

    Raises ValueError where the trees or the shapes differ.
    """
    floor = SMALLEST * max(float(np.abs(np.float64(leaf)).max()) for leaf in jax.tree.leaves(theirs)) or 1.0

    def one(a, b) -> float:
        a, b = np.float64(a), np.float64(b)
        if a.shape != b.shape:
            raise ValueError(f"shapes {a.shape} and {b.shape}")
        return float(np.abs(a - b).max() / max(np.abs(b).max(), floor))

    return max(jax.tree.leaves(jax.tree.map(one, ours, theirs)))


def measured(comparison: Comparison) -> Row:
    """Makes the comparison."""
    found = max(difference(*pair) for pair in comparison.pairs())
    version = importlib.metadata.version(comparison.package)
    return Row(comparison.stage, comparison.what, f"{comparison.package} {version}", comparison.tolerance, found)


def markdown(rows: Iterable[Row]) -> Iterator[str]:
    """The lines of a table for each stage."""
    stage = None
    for row in rows:
        if row.stage != stage:
            stage = row.stage
            yield from ("", f"## {stage.capitalize()}", "", HEADER, "|---|---|---|---|")
        yield f"| {row.what} | {row.package} | {row.tolerance:.0e} | {row.difference:.1e} |"
