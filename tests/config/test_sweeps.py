"""The algebra of sweeps against lists written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gen.config import chainit, fixed, flatten, product, resolve, sweep, zipit
from tests.config.helpers import SCHEMA, experiment, message


def test_sweep_algebra():
    seeds, rates = sweep("seed", range(2)), sweep("lr", (0.1, 0.2))
    assert fixed("a", 1) == [{"a": 1}]
    assert product([fixed("a", 1), seeds, rates]) == [
        {"a": 1, "seed": s, "lr": r} for s in (0, 1) for r in (0.1, 0.2)
    ]
    assert zipit([seeds, rates]) == [{"seed": 0, "lr": 0.1}, {"seed": 1, "lr": 0.2}]
    assert chainit([seeds, rates]) == [{"seed": 0}, {"seed": 1}, {"lr": 0.1}, {"lr": 0.2}]
    assert product([]) == [{}] and zipit([]) == [] and chainit([]) == []


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), max_size=4))
def test_sweep_lengths(lengths):
    sweeps = [sweep(f"k{i}", range(n)) for i, n in enumerate(lengths)]
    runs = product(sweeps)
    assert len(runs) == np.prod(lengths, dtype=int) and len({tuple(run.items()) for run in runs}) == len(runs)
    assert len(chainit(sweeps)) == sum(lengths)


def test_sweep_conflicts():
    assert message(product, [sweep("a", (1, 2)), fixed("a", 1)]) == "Two sweeps set the same key: a."
    assert message(zipit, [fixed("a", 1), fixed("a", 1)]) == "Two sweeps set the same key: a."
    assert message(zipit, [sweep("a", (1, 2)), sweep("b", (1, 2, 3))]) == "zipit: the sweeps differ in length: 2, 3."


@pytest.mark.parametrize("run", product([sweep("train.steps", (5, 6)), fixed("encoder.widths", (1,))]))
def test_runs_of_a_sweep_are_overrides(run):
    assert run.items() <= flatten(resolve(experiment(), run, SCHEMA)).items()
