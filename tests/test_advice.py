"""What messages advise: the scripts that they name are there, with the flags that they name, and take the values."""

import re
import shlex

import pytest

from gen.config import split_spec
from gen.data.images import SHAPES
from gen.errors import UserError
from gen.evaluation import classifier
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


@pytest.mark.parametrize("name", classifier.TRAINABLE)
def test_a_missing_classifier_names_the_command_that_trains_it(name, tmp_path):
    folder = tmp_path / "a folder's"
    with pytest.raises(UserError) as error:
        classifier.load(name, str(folder))
    arguments = shlex.split(re.search(r"`(.*)`", str(error.value))[1])
    assert arguments == ["python", "scripts/train_classifier.py", f"--dataset={name}", f"--out={folder / name}"]
    assert name == "digits" or name in SHAPES


def test_of_other_data_no_classifier_is_advised(tmp_path):
    with pytest.raises(UserError, match="can be trained of .* alone: features=raw takes the pixels"):
        classifier.load("folder", str(tmp_path))
    with pytest.raises(UserError, match="--dataset=folder: a classifier can be trained of mnist"):
        classifier.train_and_save("folder", tmp_path / "folder", 1)
