"""The environment of the processes that tests start; imports nothing of the package, which conftest has yet to hook."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUICK_COMPILATION = "--xla_backend_optimization_level=0"


def environment() -> dict[str, str]:
    """Of a process that shares this session's compilation settings and cache."""
    return os.environ | {"PYTHONPATH": str(ROOT)}


def users_environment() -> dict[str, str]:
    """Of a process that runs this checkout as a user does, with XLA's own settings and no cache."""
    ours = ("JAX_COMPILATION_CACHE_DIR", "XLA_FLAGS")
    flags = os.environ.get("XLA_FLAGS", "").replace(QUICK_COMPILATION, "").strip()
    kept = {key: value for key, value in environment().items() if key not in ours}
    return kept | ({"XLA_FLAGS": flags} if flags else {})
