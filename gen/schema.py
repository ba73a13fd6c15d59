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
        "checkpoint_every": Natural, "keep": field_of(Count, 2), "best": "",
        "patience": field_of(Natural, 0), "on_nan": "stop",
        "microbatches": field_of(Count, 1),
    },
}
"""Of every experiment. Durations are in steps."""

COMMON_ABOUT = {
    "family": "What is trained: gan, vae, vaegan, vqvae or diffusion.",
    "seed": "Of initial parameters, noise and order of examples; each has a stream of its own.",
    "precision": "How a training step multiplies: float32, tensorfloat32 or bfloat16.",
    "data": "The examples.",
    "data.range": "Of decoded pixels: unit, [0, 1], or symmetric, [-1, 1].",
    "data.binarize": "Of pixels: none, dynamic (afresh at every step) or static (once).",
    "data.flip": "Half of the training images are mirrored, drawn anew at every step.",
    "data.crop_padding": "Training images are cut out of themselves with so many pixels around, at a place drawn anew.",
    "data.binarize_seed": "Of pixels that are binarised once.",
    "data.validation": "How many training examples, the last ones, are held out; each evaluation has their metrics "
                       "too, named `validation_*`, for `train.best`.",
    "ema_half_life": "Of the average of the parameters that draws and is evaluated, in images; 0 for none.",
    "ema_rampup": "At first the half life is at most so many times the images shown; 0 for no such bound.",
    "schedules": "How floats move in training, by their keys (`gen.schedules`).",
    "schedule.clock": "The unit of its durations: steps or images.",
    "schedule.absolute": "Its numbers are those of the float itself, not factors on it.",
    "optimizer.clip_norm": "The gradient is scaled down to this Euclidean norm of all its entries; 0 for none.",
    "optimizer.clip_value": "Each entry of the gradient is held within +- it; 0 for none.",
    "optimizer.skip_norm": "An update whose gradient has this norm or more is left out; 0 for none.",
    "evaluators": "What is measured beside the family's own metrics.",
    "evaluators.every": "Steps between its evaluations, where they cost more than the test split's; 0: as often.",
    "mesh": "Devices.",
    "mesh.data": "How many share a batch; 0: as many as divide it.",
    "mesh.fsdp": "Every large array of the state is split over them too.",
    "train": "How long, and how often what.",
    "train.steps": "Updates of the whole run.",
    "train.batch_size": "Examples of a step.",
    "train.log_every": "Steps of one dispatch, whose mean metrics are then logged; it divides all other periods.",
    "train.evaluate_every": "Steps between evaluations on test data; 0 for none.",
    "train.sample_every": "Steps between pictures of samples; 0 for none.",
    "train.checkpoint_every": "Steps between checkpoints; 0 for the last alone.",
    "train.keep": "Checkpoints that are kept, the best beside them.",
    "train.best": "max METRIC or min METRIC of the evaluation, whose checkpoint is kept; empty for none.",
    "train.patience": "Evaluations in a row without a better `train.best` after which the run ends; 0: it never does.",
    "train.on_nan": "stop, or skip: an update that is not finite is dropped and counted.",
    "train.microbatches": "Parts in which a batch is processed, one after the other, with the gradients averaged; "
                          "`gen.families.common.in_parts` says what that changes.",
}
"""Key to its meaning."""

DEFAULTS = {"mesh": {}, "schedules": {}}
"""Parts that an experiment need not name."""

ON_NAN = {"stop": "the run ends", "skip": "the update is dropped and counted"}
"""What becomes of an update that is not finite."""

FAMILIES = {"diffusion": diffusion.SCHEMA, "gan": gan.SCHEMA, "vae": vae.SCHEMA, "vaegan": vaegan.SCHEMA,
            "vqvae": vqvae.SCHEMA}
OWN_DEFAULTS = {"diffusion": diffusion.DEFAULTS, "vae": vae.DEFAULTS, "vaegan": vaegan.DEFAULTS}
"""By family."""
ABOUT = {"": COMMON_ABOUT, "diffusion": diffusion.ABOUT, "gan": gan.ABOUT, "vae": vae.ABOUT, "vaegan": vaegan.ABOUT,
         "vqvae": vqvae.ABOUT}
"""Key to its meaning, by family; "" are those of all. "optimizer.clip_norm" is of every part of this kind."""


def schema(family: str) -> Schema:
    """The sections of every experiment with those of its family; both may have keys outside all sections."""
    own = lookup(FAMILIES, family, "family")
    return SECTIONS | own | {"": SECTIONS[""] | own.get("", {})}


def complete(config: ConfigDict, overrides: Overrides, begun: bool = False) -> ConfigDict:
    """The experiment's config with overrides and all defaults, checked and locked.

    Options that nothing reads are no fault in the config of a run that has begun, which may be older than their rule.

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
    for line in unread(resolved) if not begun else ():
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
