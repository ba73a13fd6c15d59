"""The settings outside a config that change a run's numbers: what is drawn, and how it is rounded.

A run keeps them with its checkpoints. With other draws it would be another run, and is refused; other rounding is said.
"""

import importlib.metadata
import os
from collections.abc import Mapping
from typing import Any

import jax
from absl import logging

from gen.errors import UserError
from gen.networks import onednn

DRAWS = ("jax_enable_x64", "jax_explicit_x64_dtypes", "jax_default_prng_impl", "jax_threefry_partitionable",
         "jax_random_seed_offset", "jax_high_dynamic_range_gumbel", "jax_numpy_dtype_promotion")
"""Settings of JAX that decide which bits a key gives, and of which type numbers are."""

ROUNDING = ("jax_default_matmul_precision", "jax_allow_f16_reductions", "jax_softmax_custom_jvp",
            "jax_disable_most_optimizations", "jax_optimization_level")
"""Settings of JAX that decide how operations are computed."""

VARIABLES = ("XLA_FLAGS", "NVIDIA_TF32_OVERRIDE")
PACKAGES = ("jax", "jaxlib", "flax", "optax")

Settings = dict[str, dict[str, Any]]


def settings() -> Settings:
    """The settings of this process, as JSON has them: {"draws": {name: value}, "rounding": {name: value}}."""
    draws, rounding = ({name: _setting(name) for name in names} for names in (DRAWS, ROUNDING))
    rounding |= {name: os.environ.get(name, "") for name in VARIABLES} | {
        "platform": jax.default_backend(), "convolutions": convolutions()}
    return {"draws": draws, "rounding": rounding | {name: importlib.metadata.version(name) for name in PACKAGES}}


def convolutions() -> str:
    """Whose the convolutions of this process are: "xla", or oneDNN's version."""
    version = onednn.version()
    return f"onednn {version}" if version else "xla"


def check(then: Mapping[str, Mapping[str, Any]], where: object) -> None:
    """Compares this process with the settings that the run in `where` was trained with; warns of other rounding.

    What only one of the two knows is not compared.

    Raises:
      UserError: it would draw other numbers.
    """
    now = settings()
    if lines := _differing(then.get("draws", {}), now["draws"]):
        raise UserError(f"{where} was trained with other settings of JAX, which draw other numbers "
                        f"({'; '.join(lines)}): set them as they were, or use another --workdir.")
    if lines := _differing(then.get("rounding", {}), now["rounding"]):
        logging.warning("%s goes on with other rounding than it was trained with: %s", where, "; ".join(lines))


def _differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [f"{_name(key)}: {then[key]} -> {value}" for key, value in now.items() if key in then and then[key] != value]


def _name(key: str) -> str:
    """The setting as its environment variable is called."""
    return key.upper() if key.startswith("jax_") else key


def _setting(name: str) -> Any:
    """A setting of JAX as JSON has it; None where this version has none of that name."""
    value = getattr(jax.config, name, jax.config.values.get(name))
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
