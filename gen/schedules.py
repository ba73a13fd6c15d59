"""Schedules: any float of the config that training reads as an array may move while it trains.

`config.schedules` maps a dotted key to a schedule, `penalties.r1.weight` say to {"name": "cosine", "steps": 1_000}. The
key names one float, or all whose keys end with it: `schedules.learning_rate` is of both players' optimizers; where
two match, the longer counts. A schedule is a factor on the float, which stays a leaf of the TrainState (`hypers`) and
is swept as ever, or with `absolute` the value itself. Floats of a schedule are leaves too. Its length is its own, so
that extending a run does not change what has been trained.

A schedule is a function (position, **options) -> factor; the position is in the units of its `clock`, and so are its
durations.
"""

import itertools
from collections.abc import Iterable, Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from gen.config import flatten
from gen.config.messages import full_key, show
from gen.config.ranges import Count, Range, Real
from gen.config.values import Field
from gen.errors import UserError, lookup, nearest

Scalar = Float[Array, ""]
Option = float | Scalar
Position = Int[Array, ""] | Scalar

SECTION = "schedules"
CLOCKS = ("steps", "images")
"""Steps of training, or training examples that they took: a batch for each of the discriminator's steps, and under
packing one for each example of a pack."""

COMMON = {"clock": "steps", "absolute": False}
"""Keys of every schedule. `clock`: the unit of its durations. `absolute`: its numbers are those of the float itself,
not factors on it."""


ADAPTED = ("loss.balance",)
"""Floats that a loss moves after each step."""

NEUTRAL = {"kl_weight": 1.0, "augment_probability": 1.0}
"""Floats that leave something out of the program at another value than 0, and that value."""


def linear(position: Position, steps: Count = 10_000, initial: Real[Option] = 1.0, final: Real[Option] = 0.0) -> Scalar:
    """From `initial` to `final` on a straight line over `steps`, constant after it."""
    return initial + (final - initial) * progress(position, steps)


def warm_up(position: Position, steps: Count = 10_000) -> Scalar:
    """From 0 to 1 on a straight line over `steps`, constant after it."""
    return progress(position, steps)


def cosine(position: Position, steps: Count = 10_000, initial: Real[Option] = 1.0, final: Real[Option] = 0.0) -> Scalar:
    """From `initial` to `final` on half a cosine over `steps` (Loshchilov & Hutter 2017, eq. 5), constant after it."""
    return final + (initial - final) * 0.5 * (1 + jnp.cos(jnp.pi * progress(position, steps)))


def exponential(position: Position, half_life: Count = 10_000) -> Scalar:
    """Halves every `half_life`."""
    return 0.5 ** (position / float(half_life))


