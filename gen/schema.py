"""What a config may say: the sections and parts of every experiment, and those of its family."""

from typing import Any

from ml_collections import ConfigDict

from gen import schedules
from gen.config import Overrides, Part, Schema, field_of, flatten, known_fields, resolve, unflatten
from gen.config.ranges import Count, Natural, NonNegative, Seed
from gen.data import COMMON, SOURCES
from gen.errors import UserError, lookup
from gen.evaluation import EVALUATORS
from gen.families import FLOATS, diffusion, gan, vae, vaegan, vqvae
from gen.precision import policy
from gen.unread import unread

SECTIONS = {
    "": {"family": str, "seed": field_of(Seed, 0), "precision": "float32",
         "ema_half_life": field_of(NonNegative[float], 0.0), "ema_rampup": field_of(NonNegative[float], 0.0)},
    "data": Part(SOURCES, "data set", common=COMMON),
    "schedules": Part(schedules.SCHEDULES, "schedule", supplied=frozenset({"position"}), common=schedules.COMMON,
                      anywhere=True),
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
`gen.families.common.in_parts`. `schedules`: how floats move in training, by their keys (`gen.schedules`).
`ema_half_life`: of the moving average of the parameters, which then draw and are evaluated, in images; 0 for none. At
first it is at most `ema_rampup` times the images shown; 0 for no such bound."""

DEFAULTS = {"mesh": {}, "schedules": {}}
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
    schedules.check(resolved, FLOATS[resolved.family], known_fields(flatten(resolved), known))
    policy(resolved)
    lookup(ON_NAN, resolved.train.on_nan, "config.train.on_nan")
    for line in unread(resolved):
        raise UserError(line)
    return resolved


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a config by the names of now: `precision` was `dtype` once, and schedules had keys of their own."""
    values = {{"dtype": "precision"}.get(key, key): value for key, value in values.items()}
    old = {"schedule": ["learning_rate"], "instance_noise_schedule": ["instance_noise"],
           "penalty_schedule": [f"{key}.weight" for key in sorted(_entries(values, "penalties"))]}
    for section, targets in old.items():
        options = {key: values.pop(key) for key in list(values) if key.startswith(f"{section}.")}
        if options.get(f"{section}.name", "constant") != "constant":
            values |= {f"schedules.{target}{key.removeprefix(section)}": value
                       for target in targets for key, value in options.items()}
    return values | _warm_up(values.pop("kl_warmup", 0), values.pop("kl_warmup_stairs", 0))


def _entries(values: dict[str, Any], section: str) -> set[str]:
    return {".".join(key.split(".")[:2]) for key in values if key.startswith(f"{section}.")}


def _warm_up(steps: int, stairs: int) -> dict[str, Any]:
    """The schedule of what were `kl_warmup` and `kl_warmup_stairs`."""
    if not steps:
        return {}
    schedule = ({"name": "stairs", "steps": steps, "count": stairs} if stairs else
                {"name": "warm_up", "steps": steps})
    return {f"schedules.kl_weight.{key}": value for key, value in schedule.items()}
