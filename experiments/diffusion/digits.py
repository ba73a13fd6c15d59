"""Diffusion on scikit-learn's 8x8 digits, of a label if one likes: the smallest real images, no download.

    python scripts/train.py --config=experiments/diffusion/digits.py
    python scripts/sample.py --workdir=runs/diffusion/digits/default --label=3 --n=16 --out=threes.png

DDPM (Ho et al. 2020) with an MLP, conditional on the label, which one example in ten goes without, so that samples are
guided (Ho & Salimans 2022); drawn in 100 of 1,000 steps by DDIM (Song et al. 2021).
"""

from ml_collections import ConfigDict

from gen.config import variant as choose


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variant `smoke` is a run of seconds."""
    full = ConfigDict({
        "family": "diffusion",
        "data": {"name": "digits", "range": "symmetric", "binarize": "none"},
        "timesteps": 1000,
        "bound_levels": 16,
        "prediction": "v",
        "conditional": True,
        "denoiser": {"name": "mlp", "hidden": (256, 256, 256)},
        "noise_schedule": {"name": "cosine"},
        "loss": {"name": "simple"},
        "sampler": {"name": "ddim", "steps": 100, "guidance": 1.0},
        "optimizer": {"name": "adam", "learning_rate": 1e-3},
        "schedule": {"name": "cosine", "steps": 5_000},
        "ema_half_life": 20_000.0,
        "train": {
            "steps": 5_000, "batch_size": 128, "log_every": 100, "evaluate_every": 1_000, "sample_every": 1_000,
            "checkpoint_every": 1_000,
        },
    })
    smoke = {
        "timesteps": 20, "bound_levels": 4, "sampler.steps": 10,
        "train.steps": 40, "train.log_every": 10, "train.evaluate_every": 20, "train.sample_every": 20,
        "train.checkpoint_every": 20,
    }
    return choose(variant, {"": full, "smoke": smoke})
