"""Denoising diffusion (Ho et al. 2020) as a hierarchical VAE whose encoder is fixed: it adds noise step by step.

One network, the denoiser, sees examples at any level of noise and tells example and noise apart; from it follow every
p(x_s | x_t), the bound and the samples (`gen.objectives.diffusion`).
"""

import inspect
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray
from ml_collections import ConfigDict

from gen import optimizers
from gen.config import Part, field_of
from gen.config import make as make_part
from gen.config.ranges import Count, Natural, NonNegative, Probability
from gen.data import RANGES, Spec
from gen.errors import UserError, lookup
from gen.families import common
from gen.families.diffusion.denoising import Denoising, Examples, Option, Parameters, build, travel, wide
from gen.families.types import Batch, Family, Metrics, TrainState
from gen.networks import DENOISERS
from gen.networks.blocks import Condition
from gen.objectives import diffusion as process
from gen.objectives.diffusion import LOSSES, NOISE_SCHEDULES, PREDICTIONS, SAMPLERS
from gen.rng import stream

SCHEMA = {
    "": {
        "timesteps": field_of(Count, 1000), "prediction": "v", "conditional": False,
        "label_dropout": field_of(Probability[float], 0.1), "bound_levels": field_of(Count, 16),
    },
    "denoiser": Part(DENOISERS, "denoiser", supplied=frozenset({"dtype"})),
    "noise_schedule": Part(NOISE_SCHEDULES, "noise schedule"),
    "loss": Part(LOSSES, "diffusion loss", supplied=frozenset({"terms"})),
    "sampler": Part(SAMPLERS, "sampler", supplied=frozenset(inspect.signature(process.ddpm).parameters),
                    common={"steps": field_of(Natural, 0), "guidance": field_of(NonNegative[float], 0.0),
                            "clip": False}),
    "optimizer": Part(optimizers.OPTIMIZERS, "optimizer", common=optimizers.COMMON),
}
"""What the config of a diffusion model says; `ABOUT` has the meanings."""

ABOUT = {
    "timesteps": "T, how many levels of noise.",
    "prediction": "What the network's output is, a key of `PREDICTIONS`: epsilon, x or v.",
    "conditional": "The denoiser is given the label.",
    "label_dropout": "Share of the training examples that go without their label, so that samples can be guided.",
    "bound_levels": "Of the T noisy levels, those that the bound is evaluated at for each example; T is all of them.",
    "denoiser": "Of noisy examples and their log signal-to-noise ratio.",
    "noise_schedule": "log signal-to-noise ratio by time.",
    "loss": "What the denoiser minimises.",
    "sampler": "A step from noise to examples.",
    "sampler.steps": "0 is T.",
    "sampler.guidance": "Ho & Salimans' w, 0 for none.",
    "sampler.clip": "The example that is seen in the noise is held within the range of the data.",
    "optimizer": "Of the denoiser.",
}
"""Key to its meaning."""

DEFAULTS = {"noise_schedule": {"name": "cosine"}, "loss": {"name": "simple"}, "sampler": {"name": "ddpm"}}
"""Parts that an experiment need not name."""

FLOATS = ("label_dropout", "ema_half_life", "ema_rampup", "optimizer")
"""Where the config's floats are that may have a schedule."""


