"""Flat maps and JSON hold the same as the config; differences tell types and absence."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ml_collections import ConfigDict

from gen.config import diff, flatten, from_json, to_json, unflatten
from gen.errors import UserError
from tests.config.helpers import TREES, message


@pytest.mark.slow
@settings(deadline=None)
@given(TREES)
def test_json_round_trip(tree):
    back = from_json(to_json(tree))
    assert flatten(back) == flatten(tree) and diff(tree, back) == []


@settings(deadline=None)
@given(st.text())
@example("[1]")
@example('{"a": NaN}')
@example('{"a.b": 1}')
@example('{"__class__": 1}')
@example('{"a": [{"b": 1}]}')
@example("[" * 100_000)
@example('{"a": 1e999}')
def test_other_json_is_a_user_error(text):
    try:
        assert isinstance(from_json(text), ConfigDict)
    except UserError as e:
        assert len(str(e).splitlines()) == 1


def test_diff_tells_types_and_absence():
    old = {"train": {"steps": 100, "lr": 1, "same": (1,)}, "gone": "x"}
    new = {"train": {"steps": 200, "lr": 1.0, "same": [1]}, "new": {}}
    assert diff(old, new) == [
        "gone: 'x' -> (absent)", "new: (absent) -> {}", "train.lr: 1 -> 1.0", "train.steps: 100 -> 200",
    ]  # fmt: skip


@settings(deadline=None)
@given(TREES)
def test_flatten_and_unflatten_are_inverse(tree):
    assert flatten(unflatten(flatten(tree))) == flatten(tree)


def test_unflatten_refuses_a_value_with_keys():
    assert message(unflatten, {"a": 1, "a.b": 2}) == "config.a.b: no such key; 'a' is a single value."
