"""The two sides of a comparison: the accelerator, or a CPU device that stands in for it, and the CPU.

A stand-in computes by the forms that accelerators take, whole convolutions and vmapped packs, so that the tests compare
two programs there too. `GEN_ACCELERATOR=cpu` asks for it.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple
from unittest import mock

import jax
import numpy as np

STANDS_IN = os.environ.get("GEN_ACCELERATOR") == "cpu"


class Row(NamedTuple):
    """A line of the printed table: what was compared, at which precision, the largest difference and its bound."""

    what: str
    precision: str
    difference: float
    bound: float


ROWS: list[Row] = []


def device() -> jax.Device | None:
    """What is tested; None where JAX has CPUs alone and none stands in."""
    if STANDS_IN:
        return jax.devices("cpu")[-1]
    return next((found for found in jax.devices() if found.platform != "cpu"), None)


def name() -> str:
    """The tested device in words."""
    return f"{device().device_kind}{', a CPU that stands in' if STANDS_IN else ''}, JAX {jax.__version__}"


@contextmanager
def on_cpu() -> Iterator[None]:
    """Computes on the CPU, in float32."""
    with jax.default_device(jax.devices("cpu")[0]):
        yield


@contextmanager
def on_device() -> Iterator[None]:
    """Computes on the tested device, with its own settings."""
    with ExitStack() as stack:
        stack.enter_context(jax.default_device(device()))
        if STANDS_IN:
            stack.enter_context(accelerator_forms())
        yield


def accelerator_forms() -> mock._patch:
    """Makes every choice by platform that of accelerators."""
    return mock.patch("jax.lax.platform_dependent", lambda *args, cpu, default: default(*args))


def vector(tree) -> np.ndarray:
    """All leaves of a tree of arrays, one after the other, in float64."""
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)])


def difference(a, b, scale=None) -> float:
    """||a - b|| / ||scale||, by default of b, for trees of arrays; infinities are equal to themselves."""
    a, b, scale = vector(a), vector(b), vector(b if scale is None else scale)
    distance = np.linalg.norm(np.subtract(a, b, where=a != b, out=np.zeros_like(a)))
    return float(distance / np.linalg.norm(scale[np.isfinite(scale)])) if distance else 0.0


def compare(what: str, precision: str, found: float, bound: float) -> None:
    """Notes the row and fails where the difference is above its bound, or not a number."""
    ROWS.append(Row(what, precision, found, bound))
    assert found <= bound, f"{what} ({precision}): {found:.3g} is above {bound:.3g} on {name()}"
