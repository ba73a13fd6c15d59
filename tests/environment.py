"""The environment of the processes that tests start; imports nothing of the package, which conftest has yet to hook."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLAIN_EMITTERS = " --xla_cpu_use_fusion_emitters=false" if version("jaxlib").startswith("0.10.") else ""
"""Later versions have no others, do not know the flag, and abort the process that names it."""
QUICK_COMPILATION = f"--xla_backend_optimization_level=0{PLAIN_EMITTERS}"


def environment() -> dict[str, str]:
    """Of a process with the tests' compilation settings and cache."""
    return os.environ | {"PYTHONPATH": str(ROOT)}


def users_environment() -> dict[str, str]:
    """Of a process that computes as users' do: XLA's own settings, which have entries of their own in the cache."""
    return environment() | {"XLA_FLAGS": os.environ.get("XLA_FLAGS", "").replace(QUICK_COMPILATION, "").strip()}


def complaint() -> str:
    """What JAX dies of in this environment, as it does of an unknown flag in XLA_FLAGS; empty where it starts."""
    started = subprocess.run([sys.executable, "-c", "import jax; jax.devices()"], capture_output=True, text=True)
    return started.stderr.strip()[-500:] if started.returncode else ""
