"""Compiled programs are kept between starts: by default, in a folder of the user's, nowhere; bounded; damaged ones."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from gen import compilation_cache
from gen.errors import UserError
from gen.machine import instructions
from tests.environment import ROOT, environment

CONFIG = f"--config={ROOT}/experiments/vae/digits.py:smoke"
HIT = "Persistent compilation cache hit for 'jit_train'"


def describe(*flags: str, home: Path) -> str:
    """A dry run, which compiles the training, and keeps every program. Returns what it said."""
    env = environment() | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_LOG_COMPILES": "1"}
    env = {key: value for key, value in env.items() if key != "JAX_COMPILATION_CACHE_DIR"} | {"HOME": str(home)}
    done = subprocess.run([sys.executable, str(ROOT / "scripts" / "train.py"), CONFIG, "--dry_run", *flags],
                          capture_output=True, text=True, env=env, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stderr


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/jit_train-*-cache"))


@pytest.mark.slow
def test_a_second_start_takes_its_programs_from_the_users_cache_and_a_damaged_one_is_made_anew(tmp_path):
    assert HIT not in describe(home=tmp_path)
    (kept,) = entries(tmp_path / ".cache" / "gen" / "programs")
    assert HIT in describe(home=tmp_path)
    kept.write_bytes(kept.read_bytes()[:1_000])
    describe(home=tmp_path)


@pytest.mark.slow
def test_a_folder_of_the_users_own_and_none(tmp_path):
    folder = f"--compilation_cache={tmp_path}/cache"
    assert HIT not in describe(folder, home=tmp_path) and HIT in describe(folder, home=tmp_path)
    assert len(entries(tmp_path / "cache")) == 1 and not (tmp_path / ".cache").exists()
    assert HIT not in describe("--compilation_cache=none", home=tmp_path)


@pytest.fixture
def settings(monkeypatch):
    """JAX's two options as they are, put back afterwards."""
    before = {name: getattr(jax.config, name) for name in (
        "jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")}
    yield before
    for name, value in before.items():
        jax.config.update(name, value)


def test_what_the_user_told_jax_stays(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    jax.config.update("jax_compilation_cache_dir", "/elsewhere")
    compilation_cache.keep()
    assert jax.config.jax_compilation_cache_dir == "/elsewhere" and not list(tmp_path.iterdir())


def test_each_instruction_set_has_a_folder_of_its_own(settings, tmp_path, monkeypatch):
    for name in ("avx2", "avx512"):
        monkeypatch.setattr(compilation_cache, "instructions", lambda name=name: name)
        compilation_cache.keep(str(tmp_path))
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / name)


def test_the_instruction_set_is_named_by_the_processor():
    assert instructions() == instructions() and len(instructions()) == 12


def test_the_entries_used_longest_ago_go_first(tmp_path):
    (tmp_path / "avx2").mkdir()
    for age, name in enumerate(("new", "used", "old", "oldest")):
        path = tmp_path / "avx2" / f"jit_{name}-cache"
        path.write_bytes(bytes(10))
        os.utime(path, (1_000 - age, 500))
    other = tmp_path / "avx2" / "notes.txt"
    other.touch()
    compilation_cache.trim(tmp_path, limit=25)
    assert {path.name for path in (tmp_path / "avx2").iterdir()} == {"jit_new-cache", "jit_used-cache", "notes.txt"}


def test_a_folder_that_cannot_be_made_is_one_line_and_the_default_is_done_without(settings, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as error:
        compilation_cache.keep(str(tmp_path / "file"))
    assert str(error.value).startswith("--compilation_cache=") and "\n" not in str(error.value)
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    compilation_cache.keep()
    assert jax.config.jax_compilation_cache_dir is None
