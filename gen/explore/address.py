"""A place in a model as the query of the page's address, so that opening the address again shows the same.

An address comes from anybody: each part is checked, and one that cannot be used is left at its default and named.
"""

import base64
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar
from urllib.parse import urlencode

import numpy as np
from jaxtyping import Int

from gen.errors import UserError
from gen.explore import space
from gen.explore.space import PATHS, Latent, Space

LARGEST = 1_000.0
"""Size of a latent at most."""

MOST = 50_000
"""Characters of a query at most: servers refuse addresses of more than 64 kB."""

SEEDS = 2**32
"""Seeds are below it."""

Value = TypeVar("Value")


class Place(NamedTuple):
    """Where one is in a space of latents.

    Attributes:
      seed: of the sample.
      z: the latent before truncation; None where it is the sample of the seed.
      psi: the truncation.
      label: of a conditional model.
      axes: the latents of the pad.
      a, b: what is pinned, before truncation; None where nothing is.
      path: key of `PATHS`, the kind of way between them.
    """

    seed: int
    z: Latent | None
    psi: float
    label: int
    axes: tuple[int, int]
    a: Latent | None
    b: Latent | None
    path: str


class CodePlace(NamedTuple):
    """A grid of codes: `grid`, or None where it is the sample of `seed`."""

    seed: int
    grid: Int[np.ndarray, "s t"] | None


class Query:
    """The parts of an address.

    Attributes:
      parts: name to text.
      refused: names of those that could not be used.
    """

    def __init__(self, parts: Mapping[str, str]):
        self.parts, self.refused = parts, []

    def take(self, name: str, read: Callable[[str], Value], default: Value) -> Value:
        """What `read` makes of a part; the default where it is absent, or refused with a ValueError."""
        if name not in self.parts:
            return default
        try:
            return read(self.parts[name])
        except ValueError:
            self.refused.append(name)
            return default

    def complaint(self) -> UserError | None:
        """What to say of the parts that were refused; None where there are none."""
        if not self.refused:
            return None
        return UserError(f"The address says something about {', '.join(self.refused)} that does not fit this model: "
                         "it is left out.")


def read(query: Query, known: Space, classes: int) -> Place:
    """The place that a query names, within the latents and the number of labels that the model has."""
    d, shown = len(known.order), [int(i) for i in known.order[:space.SLIDERS]]

    def axes(text: str) -> tuple[int, int]:
        first, second = (whole(part, d) for part in text.split(","))
        if not {first, second} <= set(shown):
            raise ValueError(text)
        return first, second

    def path(text: str) -> str:
        if text not in PATHS:
            raise ValueError(text)
        return text

    def latent(text: str) -> Latent:
        return numbers(text, d)

    return Place(
        query.take("seed", lambda text: whole(text, SEEDS), 0), query.take("z", latent, None),
        query.take("psi", share, 1.0), query.take("label", lambda text: whole(text, classes), 0),
        query.take("axes", axes, (shown[0], shown[min(1, d - 1)])), query.take("a", latent, None),
        query.take("b", latent, None), query.take("path", path, next(iter(PATHS))))


def write(place: Place) -> str:
    """The query of a place. One that is too long is left without what is pinned, or else without the latent."""
    said = {"seed": place.seed, "z": place.z, "psi": repr(float(place.psi)), "label": place.label or None,
            "axes": ",".join(map(str, place.axes)), "a": place.a, "b": place.b,
            "path": place.path if place.path != next(iter(PATHS)) else None}
    query = urlencode({name: packed(np.float32(value)) if isinstance(value, np.ndarray) else value
                       for name, value in said.items() if value is not None}, safe=",")
    if len(query) <= MOST:
        return query
    pinned = place.a is not None or place.b is not None
    return write(place._replace(a=None, b=None) if pinned else place._replace(z=None))


def read_codes(query: Query, side: tuple[int, int], codes: int) -> CodePlace:
    """The grid of codes that a query names, of this size and with codes below `codes`."""
    return CodePlace(query.take("seed", lambda text: whole(text, SEEDS), 0),
                     query.take("codes", lambda text: grid(text, side, codes), None))


def write_codes(place: CodePlace) -> str:
    """The query of a grid of codes; of one that is too long the seed alone."""
    query = {"seed": place.seed} | ({} if place.grid is None else {"codes": packed(np.uint16(place.grid))})
    return urlencode(query) if len(urlencode(query)) <= MOST else urlencode({"seed": place.seed})


def packed(values: np.ndarray) -> str:
    """The bytes of an array, little endian, in base64 for addresses: short, and no digit is lost."""
    return base64.urlsafe_b64encode(values.astype(values.dtype.newbyteorder("<")).tobytes()).decode().rstrip("=")


def unpacked(text: str, kind: str, n: int) -> np.ndarray:
    """The inverse of `packed`: n numbers of a type, "<f4" or "<u2". Raises a ValueError for anything else."""
    size = n * np.dtype(kind).itemsize
    if len(text) != -(-4 * size // 3):
        raise ValueError(f"{len(text)} characters are not {n} numbers.")
    return np.frombuffer(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True), kind)


def numbers(text: str, n: int) -> Latent:
    """A latent. Raises a ValueError for one of another length, or whose numbers are not finite or too large."""
    found = unpacked(text, "<f4", n).astype(np.float32)
    if not (np.abs(found) <= LARGEST).all():
        raise ValueError("Numbers that are no latents.")
    return found


def grid(text: str, side: tuple[int, int], known: int) -> Int[np.ndarray, "s t"]:
    """A grid of codes. Raises a ValueError for one of another size, or with codes that there are not."""
    found = unpacked(text, "<u2", side[0] * side[1]).astype(np.int32)
    if found.max() >= known:
        raise ValueError("Codes that there are not.")
    return found.reshape(side)


def whole(text: str, end: int) -> int:
    """A whole number below `end`. Raises a ValueError for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < end):
        raise ValueError("No such number.")
    return int(text)


def share(text: str) -> float:
    """A number from 0 to 1. Raises a ValueError for anything else."""
    if len(text) > 30 or not 0 <= float(text) <= 1:
        raise ValueError("No such share.")
    return float(text)
