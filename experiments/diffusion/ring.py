"""Diffusion on eight Gaussians on a ring: all modes are covered, since every example is denoised.

    python scripts/train.py --config=experiments/diffusion/ring.py

    python scripts/sweep.py --config=experiments/diffusion/ring.py --launcher=local

The variational bound is the loss and the noise schedule is learned (Kingma et al. 2021, VDM); an MLP predicts v
(Salimans & Ho 2022); 200 steps. The elbo is at most E log p(x) = 4.29 nats, that of the mixture itself.
`experiments/gan/ring.py` is a GAN on the same points, measured alike.
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import sweep
from gen.config import variant as choose
from gen.errors import lookup


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variant `smoke` is a run of seconds."""
    full = ConfigDict({
        "family": "diffusion",
        "data": {"name": "ring", "modes": 8, "radius": 1.0, "std": 0.01},
        "timesteps": 200,
        "bound_levels": 20,
        "prediction": "v",
        "denoiser": {"name": "mlp", "hidden": (128, 128, 128)},
        "noise_schedule": {"name": "learned"},
        "loss": {"name": "bound"},
        "sampler": {"name": "ddpm"},
        "optimizer": {"name": "adam", "learning_rate": 1e-3},
        "schedules": {"learning_rate": {"name": "cosine", "steps": 4_000}},
        "ema_half_life": 50_000.0,
        "evaluators": {"modes": {}},
        "train": {
            "steps": 4_000, "batch_size": 256, "log_every": 200, "evaluate_every": 2_000, "sample_every": 2_000,
            "checkpoint_every": 2_000,
        },
    })
    smoke = {
        "timesteps": 20, "bound_levels": 4,
        "train.steps": 40, "train.log_every": 10, "train.evaluate_every": 20, "train.sample_every": 20,
        "train.checkpoint_every": 20,
    }
    return choose(variant, {"": full, "smoke": smoke})


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """Five seeds."""
    return lookup({"": sweep("seed", range(5))}, name, "sweep")
