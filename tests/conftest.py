"""Test-time shape checks, quick compilation of each program once a session, real images where there are.

Tests compile without LLVM's optimization, which halves their time: their programs are tiny and run once. What is
claimed of the programs that users run (resuming bit for bit, speed) is tested in processes with
`tests.environment.users_environment`.
"""

import os
import tempfile
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

from tests.environment import QUICK_COMPILATION

install_import_hook("gen", "beartype.beartype")


def pytest_configure(config):
    """Workers and subprocesses inherit a compilation cache that lives as long as the session."""
    if not hasattr(config, "workerinput"):
        config.compilation_cache = tempfile.TemporaryDirectory(prefix="gen-tests-")
        os.environ.setdefault("XLA_FLAGS", QUICK_COMPILATION)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = config.compilation_cache.name
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "0"


SHARED = Path(os.environ.get("GEN_SHARED_DATA", Path(__file__).parents[1] / "../shared/data")).resolve()


@pytest.fixture(scope="session")
def shared():
    """The folder of the real image sets."""
    if not SHARED.is_dir():
        pytest.skip(f"no real image sets in {SHARED}: set GEN_SHARED_DATA")
    return SHARED


@pytest.fixture
def prepared(shared, tmp_path_factory, monkeypatch):
    """A function of a data set's name that prepares it, once a session, in a folder for tests."""
    from gen.data import images

    folder = tmp_path_factory.getbasetemp() / "data"
    monkeypatch.setenv("GEN_DATA_DIR", str(folder))

    def prepare(name: str) -> None:
        if not images.is_prepared(name, folder):
            images.prepare(name, folder, shared)

    return prepare
