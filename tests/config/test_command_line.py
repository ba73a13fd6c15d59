"""The command line: any arguments parse or are refused; the same overrides, and no others, name the same run."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gen.config import parse_argv, run_folder, run_name
from gen.errors import UserError
from tests.config.helpers import message


def test_parse_argv():
    argv = ["train.py", "--config=a.py:smoke", "--config.x.y", "-1", "--alsologtostderr", "--config.a=c=d",
            "--config.b=1", "--config.b=", "--configs=1", "--", "--config.x=1"]  # fmt: skip
    assert parse_argv(argv) == (
        "a.py:smoke", {"x.y": "-1", "a": "c=d", "b": ""},
        ["train.py", "--alsologtostderr", "--configs=1", "--", "--config.x=1"],
    )  # fmt: skip
    assert parse_argv(["p", "--config", "a.py"]) == ("a.py", {}, ["p"])
    assert parse_argv([]) == (None, {}, [])


@pytest.mark.parametrize(
    "argv", [["--config"], ["--config.a"], ["--config.a", "--config.b=1"], ["--config.", "1"], ["--noconfig.a"]]
)
def test_mistakes_in_argv(argv):
    assert argv[0] in message(parse_argv, argv)


@settings(deadline=None)
@given(st.lists(st.one_of(st.text(), st.text().map("--config.".__add__), st.text().map("--config".__add__))))
def test_any_argv_parses_or_is_a_user_error(argv):
    try:
        _, overrides, rest = parse_argv(argv)
    except UserError as e:
        assert len(str(e).splitlines()) == 1
        return
    assert all(isinstance(v, str) for v in overrides.values()) and len(rest) <= len(argv)


def test_run_name():
    assert run_name("", {}) == "default"
    assert run_name("smoke", {"train.steps": "9", "seed": "1"}) == "smoke-seed=1-train.steps=9"
    for widths in ("(500,200)", "(500, 200)", (500, 200)):
        assert run_name("", {"w": widths}) == "default-w=500,200"
    for rate in ("1e-3", ".001", "0.001", 1e-3, "0.0010"):
        assert run_name("", {"rate": rate}) == "default-rate=0.001"
    for count in ("1_000", "1000", "1000.0", 1000, 1e3):
        assert run_name("", {"count": count}) == "default-count=1000"
    for widths in ("[64,32]", "64,32", "(64, 32)", (64, 32), [64, 32]):
        assert run_name("", {"w": widths}) == "default-w=64,32"
    assert run_name("", {"w": "(500,)"}) == run_name("", {"w": 500}) != run_name("", {"w": "5e-2"})
    assert run_name("", {"a": True, "b": None}) == run_name("", {"b": "none", "a": "true"})
    assert run_name("", {"data": "a/b"}) != run_name("", {"data": "a_b"})
    assert run_name("..", {}) not in ("", ".", "..")


@settings(deadline=None)
@given(st.text(), st.dictionaries(st.text(), st.text(), max_size=5))
def test_run_names_are_safe_file_names(variant, overrides):
    name = run_name(variant, overrides)
    assert name == run_name(variant, dict(reversed(overrides.items())))
    assert 0 < len(name) <= 80 and name.isascii() and name.isprintable() and name[0] not in ".-"
    assert not set(name) & set("/\\ :*?\"<>|'$&;()")


@settings(deadline=None)
@given(*[st.tuples(st.text("a-=", max_size=3), st.dictionaries(st.sampled_from("ab"), st.text("ab1-=/_")))] * 2)
@example(("", {"a": "1-b=2"}), ("", {"a": "1", "b": "2"}))
def test_other_overrides_are_another_run(one, other):
    def read(variant, overrides):
        return variant, {key: re.sub("(?<=1)_(?=1)", "", value) if re.fullmatch("-?1(_?1)*", value) else value
                         for key, value in overrides.items()}

    assert (run_name(*one) == run_name(*other)) == (read(*one) == read(*other))


def test_a_run_under_the_name_that_it_once_had_is_found(tmp_path):
    overrides = {"rate": "1e-3"}
    assert run_folder(tmp_path, "", overrides) == tmp_path / "default-rate=0.001"
    (tmp_path / "default-rate=1e-3").mkdir()
    assert run_folder(tmp_path, "", overrides) == tmp_path / "default-rate=1e-3"
    (tmp_path / "default-rate=0.001").mkdir()
    assert run_folder(tmp_path, "", overrides) == tmp_path / "default-rate=0.001"
