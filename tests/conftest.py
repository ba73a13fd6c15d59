"""Test-time shape checks, quick compilation of each program once a session, some real images where there are.

Tests compile without LLVM's optimization and with XLA's plain emitters, which takes a third of the time: their programs
are tiny and run once. What is claimed of the programs that users run (resuming bit for bit, speed) is tested in
processes with `tests.environment.users_environment`. Convolutions are XLA's; those of oneDNN have tests of their own.
"""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

from tests.environment import QUICK_COMPILATION, complaint

install_import_hook("gen", "beartype.beartype")

DEVICES = 8
"""Of the tests' own processes, so that sharding is tested; runs of the tests' configs use one unless they say more."""


def pytest_configure(config):
    """Workers and subprocesses inherit a folder that lives as long as the session, for programs and image sets."""
    if not hasattr(config, "workerinput"):
        config.session_folder = tempfile.TemporaryDirectory(prefix="gen-tests-")
        os.environ.setdefault("XLA_FLAGS", QUICK_COMPILATION)
        os.environ.setdefault("GEN_CONVOLUTIONS", "xla")
        os.environ["GEN_TESTS_FOLDER"] = config.session_folder.name
        os.environ["JAX_COMPILATION_CACHE_DIR"] = f"{config.session_folder.name}/programs"
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"
        os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "0"
        if died := complaint():
            pytest.exit(f"JAX does not start with XLA_FLAGS={os.environ['XLA_FLAGS']!r}: {died}", returncode=3)
    import jax

    jax.config.update("jax_num_cpu_devices", DEVICES)


@pytest.fixture(scope="module", autouse=True)
def own_parts():
    """The tables of parts are as they were after each module: what a page, a notebook or a test adds stays there."""
    from gen.config import Part
    from gen.schema import FAMILIES, schema

    parts = [entry for family in FAMILIES for entry in schema(family).values() if isinstance(entry, Part)]
    tables = {id(table): table for part in parts for table in getattr(part.table, "maps", [part.table])}
    before = {key: dict(table) for key, table in tables.items()}
    yield
    for key, table in tables.items():
        table.clear()
        table.update(before[key])


@pytest.fixture(scope="session")
def foreign():
    """The functions of onednn.cc, compiled and registered with XLA once; nothing calls them yet. oneDNN's version."""
    from gen import flat
    from gen.networks import onednn

    if not (onednn.installed() and (shutil.which("c++") or shutil.which("g++"))):
        pytest.skip("needs gen[onednn] and a C++ compiler")
    onednn.use(f"{os.environ['GEN_TESTS_FOLDER']}/onednn")
    found, onednn._state["version"], flat._state["there"] = onednn.version(), "", False
    yield found


SHARED = Path(os.environ.get("GEN_SHARED_DATA", Path(__file__).parents[1] / "../shared/data")).resolve()


@pytest.fixture(scope="session")
def shared():
    """The folder of the real image sets."""
    if not SHARED.is_dir():
        pytest.skip(f"no real image sets in {SHARED}: set GEN_SHARED_DATA")
    return SHARED


@pytest.fixture
def prepared(shared, monkeypatch):
    """A function of a data set's name that prepares the first 2,000 images of each split, once a session."""
    from gen.data import images, originals

    folder, read = Path(os.environ["GEN_TESTS_FOLDER"]) / "data", originals.read
    monkeypatch.setenv("GEN_DATA_DIR", str(folder))
    monkeypatch.setattr(originals, "read", lambda *where: {
        split: (x[:2_000], label[:2_000]) for split, (x, label) in read(*where).items()})

    def prepare(name: str) -> None:
        folder.mkdir(exist_ok=True)
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not images.is_prepared(name, folder):
                images.prepare(name, folder, shared)

    return prepare
