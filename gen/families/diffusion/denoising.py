"""A denoiser and its noise schedule: what they say of noisy examples, terms of the bound, the way from noise to data.

All methods are pure functions of the parameters, {"denoiser": ..., "noise_schedule": ... if it is learned}.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree
from ml_collections import ConfigDict

from gen.config import make as make_part
from gen.data import RANGES, Spec
from gen.distributions import DiscretizedNormal, Distribution, Normal
from gen.errors import UserError
from gen.families import common
from gen.networks import DENOISERS
from gen.networks.blocks import Condition
from gen.objectives import diffusion as process
from gen.objectives.diffusion import NOISE_SCHEDULES, PREDICTIONS, SAMPLERS, Estimate, Terms
from gen.precision import policy
from gen.rng import stream

Parameters = dict[str, PyTree]
Option = float | Float[Array, ""]
Examples = Float[Array, "n ..."]
Seen = Callable[[Examples, Float[Array, ""]], Estimate]
"""(x_t, log_snr of all of them) -> what is seen in them."""

Step = Callable[[Array, Estimate, Array, Array, Array], Array]
"""One of `SAMPLERS`."""


class Denoising(NamedTuple):
    """The modules of a diffusion model, the config they come from, and the data's spec."""

    config: ConfigDict
    spec: Spec
    denoiser: nn.Module
    schedule: nn.Module

    @property
    def classes(self) -> int:
        """Labels that the model is conditioned on, 0 for none."""
        return self.spec.classes if self.config.conditional else 0

    @property
    def size(self) -> int:
        """Elements of an example."""
        return math.prod(self.spec.shape)

    def init(self, key: PRNGKeyArray) -> Parameters:
        """The parameters at first."""
        x, log_snr = jnp.zeros((2, *self.spec.shape)), jnp.zeros(2)
        params = {"denoiser": common.initial(
            self.denoiser, stream(key, "init denoiser"), x, log_snr, self.condition(None, 2))[0]}
        if learned := self.schedule.init(stream(key, "init noise schedule"), log_snr):
            params["noise_schedule"] = learned["params"]
        return params

    def condition(self, label: Int[Array, "n"] | None, n: int) -> Condition:
        """One-hot labels, zeros where there are none: the model without its condition. None if it never has one."""
        if label is not None and not self.classes:
            raise UserError("This diffusion model was trained without labels: there is no label to choose.")
        if not self.classes:
            return None
        return jnp.zeros((n, self.classes)) if label is None else jax.nn.one_hot(label, self.classes)

    def log_snr_at(self, params: Parameters, t: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """The noise schedule at times in [0, 1]."""
        return self.schedule.apply({"params": params.get("noise_schedule", {})}, t)

    def see(self, params: Parameters, x_t: Examples, log_snr: Float[Array, "n"], given: Condition,
            guidance: Option = 0.0) -> Estimate:
        """What the denoiser makes of x_t, guided by its condition where that is asked for."""
        def predict(given: Condition) -> Array:
            inputs = params["denoiser"], {}, x_t, log_snr, given
            return common.apply(self.denoiser, *inputs, train=False)[0].astype(jnp.float32)

        output = predict(given)
        if given is not None and not (isinstance(guidance, float) and guidance == 0):
            output = process.guided(output, predict(jnp.zeros_like(given)), guidance)
        return PREDICTIONS[self.config.prediction](output, x_t, wide(log_snr, x_t))

    def decoder(self, x: Examples, log_snr: Float[Array, ""]) -> Distribution:
        """p(x | x_0) around the example seen in x_0: on the 256 levels of pixels, a density of points."""
        log_scale = jnp.full_like(x, jnp.log(process.sigma(log_snr)))
        image = self.spec.range in RANGES
        return DiscretizedNormal(x, log_scale, RANGES[self.spec.range]) if image else Normal(x, log_scale)

    def terms(self, params: Parameters, x: Float[Array, "b ..."], given: Condition, level: Int[Array, "b"],
              key: PRNGKeyArray) -> Terms:
        """The terms of the bound at these levels, of x_t drawn from q(x_t | x)."""
        timesteps = self.config.timesteps
        table = self.log_snr_at(params, jnp.arange(timesteps + 1) / timesteps)
        log_snr, noise = table[level], jax.random.normal(key, x.shape)
        estimate = self.see(params, process.diffused(x, noise, wide(log_snr, x)), log_snr, given)
        squared_error = total(jnp.square(noise - estimate.epsilon))
        step_kl = process.step_kl_weight(log_snr, table[jnp.maximum(level - 1, 0)]) * squared_error
        reconstruction = -total(self.decoder(estimate.x, table[0]).log_prob(x))
        return Terms(squared_error, jnp.where(level == 0, reconstruction, step_kl),
                     total(process.prior_kl(x, table[-1])), timesteps + 1, self.size)

    def sampler(self) -> Step:
        """The config's sampler with its options."""
        options = {k: v for k, v in self.config.sampler.items() if k not in ("name", "steps", "guidance", "clip")}
        return partial(SAMPLERS[self.config.sampler.name], **options)

    def grid(self, params: Parameters) -> Float[Array, "steps"]:
        """log_snr at the levels that a sampler stops at, from noise to data."""
        timesteps, steps = self.config.timesteps, self.config.sampler.steps
        return self.log_snr_at(params, jnp.round(jnp.linspace(timesteps, 0, (steps or timesteps) + 1)) / timesteps)

    def seer(self, params: Parameters, given: Condition, guidance: Option = 0.0, clip: bool = False) -> Seen:
        """What is seen at any level of noise, held within the range of the data if it is to be clipped."""
        def seen(x_t: Examples, log_snr: Float[Array, ""]) -> Estimate:
            estimate = self.see(params, x_t, jnp.broadcast_to(log_snr, len(x_t)), given, guidance)
            return process.from_x(jnp.clip(estimate.x, RANGES[self.spec.range], 1), x_t, log_snr) if clip else estimate

        return seen


def build(config: ConfigDict, spec: Spec) -> Denoising:
    """The modules that the config describes, for examples of `spec`."""
    denoiser = make_part(DENOISERS, config.denoiser, "denoiser", dtype=policy(config).activations)
    return Denoising(config, spec, denoiser, make_part(NOISE_SCHEDULES, config.noise_schedule, "noise schedule"))


def travel(seen: Seen, step: Step, x: Examples, log_snrs: Float[Array, "steps"], key: PRNGKeyArray) -> Examples:
    """From one level of noise to the next by `step`, along `log_snrs`."""
    def move(x, inputs):
        i, now, then = inputs
        noise = jax.random.normal(stream(key, "noise", i), x.shape)
        return step(x, seen(x, now), noise, now, then), None

    return jax.lax.scan(move, x, (jnp.arange(len(log_snrs) - 1), log_snrs[:-1], log_snrs[1:]))[0]


def wide(v: Float[Array, "n"], x: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
    """One value an example, with axes of length 1 to broadcast against the examples."""
    return v.reshape(-1, *[1] * (x.ndim - 1))


def total(v: Float[Array, "n ..."]) -> Float[Array, "n"]:
    """Sums over the event."""
    return v.reshape(len(v), -1).sum(-1)
