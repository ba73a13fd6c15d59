"""Whatever is written in the place of a config's values ends in one line that says what is wrong, or is a run.

GEN_FUZZ is how many times as many configs are tried.
"""

import os
import signal
from contextlib import contextmanager
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gen import commands
from gen.config import Part, flatten, from_json, load, to_json
from gen.errors import UserError
from gen.schema import complete, schema
from tests.environment import ROOT

EXPERIMENTS = ("vae/digits.py", "vae/shapes.py", "gan/ring.py", "gan/one_d.py", "gan/dirac.py", "diffusion/digits.py")
MORE = int(os.environ.get("GEN_FUZZ", 1))
SECONDS = 60

NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 2, 3, 5, 7, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 10**12, -(10**12), 10**30]),
    st.integers(-20, 20), st.floats(), st.floats(0, 1))
VALUES = st.one_of(
    NUMBERS, NUMBERS.map(str), st.none(), st.booleans(), st.text(max_size=8),
    st.lists(NUMBERS, max_size=3).map(tuple), st.lists(NUMBERS, max_size=3).map(str),
    st.sampled_from(["true", "none", "nan", "1e400", "(1,", "{}", "__import__('os')", "../..", "a" * 1000, "\n", "\0"]))


@cache
def experiment(name: str):
    return load(f"{ROOT / 'experiments' / name}:smoke")


@cache
def keys(name: str) -> tuple[list[str], dict[str, list[str]]]:
    """The keys of the experiment, and those that name a part with the names there are."""
    config = complete(experiment(name), {})
    parts = {key: part for key, part in schema(config.family).items() if isinstance(part, Part)}
    names = {f"{key}{'.learning_rate' if part.anywhere else ''}.name": sorted(part.table)
             for key, part in parts.items() if not part.many}
    many = [f"{key}.{name}" for key, part in parts.items() if part.many for name in part.table]
    return [*flatten(config), *many], names


for read in EXPERIMENTS:  # before any strategy draws: what files import for the first time may use `random`
    keys(read)


@st.composite
def overridden(draw) -> tuple[str, dict]:
    """An experiment and some overrides: of its values, of the names of its parts, of what it does not have."""
    name = draw(st.sampled_from(EXPERIMENTS))
    known, names = keys(name)
    overrides = {key: draw(VALUES) for key in draw(st.lists(st.sampled_from(known), max_size=2))}
    for key in draw(st.lists(st.sampled_from(sorted(names)), max_size=1)):
        overrides[key] = draw(st.sampled_from(names[key]))
    unknown = st.one_of(st.text(max_size=6), st.sampled_from(known).map(lambda key: key + "s"))
    return name, overrides | {key: draw(VALUES) for key in draw(st.lists(unknown, max_size=1))}


class Late(BaseException):
    """No Exception, so that nothing takes it for a mistake in the config."""


@contextmanager
def one_line_or_none():
    """A UserError of one printable line may come; nothing else, and not after a minute."""
    def late(*_):
        raise Late(f"not done after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    except UserError as error:
        assert str(error).isprintable() and str(error) and len(str(error)) < 2_000, str(error)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def fuzz(examples: int):
    return settings(max_examples=examples * MORE, deadline=None, database=None, derandomize=MORE == 1,
                    suppress_health_check=list(HealthCheck))


@pytest.mark.slow
@fuzz(150)
@given(overridden())
def test_what_resolves_is_a_config_that_reads_back(tried):
    name, overrides = tried
    with one_line_or_none():
        config = complete(experiment(name), overrides)
        assert from_json(to_json(config)) == config


@pytest.mark.slow
@fuzz(12)
@given(overridden())
def test_what_resolves_can_be_examined(tried):
    name, overrides = tried
    with one_line_or_none():
        commands.examine(complete(experiment(name), overrides))