def stages(position: Position, unit: Count = 500, last: Count = 7) -> Scalar:
    """10^(-i / last) in stage i of 3^i * `unit`, i = 0..`last`, then constant (Burda et al. 2016, section 5)."""
    ends = jnp.asarray([min(unit * (3**i - 1) // 2, 2**31 - 1) for i in range(1, last + 1)], jnp.int32)
    return 10.0 ** (-jnp.sum(position >= ends) / last)


def stairs(position: Position, steps: Count = 10_000, count: Count = 10) -> Scalar:
    """1/n, 2/n, ..., 1 on n = `count` equal stairs over `steps`: a warm-up by the epoch, as in VampPrior's code."""
    return jnp.minimum(position // (steps // count) + 1, count) / count


def piecewise(position: Position, knots: tuple[Count, ...] = (1_000, 10_000),
              factors: tuple[Real[float], ...] = (0.0, 1.0, 0.0), shapes: tuple[str, ...] = ("linear", "cosine")
              ) -> Scalar:
    """Schedules in a chain: from factors[i] to factors[i + 1] between knots i and i + 1, the first of which is 0.

    `shapes` are the ways between them: "linear"; "cosine", half a one; "hold", the former until the knot. The default
    is a warm-up of 1,000 steps with a cosine to 0 after it, as optax.warmup_cosine_decay_schedule.
    """
    value = jnp.float32(factors[0])
    ways = zip(itertools.pairwise((0, *knots)), itertools.pairwise(factors), shapes, strict=True)
    for (begin, end), (before, after), shape in ways:
        way = before + (after - before) * SHAPES[shape](progress(position - begin, end - begin))
        value = jnp.where(position >= begin, way, value)
    return value


def progress(position: Position, length: int) -> Scalar:
    """From 0 to 1 on a line over `length`, and no further."""
    return jnp.clip(position / float(length), 0, 1)


SHAPES = {
    "linear": lambda t: t,
    "cosine": lambda t: 0.5 * (1 - jnp.cos(jnp.pi * t)),
    "hold": lambda t: jnp.float32(t >= 1),
}
"""Ways of `piecewise` from 0 to 1, functions of time in [0, 1]."""

SCHEDULES = {"linear": linear, "warm_up": warm_up, "cosine": cosine, "exponential": exponential, "stages": stages,
             "stairs": stairs, "piecewise": piecewise}
"""Name to function(position, **options) -> factor."""


def paths(config: ConfigDict) -> list[str]:
    """The keys that `config.schedules` has schedules for."""
    return [key.removesuffix(".name") for key in flatten(config.get(SECTION, {})) if key.endswith(".name")]


def part(config: ConfigDict, path: str) -> ConfigDict:
    """The schedule at a path."""
    found = config[SECTION]
    for name in path.split("."):
        found = found[name]
    return found


def movable(config: ConfigDict, floats: Iterable[str]) -> dict[str, float]:
    """The floats at or below the keys `floats` of the config, by dotted key, but for those that a loss moves."""
    return {key: value for key, value in flatten(config).items() if isinstance(value, float) and key not in ADAPTED
            and any(key == prefix or key.startswith(f"{prefix}.") for prefix in floats)}


def targets(config: ConfigDict, floats: Iterable[str]) -> dict[str, str]:
    """The floats that are scheduled, of those at or below the keys `floats`: dotted key -> path of its schedule."""
    by_length = sorted(paths(config), key=lambda path: path.count("."))
    return {key: path for path in by_length for key in movable(config, floats) if _names(path, key)}


def _names(path: str, key: str) -> bool:
    return key == path or key.endswith(f".{path}")


def acts(config: ConfigDict, key: str) -> bool:
    """Whether the float at a key of `NEUTRAL` changes anything: has another value than there, or a schedule."""
    return flatten(config)[key] != NEUTRAL[key] or scheduled(config, key)


def scheduled(config: ConfigDict, key: str) -> bool:
    """Whether a schedule moves the float at a key."""
    return any(_names(path, key) for path in paths(config))


def value(config: ConfigDict, path: str, base: Scalar, hypers: Mapping[str, Scalar], step: Int[Array, ""], images: int
          ) -> Scalar:
    """The value at `step` of a float whose own value is `base`, by the schedule at `path`.

    Args:
      config: of the run.
      path: of the schedule.
      base: the float.
      hypers: leaves of the state, the schedule's floats among them.
      step: steps before this one.
      images: training examples of a step.
    """
    schedule = part(config, path)
    options = {name: hypers.get(f"{SECTION}.{path}.{name}", option) for name, option in schedule.items()
               if name not in ("name", *COMMON)}
    position = step if schedule.clock == "steps" else step * jnp.float32(images)
    factor = SCHEDULES[schedule.name](position, **options)
    return jnp.float32(factor if schedule.absolute else base * factor)


def check(config: ConfigDict, floats: Iterable[str], fields: Mapping[str, Field]) -> None:
    """Raises a UserError for a schedule of what cannot move, or to where it may not.

    Args:
      config: resolved.
      floats: keys at or below which the floats are that training reads as arrays.
      fields: of every key, for the ranges.
    """
    known = movable(config, floats)
    for path in paths(config):
        where, own = full_key(f"{SECTION}.{path}"), [key for key in known if _names(path, key)]
        if not own:
            raise UserError(_no_float(config, path, where, known))
        _check_options(part(config, path), where)
        for key in own:
            if not known[key]:
                raise UserError(f"{where}: config.{key} is 0, which leaves it out of the program: set it above 0.")
            _check_range(part(config, path), where, key, known[key], fields[key].range)


def _no_float(config: ConfigDict, path: str, where: str, known: Mapping[str, float]) -> str:
    values = flatten(config)
    found = next((key for key in values if _names(path, key) and not key.startswith(SECTION)), None)
    if found is None:
        return f"{where}: the config has no such number.{nearest(path, known)}"
    reason = f"{show(values[found])} is no float" if not isinstance(values[found], float) else (
        "it is fixed when the program is made")
    return f"{where}: config.{found} cannot be scheduled, as {reason}.{nearest(path, known)}"


def _check_options(schedule: ConfigDict, where: str) -> None:
    lookup(dict.fromkeys(CLOCKS), schedule.clock, f"clock of {where}")
    if schedule.name == "stairs" and schedule.steps % schedule.count:
        raise UserError(f"{where}.count = {schedule.count} must divide its steps = {schedule.steps}.")
    if schedule.name != "piecewise":
        return
    knots, n = schedule.knots, len(schedule.knots)
    if (len(schedule.factors), len(schedule.shapes)) != (n + 1, n) or list(knots) != sorted(set(knots)):
        raise UserError(f"{where}: knots = {show(knots)} must rise and have a shape each and a factor more; there are "
                        f"{len(schedule.shapes)} shapes and {len(schedule.factors)} factors.")
    for shape in schedule.shapes:
        lookup(SHAPES, shape, f"shape of {where}")


def _check_range(schedule: ConfigDict, where: str, key: str, base: float, allowed: Range | None) -> None:
    ends = [schedule[name] for name in ("initial", "final") if name in schedule]
    numbers = ends or schedule.get("factors", (1.0,))
    for number in numbers if allowed else ():
        reached = number if schedule.absolute else base * number
        if reached not in allowed:
            raise UserError(f"{where}: takes config.{key} to {reached:g}, and it must be {allowed}.")
