"""What messages advise: the scripts that they name are there, with the flags that they name, and take the values."""

import re
import shlex

import pytest

from gen.config import split_spec
from gen.data import Spec
from gen.errors import UserError
from gen.evaluation import classifiers
from tests.environment import ROOT

COMMAND = re.compile(r"scripts/(\w+)\.py((?:\s+--[\w.]+)*)")
SOURCES = [path for folder in ("gen", "scripts", "experiments") for path in sorted((ROOT / folder).rglob("*.py"))]


def test_every_script_and_flag_that_the_code_names_is_there():
    named = 0
    for path in SOURCES:
        for script, flags in COMMAND.findall(path.read_text()):
            source = ROOT / "scripts" / f"{script}.py"
            assert source.is_file(), f"{path}: {source}"
            for flag in re.findall(r"--([\w.]+)", flags):
                named += 1
                known = flag.startswith("config") or re.search(rf"DEFINE_\w+\(\s*\"{flag}\"", source.read_text())
                assert known, f"{path}: {script}.py has no --{flag}"
    assert named > 50


def test_every_experiment_that_the_code_names_is_there():
    for path in SOURCES:
        for spec in re.findall(r"experiments/[a-z]+/\w+\.py(?::\w+)?", path.read_text()):
            assert (ROOT / split_spec(spec)[0]).is_file(), f"{path}: {spec}"


@pytest.mark.parametrize("name", classifiers.FIXED)
def test_a_missing_classifier_names_the_command_that_trains_it(name, tmp_path):
    assert advised({"name": name}, Spec((8, 8, 1), 10, "unit"), tmp_path / "a folder's") == [
        f"--dataset={name}", f"--out={tmp_path}/a folder's/{name}"]


def advised(data, spec, folder) -> list[str]:
    with pytest.raises(UserError) as error:
        classifiers.load(data, spec, str(folder))
    python, script, *arguments = shlex.split(re.search(r"`(.*)`", str(error.value))[1])
    assert (python, script) == ("python", "scripts/train_classifier.py")
    return arguments


def test_the_command_has_the_options_that_are_not_the_defaults(tmp_path):
    flowers, other = tmp_path / "two flowers", Spec((8, 8, 1), 3, "unit")
    data = {"name": "folder", "path": str(flowers), "size": 8, "channels": 1, "loading": "streaming"}
    *arguments, out = advised(data, Spec((8, 8, 1), 2, "unit", (), ("iris", "rose")), tmp_path)
    assert arguments == ["--dataset=folder", f"--config.data.path={flowers}", "--config.data.size=8",
                         "--config.data.channels=1"]
    assert re.fullmatch(r"--out=.*/folder-two_flowers-[0-9a-f]{8}", out)
    assert advised({"name": "polygons", "sides": (3, 4, 7)}, other, tmp_path)[1] == "--config.data.sides=3,4,7"
    assert advised({"name": "stacked_mnist"}, Spec((28, 28, 3), 1_000, "unit"), tmp_path)[0] == "--dataset=mnist"


@pytest.mark.parametrize("data, spec, words", [
    ({"name": "ring"}, Spec((2,), 8, "real"), "has points.*features=raw"),
    ({"name": "folder", "path": "/x"}, Spec((8, 8, 1), 0, "unit"), "no labels.*/x.*subfolders.*features=raw"),
])
def test_where_there_is_nothing_to_learn_pixels_are_advised(data, spec, words, tmp_path):
    with pytest.raises(UserError, match=words):
        classifiers.load(data, spec, str(tmp_path))
