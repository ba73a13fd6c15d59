"""What a config may say: the sections and parts of every experiment, and those of its family."""

from typing import Any

from ml_collections import ConfigDict

from gen.config import Overrides, Part, Schema, field_of, flatten, resolve, unflatten
from gen.config.ranges import Count, Natural, Seed
from gen.data import COMMON, SOURCES
from gen.errors import UserError, lookup
from gen.evaluation import EVALUATORS
from gen.families import diffusion, gan, vae, vaegan, vqvae
from gen.optimizers import SCHEDULES
from gen.precision import policy
from gen.unread import unread

SECTIONS = {
    "": {"family": str, "seed": field_of(Seed, 0), "precision": "float32"},
    "data": Part(SOURCES, "data set", common=COMMON),
    "schedule": Part(SCHEDULES, "schedule", supplied=frozenset({"step"})),
    "evaluators": Part(EVALUATORS, "evaluator", supplied=frozenset({"subject"}), many=True,
                       common={"every": field_of(Natural, 0)}),
    "mesh": {"data": field_of(Natural, 0), "fsdp": False},
    "train": {
        "steps": Count, "batch_size": Count, "log_every": Count, "evaluate_every": Natural, "sample_every": Natural,
        "checkpoint_every": Natural, "keep": field_of(Count, 2), "best": "", "on_nan": "stop",
        "microbatches": field_of(Count, 1),
    },
}
"""Of every experiment. `precision` is of `gen.precision`, `mesh` of `gen.training.sharding`. Durations are in steps;
`train.best` is "max METRIC" or "min METRIC" of the evaluation. An evaluator is applied whenever the test split is
(`train.evaluate_every`), or in periods of its own, `every`, where it costs more. `train.microbatches`: parts in which a
batch is processed, one after the other, with the gradients averaged; what that changes is said in
`gen.families.common.in_parts`."""

DEFAULTS = {"mesh": {}, "schedule": {"name": "constant"}}
"""Parts that an experiment need not name."""

ON_NAN = {"stop": "the run ends", "skip": "the update is dropped and counted"}
"""What becomes of an update that is not finite."""

FAMILIES = {"diffusion": diffusion.SCHEMA, "gan": gan.SCHEMA, "vae": vae.SCHEMA, "vaegan": vaegan.SCHEMA,
            "vqvae": vqvae.SCHEMA}
OWN_DEFAULTS = {"diffusion": diffusion.DEFAULTS, "vae": vae.DEFAULTS, "vaegan": vaegan.DEFAULTS}
"""By family."""


def schema(family: str) -> Schema:
    """The sections of every experiment with those of its family; both may have keys outside all sections."""
    own = lookup(FAMILIES, family, "family")
    return SECTIONS | own | {"": SECTIONS[""] | own.get("", {})}


def complete(config: ConfigDict, overrides: Overrides) -> ConfigDict:
    """The experiment's config with overrides and all defaults, checked and locked.

    Raises:
      UserError: an unknown key or name, a wrong type, a missing value, a number outside its range, an option that
        nothing reads.
    """
    if not isinstance(config.get("family"), str):
        raise UserError(f"The config has no 'family': set config.family to one of {', '.join(sorted(FAMILIES))}.")
    known = schema(config["family"])
    defaults = DEFAULTS | OWN_DEFAULTS.get(config["family"], {})
    missing = {key: part for key, part in defaults.items() if key not in config}
    resolved = resolve(unflatten(_renamed(flatten(config)) | flatten(missing)), overrides, known)
    policy(resolved)
    lookup(ON_NAN, resolved.train.on_nan, "config.train.on_nan")
    for line in unread(resolved):
        raise UserError(line)
    return resolved


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a config by the names of now: `precision` was `dtype` once."""
    return {{"dtype": "precision"}.get(key, key): value for key, value in values.items()}
