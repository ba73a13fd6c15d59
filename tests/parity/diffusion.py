"""Noise schedules and steps of samplers against the schedulers of diffusers.

Their tables are float32, in which 1 - alpha_t / alpha_(t-1) keeps four digits: steps are compared with float64 tables.
"""

import jax.numpy as jnp
import numpy as np

from gen.objectives import diffusion as process
from tests.parity.comparisons import against, optional
from tests.parity.references import normal, torch

STEPS = 1000
LINEAR = {"num_train_timesteps": STEPS, "beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear",
          "clip_sample": False}
X_T, OUTPUT, NOISE = normal(0, 4, 3, 5, 5), normal(1, 4, 3, 5, 5), normal(2, 4, 3, 5, 5)
PREDICTIONS = {"epsilon": "epsilon", "x": "sample", "v": "v_prediction"}


def linear(level):
    """log_snr of one of the thousand levels."""
    return process.Linear().apply({}, jnp.float32(level / (STEPS - 1)))


@against("diffusers", "linear schedule: signal's share of the variance at 1,000 levels", 1e-5)
def linear_schedule():
    theirs = optional("diffusers").DDPMScheduler(**LINEAR).alphas_cumprod.numpy()
    found = process.Linear().apply({}, jnp.linspace(0, 1, STEPS))
    yield process.alpha(found) ** 2, theirs
    yield process.sigma(found) ** 2, 1 - theirs


@against("diffusers", "cosine schedule, without its ends, which diffusers clips", 1e-5)
def cosine_schedule():
    other = optional("diffusers").DDPMScheduler(num_train_timesteps=STEPS, beta_schedule="squaredcos_cap_v2")
    t, s = np.arange(1, STEPS - 4) / STEPS, 0.008
    start = np.pi / 2 * s / (1 + s)
    ours = process.Cosine(log_snr_max=float(-2 * np.log(np.tan(start))), log_snr_min=-40.0).apply({}, jnp.float32(t))
    yield process.alpha(ours) ** 2 / np.cos(start) ** 2, other.alphas_cumprod.numpy()[: len(t)]


def scheduler(kind, prediction):
    """One of theirs, its table of the linear schedule and all that follows from it in float64."""
    made = getattr(optional("diffusers"), kind)(**LINEAR, prediction_type=prediction)
    made.betas = torch.linspace(LINEAR["beta_start"], LINEAR["beta_end"], STEPS, dtype=torch.float64)
    made.alphas = 1 - made.betas
    made.alphas_cumprod = torch.cumprod(made.alphas, 0)
    return made


def double(x):
    return torch.tensor(np.float64(x))


def estimate(prediction, level):
    return process.PREDICTIONS[prediction](OUTPUT, X_T, linear(level))


@against("diffusers", "noising and the velocity", 1e-5)
def noised():
    other = optional("diffusers").DDPMScheduler(**LINEAR)
    x, noise = (torch.tensor(np.asarray(v)) for v in (OUTPUT, NOISE))
    for level in (0, 400, 999):
        at, log_snr = torch.tensor([level] * 4), linear(level)
        yield process.diffused(OUTPUT, NOISE, log_snr), other.add_noise(x, noise, at).numpy()
        yield (process.velocity(process.Estimate(OUTPUT, NOISE), log_snr),
               other.get_velocity(x, noise, at).numpy())


@against("diffusers", "DDIM steps of 20 levels, eta 0 and 0.7, each kind of prediction", 2e-5)
def ddim():
    for ours, theirs in PREDICTIONS.items():
        other = scheduler("DDIMScheduler", theirs)
        other.set_timesteps(50)
        for level, eta in ((980, 0.0), (500, 0.7), (20, 0.7)):
            found = process.ddim(X_T, estimate(ours, level), NOISE, linear(level), linear(level - 20), eta)
            noise = double(NOISE) if eta else None
            step = other.step(double(OUTPUT), level, double(X_T), eta=eta, variance_noise=noise)
            yield found, step.prev_sample.numpy()


@against("diffusers", "DDPM steps of one level, each kind of prediction", 2e-5)
def ddpm():
    """The noise is the scheduler's own, drawn again from the same seed."""
    for ours, theirs in PREDICTIONS.items():
        other = scheduler("DDPMScheduler", theirs)
        for level in (999, 500, 2):
            drawn = torch.randn(X_T.shape, generator=torch.Generator().manual_seed(level), dtype=torch.float64)
            noise = jnp.float32(drawn.numpy())
            found = process.ddpm(X_T, estimate(ours, level), noise, linear(level), linear(level - 1))
            step = other.step(double(OUTPUT), level, double(X_T), torch.Generator().manual_seed(level))
            yield found, step.prev_sample.numpy()
