"""Test-time shape checks, and one compilation of each program for all tests of a session."""

import os
import tempfile

from jaxtyping import install_import_hook

install_import_hook("gen", "beartype.beartype")


def pytest_configure(config):
    """Workers and subprocesses inherit a compilation cache that lives as long as the session."""
    if not hasattr(config, "workerinput"):
        config.compilation_cache = tempfile.TemporaryDirectory(prefix="gen-tests-")
        os.environ["JAX_COMPILATION_CACHE_DIR"] = config.compilation_cache.name
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "0"
