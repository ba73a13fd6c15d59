"""Denoising diffusion (Ho et al. 2020) as a hierarchical VAE whose encoder is fixed: it adds noise step by step.

One network, the denoiser, sees examples at any level of noise and tells example and noise apart; from it follow every
p(x_s | x_t), the bound and the samples (`gen.objectives.diffusion`).
"""

import inspect
import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from gen.config import Part
from gen.config import make as make_part
from gen.data import RANGES, Spec
from gen.distributions import DiscretizedNormal, Distribution, Normal
from gen.errors import UserError, lookup
from gen.families import common
from gen.families.types import Batch, Family, Metrics, TrainState
from gen.networks import DENOISERS
from gen.networks.blocks import Condition
from gen.objectives import diffusion as process
from gen.objectives.diffusion import LOSSES, NOISE_SCHEDULES, PREDICTIONS, SAMPLERS, Estimate, Terms
from gen.rng import stream
from gen.training import optimizers

Parameters = dict[str, PyTree]
Option = float | Float[Array, ""]
Step = Callable[[Array, Estimate, Array, Array, Array], Array]

SCHEMA = {
    "": {
        "timesteps": 1000, "prediction": "v", "conditional": False, "label_dropout": 0.1, "ema_half_life": 0.0,
        "bound_levels": 16,
    },
    "denoiser": Part(DENOISERS, "denoiser", supplied=frozenset({"dtype"})),
    "noise_schedule": Part(NOISE_SCHEDULES, "noise schedule"),
    "loss": Part(LOSSES, "diffusion loss", supplied=frozenset({"terms"})),
    "sampler": Part(SAMPLERS, "sampler", supplied=frozenset(inspect.signature(process.ddpm).parameters),
                    common={"steps": 0, "guidance": 0.0, "clip": False}),
    "optimizer": Part(optimizers.OPTIMIZERS, "optimizer"),
}
"""What the config of a diffusion model says.

`timesteps`: T. `prediction`: what the network's output is, a key of `PREDICTIONS`. `conditional`: on the label, which
`label_dropout` of the training examples go without, so that samples can be guided. `ema_half_life`: of the denoiser's
moving average, in images; 0 for none. `bound_levels`: of the T noisy levels, those that the bound is evaluated at for
each example; T is all of them. `sampler.steps`: 0 is T; `guidance`: Ho & Salimans' w, 0 for none; `clip`: whether the
example that is seen in the noise is held within the range of the data.
"""

DEFAULTS = {"noise_schedule": {"name": "cosine"}, "loss": {"name": "simple"}, "sampler": {"name": "ddpm"}}
"""Parts that an experiment need not name."""


