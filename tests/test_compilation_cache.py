"""`--compilation_cache`: a run fills the folder, another takes its programs from there."""

import subprocess
import sys
from pathlib import Path

import pytest

from gen import launch
from gen.errors import UserError
from tests.environment import ROOT, environment

CONFIG = f"--config={ROOT}/experiments/vae/digits.py:smoke"


def describe(cache: Path) -> str:
    """A dry run, which compiles the training, with a cache of every program. Returns what it said."""
    env = environment() | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_LOG_COMPILES": "1"}
    done = subprocess.run([sys.executable, str(ROOT / "scripts" / "train.py"), CONFIG, "--dry_run",
                           f"--compilation_cache={cache}"], capture_output=True, text=True, env=env, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.slow
def test_a_second_run_takes_its_programs_from_the_folder(tmp_path):
    hit = "Persistent compilation cache hit for 'jit_train'"
    assert hit not in describe(tmp_path / "cache")
    assert any(path.name.startswith("jit_train-") for path in (tmp_path / "cache").iterdir())
    assert hit in describe(tmp_path / "cache")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as error:
        launch.cache_compilations(str(tmp_path / "file"))
    assert str(error.value).startswith("--compilation_cache=") and "\n" not in str(error.value)
