"""Experiment files: what is wrong with one is a single line that names the file and the line in it."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gen.config import experiment_name, flatten, load
from tests.config.helpers import message

GOOD = '''
"""An experiment."""
from ml_collections import ConfigDict
from gen.config import variant as chosen

def get_config(variant: str = ""):
    full = ConfigDict({"train": {"steps": 100}, "encoder": {"name": "mlp", "width": 8}, "penalties": {"r1": {}}})
    return chosen(variant, {
        "": full,
        "smoke": {"train.steps": 2},
        "conv": {"encoder.depth": 3, "encoder.name": "conv", "penalties": {}},
        "typo": {"trian.steps": 2},
    })
'''


@pytest.fixture
def write(tmp_path):
    def write_(source, name="digits.py"):
        path = tmp_path / "vae" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(source.encode() if isinstance(source, str) else source)
        return str(path)

    return write_


def test_load_and_variants(write):
    path = write(GOOD)
    assert load(path).train.steps == 100
    assert load(f"{path}:").train.steps == 100
    assert load(f"{path}:smoke").train.steps == 2
    assert flatten(load(f"{path}:conv")) == {
        "encoder.name": "conv", "encoder.depth": 3, "penalties": {}, "train.steps": 100,
    }  # fmt: skip
    assert message(load, f"{path}:smok").startswith(f"{path}: Unknown variant 'smok'. Did you mean 'smoke'?")
    assert "no such section. Did you mean 'train'?" in message(load, f"{path}:typo")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1\ndef f(:\n", "{path}:2: not valid Python: invalid syntax."),
        ("x = 1\n  y = 2\n", "{path}:2: not valid Python: unexpected indent."),
        ("x = 1\n", "{path}: has no function get_config(variant) that returns a ConfigDict."),
        ("get_config = 3\n", "{path}: has no function get_config(variant) that returns a ConfigDict."),
        ("import nosuch\n", "{path}:1: ModuleNotFoundError: No module named 'nosuch'"),
        ("def get_config(variant=''):\n  x = {}\n  return x['a']\n", "{path}:3: KeyError: 'a'"),
        ("def get_config(variant=''):\n  raise ValueError('no\\nway')\n", "{path}: no way"),
        ("def get_config(variant=''):\n  pass\n", "{path}: get_config returned NoneType, not a ConfigDict."),
    ],
)
def test_files_that_are_no_experiments(write, source, expected):
    path = write(source)
    assert message(load, path) == expected.format(path=path)


def test_files_that_are_not_there_or_not_text(write, tmp_path):
    path = write(GOOD)
    assert message(load, path.replace("digits", "digts")).endswith(f"Did you mean {path!r}?")
    assert message(load, path.replace("/vae/", "/vea/")).endswith(f"Did you mean {path!r}?")
    assert "not valid Python" in message(load, write(b"\xff\xfe\x00", "binary.py"))
    assert message(load, write(b"x = '\0'", "null.py")).startswith(str(tmp_path))
    (tmp_path / "folder.py").mkdir()
    assert "cannot be read: Is a directory" in message(load, str(tmp_path / "folder.py"))
    path = write("def get_config(): ...", "plain.py")
    assert "takes 0 positional arguments" in message(load, f"{path}:smoke")
    assert "cannot be read" in message(load, "x" * 5000 + ".py")


@pytest.mark.slow
@settings(deadline=None)
@given(st.text())
def test_any_spec_loads_or_is_a_user_error(spec):
    assert message(load, spec + ".nosuch")
    assert message(load, f"nosuch/folder/{spec}.py")
    assert message(load, f"nosuch/folder/a.py:{spec}")


def test_experiment_name(monkeypatch, tmp_path):
    assert experiment_name("experiments/vae/digits.py:smoke") == "vae/digits"
    (tmp_path / "gan").mkdir()
    monkeypatch.chdir(tmp_path / "gan")
    assert experiment_name("ring.py") == "gan/ring"


def test_an_experiment_may_have_dataclasses_under_postponed_annotations(write):
    path = write("from __future__ import annotations\n"
                 "from dataclasses import dataclass, field\nfrom ml_collections import ConfigDict\n"
                 "@dataclass\nclass Steps:\n    n: int = 7\n    more: list[int] = field(default_factory=list)\n"
                 "def get_config(variant=''):\n    return ConfigDict({'train': {'steps': Steps().n}})\n")
    assert load(path).train.steps == 7


def test_an_experiment_imports_the_files_beside_it_and_no_others_of_their_name(write, tmp_path):
    using = ("from ml_collections import ConfigDict\n{early}\ndef get_config(variant=''):\n    {late}\n"
             "    return ConfigDict({{'train': {{'steps': beside_it.STEPS}}}})\n")
    one = write(using.format(early="import beside_it", late="pass"), "one.py")
    write("STEPS = 3", "beside_it.py")
    (tmp_path / "gan").mkdir()
    (tmp_path / "gan/beside_it.py").write_text("STEPS = 5")
    other = tmp_path / "gan/other.py"
    other.write_text(using.format(early="", late="import beside_it"))
    before = list(sys.path)
    assert (load(one).train.steps, load(str(other)).train.steps, load(one).train.steps) == (3, 5, 3)
    assert sys.path == before and "beside_it" not in sys.modules
