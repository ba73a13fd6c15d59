"""The machine that computes, in words."""

import hashlib
import os
import platform
from pathlib import Path

import jax


def machine() -> str:
    """The processor, its cores, the device that computes and the version of JAX."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} cores, device {jax.devices()[0].device_kind}, JAX {jax.__version__}"


def instructions() -> str:
    """A short name for the instruction set of this machine's processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    flags = {line.partition(":")[2].strip() for line in lines if line.startswith(("flags", "Features"))}
    told = " ".join([platform.machine(), *(sorted(flags) or [platform.processor()])])
    return hashlib.sha256(told.encode()).hexdigest()[:12]