class Diffusion(NamedTuple):
    """A denoiser with its noise schedule, and how it is trained. All methods are pure functions of the state."""

    config: ConfigDict
    spec: Spec
    model: Denoising

    def init(self, key: PRNGKeyArray, examples: Batch) -> TrainState:
        """The state before the first step."""
        params = self.model.init(key)
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            key=key,
            params=params,
            variables={},
            opt_state={"optimizer": optimizers.init(self.config, "optimizer", params)},
            ema={"denoiser": jax.tree.map(jnp.copy, params["denoiser"])} if self.config.ema_half_life else {},
            hypers=common.hypers(self.config, "label_dropout", "ema_half_life") | common.ema_hypers(self.config)
            | optimizers.hypers(self.config, "optimizer"),
        )

    def given_by(self, batch: Batch) -> Condition:
        """The labels of a batch where the model is conditional."""
        return self.model.condition(batch["label"] if self.model.classes else None, len(batch["x"]))

    def loss(self, params: Parameters, state: TrainState, shown: tuple[Batch, Int[Array, "b"]], key: PRNGKeyArray):
        """The mean loss, one level of noise for each example. Returns (loss, (mean squared error of epsilon, ()))."""
        batch, level = shown
        given = self.given_by(batch)
        if self.model.classes and self.config.label_dropout:
            keep = 1 - state.hypers["label_dropout"]
            given *= jax.random.bernoulli(stream(key, "dropout"), keep, (len(given), 1))
        found = self.model.terms(params, batch["x"], given, level, stream(key, "noise"))
        return LOSSES[self.config.loss.name](found).mean(), (found.squared_error.mean() / self.model.size, ())

    def update(self, state: TrainState, batch: Batch, key: PRNGKeyArray) -> tuple[TrainState, Metrics]:
        """One step of the optimizer (Ho et al. 2020, algorithm 1)."""
        (level,) = _draw_levels(stream(key, "level"), 1, len(batch["x"]), self.config.timesteps + 1)
        differentiated = common.value_and_grad(
            lambda params, shown, key: self.loss(params, state, shown, key), self.config.train.microbatches)
        (value, (error, _)), grads = differentiated(state.params, (batch, level), key)
        size = optimizers.norm(grads)
        params, opt_state, limited = optimizers.move(
            self.config, "optimizer", state.hypers, grads, state.opt_state["optimizer"], state.params, size)
        ema = common.averages(self.config, state, params, len(batch["x"]),
                              lambda name: limited.get("skipped_updates"))
        return state.replace(step=state.step + 1, params=params, opt_state={"optimizer": opt_state}, ema=ema), {
            "loss": value, "epsilon_error": error, "gradient_norm": size} | limited

    def evaluate(self, state: TrainState, batch: Batch, key: PRNGKeyArray) -> Metrics:
        """The bound of each example in nats, its sum over L_1, ..., L_T estimated at `bound_levels` of them."""
        params, x, given = state.params | state.ema, batch["x"], self.given_by(batch)
        first = self.model.terms(params, x, given, jnp.zeros(len(x), jnp.int32), stream(key, "first level"))

        def step_kl(inputs):
            i, level = inputs
            return self.model.terms(params, x, given, level, stream(key, "noise", i)).level

        k = self.config.bound_levels
        levels = 1 + _draw_levels(stream(key, "levels"), k, len(x), self.config.timesteps)
        kl = first.prior + self.config.timesteps * jax.lax.map(step_kl, (jnp.arange(k), levels)).mean(0)
        metrics = {"elbo": -first.level - kl, "log_likelihood": -first.level, "kl": kl, "prior_kl": first.prior}
        bits = {"bits_per_dim": -metrics["elbo"] / (jnp.log(2) * self.model.size)}
        return metrics | (bits if self.spec.range in RANGES else {})

    def sample(self, state: TrainState, key: PRNGKeyArray, n: int, label: Int[Array, "n"] | None = None,
               guidance: Option | None = None) -> Examples:
        """n samples, of the given labels or, in a conditional model, of ones as frequent as in the data.

        `guidance` is the config's where it is not given.
        """
        if self.model.classes and label is None:
            label = common.draw_labels(stream(key, "label"), n, self.spec)
        params, guidance = state.params | state.ema, self.config.sampler.guidance if guidance is None else guidance
        seen = self.model.seer(params, self.model.condition(label, n), guidance, self.config.sampler.clip)
        x = self.latents(state, stream(key, "latents"), n).reshape(n, *self.spec.shape)
        log_snrs = self.model.grid(params)
        return seen(travel(seen, self.model.sampler(), x, log_snrs, key), log_snrs[-1]).x

    def latents(self, state: TrainState, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        """n samples of p(x_1) = N(0, I)."""
        return jax.random.normal(key, (n, self.model.size))

    def decode(self, state: TrainState, z: Float[Array, "n d"], label: Int[Array, "n"] | None = None) -> Examples:
        """The example of each x_1, by DDIM without noise (Song et al. 2021, section 4.2); no label is no condition."""
        params = state.params | state.ema
        seen, log_snrs = self.model.seer(params, self.model.condition(label, len(z))), self.model.grid(params)
        x_0 = travel(seen, process.ddim, z.reshape(-1, *self.spec.shape), log_snrs, state.key)
        return seen(x_0, log_snrs[-1]).x

    def invert(self, state: TrainState, x: Examples, label: Int[Array, "n"] | None = None) -> Float[Array, "n d"]:
        """The x_1 that decodes to each example, up to the size of the steps: DDIM backwards (Song et al. 2021, 4.3)."""
        params = state.params | state.ema
        seen = self.model.seer(params, self.model.condition(label, len(x)))
        return travel(seen, process.ddim, x, self.model.grid(params)[::-1], state.key).reshape(len(x), -1)

    def noised(self, state: TrainState, x: Examples, t: Float[Array, "n"], key: PRNGKeyArray) -> Examples:
        """A sample of q(x_t | x) at times t in [0, 1]."""
        return process.diffused(x, jax.random.normal(key, x.shape), wide(self.model.log_snr_at(state.params, t), x))

    def denoise(self, state: TrainState, x_t: Examples, t: Float[Array, "n"], label: Int[Array, "n"] | None = None
                ) -> Examples:
        """The estimate of E[x | x_t] at times t in [0, 1]."""
        params = state.params | state.ema
        return self.model.see(params, x_t, self.model.log_snr_at(params, t), self.model.condition(label, len(x_t))).x


def make(config, spec: Spec) -> Family:
    """The diffusion model that the config describes, for examples of `spec`, as a Family."""
    _check(config, spec)
    diffusion = Diffusion(config, spec, build(config, spec))
    methods = {"decode": diffusion.decode, "invert": diffusion.invert, "latents": diffusion.latents,
               "noised": diffusion.noised, "denoise": diffusion.denoise}
    return Family(diffusion.init, diffusion.update, diffusion.evaluate, diffusion.sample, methods)


def ends(schedule: ConfigDict) -> tuple[float, float]:
    """log SNR of the noise schedule of a config at t = 0 and at t = 1."""
    module = make_part(NOISE_SCHEDULES, schedule, "noise schedule")
    first, last = module.init_with_output(jax.random.key(0), jnp.array([0.0, 1.0]))[0]
    return float(first), float(last)


def _draw_levels(key: PRNGKeyArray, k: int, n: int, levels: int) -> Int[Array, "k n"]:
    return process.even_levels(jax.random.randint(key, (), 0, levels), k, n, levels)


def _check(config, spec: Spec) -> None:
    """Raises a UserError where parts do not fit together."""
    lookup(PREDICTIONS, config.prediction, "config.prediction")
    if config.noise_schedule.name == "learned" and config.loss.name != "bound":
        raise UserError(f"config.loss.name={config.loss.name!r} does not teach a noise schedule: set "
                        "config.loss.name=bound, or another config.noise_schedule.name.")
    if config.conditional and not spec.classes:
        raise UserError("config.conditional=true needs labels, and the data set has none.")
    if config.sampler.guidance and not config.conditional:
        raise UserError(f"config.sampler.guidance={config.sampler.guidance} guides towards a label: it needs "
                        "config.conditional=true.")
    if config.sampler.guidance and not config.label_dropout:
        raise UserError(f"config.sampler.guidance={config.sampler.guidance} needs a model that was trained without "
                        "labels too: set config.label_dropout above 0.")
    first, last = ends(config.noise_schedule)
    if not first > last:
        raise UserError(f"config.noise_schedule: log SNR goes from {first:g} to {last:g}; it has to fall.")
    if config.sampler.clip and spec.range not in RANGES:
        raise UserError("config.sampler.clip=true needs images: points have no range.")
    for key, value, least in (("timesteps", config.timesteps, 1), ("bound_levels", config.bound_levels, 1),
                              ("sampler.steps", config.sampler.steps, 0)):
        if not least <= value <= max(config.timesteps, 1):
            raise UserError(f"config.{key}={value}: at least {least} and at most config.timesteps={config.timesteps}.")
