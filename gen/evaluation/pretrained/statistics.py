"""What is known of a set of images: its outputs, a row for each, or no more than their mean and covariance.

Published reference files have `mu` and `sigma` (TTUR, pytorch-fid, EDM, clean-fid), ADM's `mu_s`, `sigma_s` of the
spatial outputs and its images `arr_0` beside them. They do not say by which rule and weights they were made; files that
are written here do, and are refused where these are others.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from gen.errors import UserError, reason
from gen.evaluation.frechet import moments
from gen.evaluation.pretrained.store import Store
from gen.files import write_atomically

ROWS = 1_000
"""That are in memory, in float64, at a time."""

ROUNDING = 1e-4
"""Of a file's covariance: asymmetry, in shares of its largest entry, and negative eigenvalues, of the largest one."""

KEYS = {"features": ("mu", "sigma"), "spatial": ("mu_s", "sigma_s")}
"""Outputs to the names of their mean and covariance in published files."""


class Gaussian(NamedTuple):
    """A mean and an unbiased covariance, float64."""

    mean: Float[np.ndarray, "d"]
    covariance: Float[np.ndarray, "d d"]


@dataclass
class Known:
    """A set of images.

    Attributes:
      n: how many; 0 where a file of statistics does not say.
      rows: outputs [n d] by name; of a file of statistics none.
      gaussians: by name, kept once they are computed.
      provenance: plain data: images, rule of resizing, weights; {} of files that do not say.
      folder: where the Gaussians are kept, if they are.
    """

    n: int
    rows: Mapping[str, np.ndarray]
    gaussians: dict[str, Gaussian] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    def gaussian(self, name: str) -> Gaussian:
        """Mean and covariance of these outputs, in float64, of a thousand rows at a time."""
        if name not in self.gaussians:
            path = self.folder and self.folder / f"{name}-{self.n}.npz"
            self.gaussians[name] = _kept(path) or self._computed(name, path)
        return self.gaussians[name]

    def _computed(self, name: str, path: Path | None) -> Gaussian:
        x = self.outputs(name)
        found = moments(x[first:first + ROWS] for first in range(0, len(x), ROWS))
        if path:
            content = io.BytesIO()
            np.savez(content, mean=found.mean, covariance=found.covariance)
            write_atomically(path, content.getvalue())
        return Gaussian(found.mean, found.covariance)

    def outputs(self, name: str) -> Float[np.ndarray, "n d"]:
        """The outputs themselves. Raises a UserError where only their statistics are known."""
        if name not in self.rows:
            raise UserError(f"The reference has no {name} of single images, only statistics of them: Frechet "
                            "distances alone can be computed from those. Give its images.")
        return self.rows[name]

    def part(self, name: str, most: int) -> Float[np.ndarray, "m d"]:
        """At most so many rows, drawn without repetition by a fixed seed: sets are often sorted by class."""
        x = self.outputs(name)
        return x[np.random.default_rng(0).permutation(len(x))[:most]]


def known(store: Store, n: int, wanted: tuple[str, ...]) -> Known:
    """What a store knows of its first n images."""
    provenance = {**store.identity, "n": n, "sha256": store.data_digest(n)}
    return Known(n, {name: store.rows(name, n) for name in wanted}, {}, provenance, store.folder)


def _kept(path: Path | None) -> Gaussian | None:
    """What is kept there; None where that is nothing, or it is damaged."""
    if not path or not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            return Gaussian(file["mean"], file["covariance"])
    except Exception:  # a damaged file raises errors of any type
        return None


def write(path: Path, known: Known) -> None:
    """Writes mean and covariance under their published names, and `provenance` beside them."""
    arrays = {}
    for name, keys in KEYS.items():
        if name in known.rows or name in known.gaussians:
            arrays |= dict(zip(keys, known.gaussian(name), strict=True))
    content = io.BytesIO()
    np.savez(content, provenance=json.dumps({**known.provenance, "n": known.n}), **arrays)
    write_atomically(path, content.getvalue())


def is_statistics(path: Path) -> bool:
    """Whether an npz file has a mean and a covariance."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {"mu.npy", "sigma.npy"} <= set(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def read(path: Path, expected: Mapping[str, Any], widths: Mapping[str, int]) -> Known:
    """Reads a file of statistics.

    Args:
      path: of the npz file.
      expected: what its provenance must say, where it has one: `resize` and `weights`.
      widths: of the network's outputs.
    Raises:
      UserError: it is damaged, of other outputs, not finite, no covariance, or made by other means.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            keys = {name: KEYS[name] for name in KEYS if name in widths and set(KEYS[name]) <= set(file.files)}
            arrays = {name: [np.asarray(file[key]) for key in pair] for name, pair in keys.items()}
            provenance = json.loads(str(file["provenance"])) if "provenance" in file.files else {}
            if not isinstance(provenance, dict):
                raise ValueError("its provenance is no JSON object")
    except Exception as error:  # a damaged file raises errors of any type
        raise UserError(f"{path} cannot be read as statistics: {reason(error)}.") from error
    if "features" not in arrays:
        raise UserError(f"{path} has no mu and sigma.")
    for key, value in expected.items():
        if key in provenance and provenance[key] != value:
            raise UserError(f"{path} was made with {key}={provenance[key]}, this measurement has {key}={value}: "
                            "the two cannot be compared.")
    gaussians = {name: _gaussian(path, name, widths[name], *pair) for name, pair in arrays.items()}
    n = provenance.get("n", 0)
    return Known(n if isinstance(n, int) else 0, {}, gaussians, provenance)


def _gaussian(path: Path, name: str, d: int, mean: np.ndarray, covariance: np.ndarray) -> Gaussian:
    key, other = KEYS[name]
    if mean.shape != (d,) or covariance.shape != (d, d):
        raise UserError(f"{path}: {key} and {other} have the shapes {mean.shape} and {covariance.shape}, not ({d},) "
                        f"and ({d}, {d}): they are of another network.")
    if mean.dtype.kind not in "fiu" or covariance.dtype.kind not in "fiu":
        raise UserError(f"{path}: {key} and {other} are {mean.dtype} and {covariance.dtype}: real numbers are needed.")
    mean, covariance = np.float64(mean), np.float64(covariance)
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise UserError(f"{path}: {key} or {other} holds a NaN or an infinity.")
    if np.abs(covariance - covariance.T).max() > ROUNDING * np.abs(covariance).max():
        raise UserError(f"{path}: {other} is no covariance: it is not symmetric.")
    covariance = (covariance + covariance.T) / 2
    least, *_, most = np.linalg.eigvalsh(covariance)
    if least < -ROUNDING * max(most, 0):
        raise UserError(f"{path}: {other} is no covariance: it has the negative eigenvalue {least:.3g}.")
    return Gaussian(mean, covariance)
