"""The environment of the processes that tests start; imports nothing of the package, which conftest has yet to hook."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUICK_COMPILATION = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"


def environment() -> dict[str, str]:
    """Of a process with the tests' compilation settings and cache."""
    return os.environ | {"PYTHONPATH": str(ROOT)}


def users_environment() -> dict[str, str]:
    """Of a process that computes as users' do: XLA's own settings, which have entries of their own in the cache."""
    return environment() | {"XLA_FLAGS": os.environ.get("XLA_FLAGS", "").replace(QUICK_COMPILATION, "").strip()}
