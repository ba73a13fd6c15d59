"""Ranges of a config's numbers: what they hold, where they are declared, and that every number has one."""

import math
from typing import Annotated

import pytest
from ml_collections import ConfigDict

from gen.config import Part, field_of, parts, resolve
from gen.config.ranges import Count, Decay, NonNegative, Positive, Probability, Range, Real, above, at_least
from gen.errors import UserError
from gen.schema import FAMILIES, SECTIONS


@pytest.mark.parametrize("range_, inside, outside", [
    (at_least(1), (1, 7), (0, -3)), (above(0), (1e-9, 5.0), (0.0, -1.0)), (Range(0, 1), (0, 0.5, 1), (-0.1, 1.1)),
    (Range(0, 1, open_high=True), (0.0, 0.99), (1.0,)), (Range(), (-1e300, 1e300), ())])
def test_borders(range_, inside, outside):
    assert all(number in range_ for number in inside) and not any(number in range_ for number in outside)
    assert not any(math.nan in declared for declared in (at_least(1), above(0), Range(0, 1)))


def part(width: Count = 4, hidden: tuple[Count, ...] = (8,), rate: Positive[float] = 1.0, keep: Decay[float] = 0.9,
         share: Probability[float | None] = None, weight: NonNegative[float] = 0.0, shift: Real[float] = 0.0):
    return width


SCHEMA = {"net": Part({"part": part}, "network", common={"every": field_of(Count, 1)}),
          "": {"steps": Count, "noise": field_of(NonNegative[float], 0.0), "name": "x"}}


@pytest.mark.parametrize("key, value, said", [
    ("net.width", "0", "config.net.width = 0: must be at least 1."),
    ("net.width", "-3", "must be at least 1"),
    ("net.hidden", "8,0", "config.net.hidden = (8, 0): each of its numbers must be at least 1."),
    ("net.rate", "0", "config.net.rate = 0.0: must be above 0."),
    ("net.keep", "1", "must be at least 0 and below 1"),
    ("net.share", "1.5", "must be at least 0 and at most 1"),
    ("net.every", "0", "config.net.every = 0: must be at least 1"),
    ("steps", "0", "config.steps = 0: must be at least 1"),
    ("noise", "-500", "config.noise = -500.0: must be at least 0"),
])
def test_a_number_outside_its_range_is_one_line_with_key_value_and_range(key, value, said):
    with pytest.raises(UserError) as error:
        resolve(ConfigDict({"steps": 3, "net": {"name": "part"}}), {key: value}, SCHEMA)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_the_experiments_own_values_are_checked_too():
    with pytest.raises(UserError, match="config.net.width = 0"):
        resolve(ConfigDict({"steps": 3, "net": {"name": "part", "width": 0}}), {}, SCHEMA)


def test_values_within_their_ranges_are_kept():
    found = resolve(ConfigDict({"steps": 3, "net": {"name": "part"}}),
                    {"net.width": "1", "net.rate": "2", "net.shift": "-7", "net.share": "none"}, SCHEMA)
    assert (found.net.width, found.net.rate, found.net.shift, found.net.share) == (1, 2.0, -7.0, None)


def fields():
    """(key, field) of every option of every part of every family."""
    for schema in (SECTIONS, *FAMILIES.values()):
        for key, declared in schema.items():
            if isinstance(declared, Part):
                for name in declared.table:
                    options = parts.options(key, declared, name).items()
                    yield from ((f"{key}.{name}.{option}", field) for option, field in options)
            else:
                yield from ((f"{key}.{option}".lstrip("."), parts.declared(value))
                            for option, value in declared.items())


def test_every_number_has_a_range_that_holds_its_default():
    without = {key for key, field in fields() if (field.types | field.items) & {int, float} and field.range is None}
    assert not without, f"declare a range, e.g. `width: Count = 64` of gen.config.ranges: {sorted(without)}"
    for key, field in fields():
        values = field.default if isinstance(field.default, tuple) else (field.default,)
        for value in values:
            if isinstance(value, int | float) and not isinstance(value, bool):
                assert value in field.range, key


def test_an_annotation_without_a_range_stays_as_it_was():
    assert field_of(Annotated[int, "words"], 3).range is None