def make(config, spec: Spec) -> Family:
    """The diffusion model that the config describes, for examples of `spec`, as a Family."""
    _check(config, spec)
    classes, size = spec.classes if config.conditional else 0, math.prod(spec.shape)
    denoiser = make_part(DENOISERS, config.denoiser, "denoiser", dtype=jnp.dtype(config.dtype))
    schedule = make_part(NOISE_SCHEDULES, config.noise_schedule, "noise schedule")
    read, loss_of = PREDICTIONS[config.prediction], LOSSES[config.loss.name]
    options = {k: v for k, v in config.sampler.items() if k not in ("name", "steps", "guidance", "clip")}
    sampler = partial(SAMPLERS[config.sampler.name], **options)

    def init(key: PRNGKeyArray, examples: Batch) -> TrainState:
        x, log_snr = jnp.zeros((2, *spec.shape)), jnp.zeros(2)
        params = {"denoiser": common.initial(denoiser, stream(key, "init denoiser"), x, log_snr, condition(None, 2))[0]}
        if learned := schedule.init(stream(key, "init noise schedule"), log_snr):
            params["noise_schedule"] = learned["params"]
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            key=key,
            params=params,
            variables={},
            opt_state={"optimizer": optimizers.transformation(config.optimizer, 0.0).init(params)},
            ema={"denoiser": jax.tree.map(jnp.copy, params["denoiser"])} if config.ema_half_life else {},
            hypers=common.hypers(config, "optimizer.learning_rate", "label_dropout", "ema_half_life"),
        )

    def condition(label: Int[Array, "n"] | None, n: int) -> Condition:
        """One-hot labels, zeros where there are none: the model without its condition. None if it never has one."""
        if label is not None and not classes:
            raise UserError("This diffusion model was trained without labels: there is no label to choose.")
        if not classes:
            return None
        return jnp.zeros((n, classes)) if label is None else jax.nn.one_hot(label, classes)

    def log_snr_at(params: Parameters, t: Float[Array, "*n"]) -> Float[Array, "*n"]:
        return schedule.apply({"params": params.get("noise_schedule", {})}, t)

    def see(params: Parameters, x_t: Float[Array, "n ..."], log_snr: Float[Array, "n"], given: Condition,
            guidance: Option = 0.0) -> Estimate:
        """What the denoiser makes of x_t, guided by its condition where that is asked for."""
        def predict(given: Condition) -> Array:
            inputs = params["denoiser"], {}, x_t, log_snr, given
            return common.apply(denoiser, *inputs, train=False)[0].astype(jnp.float32)

        output = predict(given)
        if given is not None and not (isinstance(guidance, float) and guidance == 0):
            output = process.guided(output, predict(jnp.zeros_like(given)), guidance)
        return read(output, x_t, wide(log_snr, x_t))

    def decoder(x: Float[Array, "n ..."], log_snr: Float[Array, ""]) -> Distribution:
        """p(x | x_0) around the example seen in x_0: on the 256 levels of pixels, a density of points."""
        log_scale = jnp.full_like(x, jnp.log(process.sigma(log_snr)))
        return DiscretizedNormal(x, log_scale, RANGES[spec.range]) if spec.range in RANGES else Normal(x, log_scale)

    def terms(params: Parameters, x: Float[Array, "b ..."], given: Condition, level: Int[Array, "b"],
              key: PRNGKeyArray) -> Terms:
        """The terms of the bound at these levels, of x_t drawn from q(x_t | x)."""
        table = log_snr_at(params, jnp.arange(config.timesteps + 1) / config.timesteps)
        log_snr, noise = table[level], jax.random.normal(key, x.shape)
        estimate = see(params, process.diffused(x, noise, wide(log_snr, x)), log_snr, given)
        squared_error = total(jnp.square(noise - estimate.epsilon))
        step_kl = process.step_kl_weight(log_snr, table[jnp.maximum(level - 1, 0)]) * squared_error
        reconstruction = -total(decoder(estimate.x, table[0]).log_prob(x))
        return Terms(squared_error, jnp.where(level == 0, reconstruction, step_kl),
                     total(process.prior_kl(x, table[-1])), config.timesteps + 1, size)

    def draw_levels(key: PRNGKeyArray, k: int, n: int, levels: int) -> Int[Array, "k n"]:
        return process.even_levels(jax.random.randint(key, (), 0, levels), k, n, levels)

    def loss(params: Parameters, state: TrainState, shown: tuple[Batch, Int[Array, "b"]], key: PRNGKeyArray):
        """The mean loss, one level of noise for each example. Returns (loss, (mean squared error of epsilon, ()))."""
        batch, level = shown
        x, n = batch["x"], len(batch["x"])
        given = condition(batch["label"] if classes else None, n)
        if classes and config.label_dropout:
            given *= jax.random.bernoulli(stream(key, "dropout"), 1 - state.hypers["label_dropout"], (n, 1))
        found = terms(params, x, given, level, stream(key, "noise"))
        return loss_of(found).mean(), (found.squared_error.mean() / size, ())

    def update(state: TrainState, batch: Batch, key: PRNGKeyArray) -> tuple[TrainState, Metrics]:
        """One step of the optimizer (Ho et al. 2020, algorithm 1)."""
        (level,) = draw_levels(stream(key, "level"), 1, len(batch["x"]), config.timesteps + 1)
        differentiated = common.value_and_grad(
            lambda params, shown, key: loss(params, state, shown, key), config.train.microbatches)
        (value, (error, _)), grads = differentiated(state.params, (batch, level), key)
        rate = state.hypers["optimizer.learning_rate"] * optimizers.factor(config.schedule, state.step)
        params, opt_state = optimizers.descend(
            config.optimizer, rate, grads, state.opt_state["optimizer"], state.params)
        ema = {name: common.moving_average(average, params[name], len(batch["x"]), state.hypers["ema_half_life"])
               for name, average in state.ema.items()}
        return state.replace(step=state.step + 1, params=params, opt_state={"optimizer": opt_state}, ema=ema), {
            "loss": value, "epsilon_error": error, "gradient_norm": common.norm(grads)}

    def evaluate(state: TrainState, batch: Batch, key: PRNGKeyArray) -> Metrics:
        """The bound of each example in nats, its sum over L_1, ..., L_T estimated at `bound_levels` of them."""
        params, x, n = state.params | state.ema, batch["x"], len(batch["x"])
        given = condition(batch["label"] if classes else None, n)
        first = terms(params, x, given, jnp.zeros(n, jnp.int32), stream(key, "first level"))

        def step_kl(inputs):
            i, level = inputs
            return terms(params, x, given, level, stream(key, "noise", i)).level

        k = config.bound_levels
        levels = 1 + draw_levels(stream(key, "levels"), k, n, config.timesteps)
        kl = first.prior + config.timesteps * jax.lax.map(step_kl, (jnp.arange(k), levels)).mean(0)
        metrics = {"elbo": -first.level - kl, "log_likelihood": -first.level, "kl": kl, "prior_kl": first.prior}
        return metrics | ({"bits_per_dim": -metrics["elbo"] / (jnp.log(2) * size)} if spec.range in RANGES else {})

    def grid(params: Parameters) -> Float[Array, "steps"]:
        """log_snr at the levels that a sampler stops at, from noise to data."""
        level = jnp.round(jnp.linspace(config.timesteps, 0, (config.sampler.steps or config.timesteps) + 1))
        return log_snr_at(params, level / config.timesteps)

    def travel(see_at: Callable[[Array, Array], Estimate], step: Step, x: Float[Array, "n ..."],
               log_snrs: Float[Array, "steps"], key: PRNGKeyArray) -> Float[Array, "n ..."]:
        """From one level of noise to the next by `step`, along `log_snrs`."""
        def move(x, inputs):
            i, now, then = inputs
            noise = jax.random.normal(stream(key, "noise", i), x.shape)
            return step(x, see_at(x, now), noise, now, then), None

        return jax.lax.scan(move, x, (jnp.arange(len(log_snrs) - 1), log_snrs[:-1], log_snrs[1:]))[0]

    def seer(params: Parameters, given: Condition, guidance: Option = 0.0, clip: bool = False):
        """(x_t, log_snr of all) -> estimate."""
        def see_at(x_t: Float[Array, "n ..."], log_snr: Float[Array, ""]) -> Estimate:
            estimate = see(params, x_t, jnp.broadcast_to(log_snr, len(x_t)), given, guidance)
            return process.from_x(jnp.clip(estimate.x, RANGES[spec.range], 1), x_t, log_snr) if clip else estimate

        return see_at

    def sample(state: TrainState, key: PRNGKeyArray, n: int, label: Int[Array, "n"] | None = None,
               guidance: Option | None = None) -> Float[Array, "n ..."]:
        """n samples, of the given labels or, in a conditional model, of uniform ones.

        `guidance` is the config's where it is not given.
        """
        if classes and label is None:
            label = jax.random.randint(stream(key, "label"), (n,), 0, classes)
        params, guidance = state.params | state.ema, config.sampler.guidance if guidance is None else guidance
        see_at, log_snrs = seer(params, condition(label, n), guidance, config.sampler.clip), grid(params)
        x = latents(state, stream(key, "latents"), n).reshape(n, *spec.shape)
        return see_at(travel(see_at, sampler, x, log_snrs, key), log_snrs[-1]).x

    def latents(state: TrainState, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        """n samples of p(x_1) = N(0, I)."""
        return jax.random.normal(key, (n, size))

    def decode(state: TrainState, z: Float[Array, "n d"], label: Int[Array, "n"] | None = None
               ) -> Float[Array, "n ..."]:
        """The example of each x_1, by DDIM without noise (Song et al. 2021, section 4.2); no label is no condition."""
        params = state.params | state.ema
        see_at, log_snrs = seer(params, condition(label, len(z))), grid(params)
        x_0 = travel(see_at, process.ddim, z.reshape(-1, *spec.shape), log_snrs, state.key)
        return see_at(x_0, log_snrs[-1]).x

    def invert(state: TrainState, x: Float[Array, "n ..."], label: Int[Array, "n"] | None = None
               ) -> Float[Array, "n d"]:
        """The x_1 that decodes to each example, up to the size of the steps: DDIM backwards (Song et al. 2021, 4.3)."""
        params = state.params | state.ema
        see_at = seer(params, condition(label, len(x)))
        return travel(see_at, process.ddim, x, grid(params)[::-1], state.key).reshape(len(x), -1)

    def noised(state: TrainState, x: Float[Array, "n ..."], t: Float[Array, "n"], key: PRNGKeyArray
               ) -> Float[Array, "n ..."]:
        """A sample of q(x_t | x) at times t in [0, 1]."""
        return process.diffused(x, jax.random.normal(key, x.shape), wide(log_snr_at(state.params, t), x))

    def denoise(state: TrainState, x_t: Float[Array, "n ..."], t: Float[Array, "n"],
                label: Int[Array, "n"] | None = None) -> Float[Array, "n ..."]:
        """The estimate of E[x | x_t] at times t in [0, 1]."""
        params = state.params | state.ema
        return see(params, x_t, log_snr_at(params, t), condition(label, len(x_t))).x

    methods = {"decode": decode, "invert": invert, "latents": latents, "noised": noised, "denoise": denoise}
    return Family(init, update, evaluate, sample, methods)


def wide(v: Float[Array, "n"], x: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
    """One value an example, with axes of length 1 to broadcast against the examples."""
    return v.reshape(-1, *[1] * (x.ndim - 1))


def total(v: Float[Array, "n ..."]) -> Float[Array, "n"]:
    """Sums over the event."""
    return v.reshape(len(v), -1).sum(-1)


def _check(config, spec: Spec) -> None:
    """Raises a UserError where parts do not fit together."""
    lookup(PREDICTIONS, config.prediction, "config.prediction")
    if config.noise_schedule.name == "learned" and config.loss.name != "bound":
        raise UserError(f"config.loss.name={config.loss.name!r} does not teach a noise schedule: set "
                        "config.loss.name=bound, or another config.noise_schedule.name.")
    if config.conditional and not spec.classes:
        raise UserError("config.conditional=true needs labels, and the data set has none.")
    if config.sampler.clip and spec.range not in RANGES:
        raise UserError("config.sampler.clip=true needs images: points have no range.")
    for key, value, least in (("timesteps", config.timesteps, 1), ("bound_levels", config.bound_levels, 1),
                              ("sampler.steps", config.sampler.steps, 0)):
        if not least <= value <= max(config.timesteps, 1):
            raise UserError(f"config.{key}={value}: at least {least} and at most config.timesteps={config.timesteps}.")
