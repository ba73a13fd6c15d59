"""Diffusion on scikit-learn's 8x8 digits, of a label if one likes: the smallest real images, no download.

    python scripts/train.py --config=experiments/diffusion/digits.py
    python scripts/sample.py --workdir=runs/diffusion/digits/default --label=3 --n=16 --out=threes.png

DDPM (Ho et al. 2020) with an MLP, conditional on the label, which one example in ten goes without, so that samples are
guided (Ho & Salimans 2022); drawn in 100 of 1,000 steps by DDIM (Song et al. 2021). Its bound is loose, 9 bits per
dimension: the unweighted loss leaves the last traces of noise alone, and so does not tell levels of grey apart. After
5,000 steps the bound gets worse, the 1,501 training images having been seen 400 times; samples still get clearer.
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
        "denoiser": {"name": "mlp", "hidden": (512, 512, 512)},
        "noise_schedule": {"name": "cosine"},
        "loss": {"name": "simple"},
        "sampler": {"name": "ddim", "steps": 100, "guidance": 0.5, "clip": True},
        "optimizer": {"name": "adam", "learning_rate": 1e-3},
        "schedules": {"learning_rate": {"name": "cosine", "steps": 10_000}},
        "ema_half_life": 20_000.0,
        "train": {
            "steps": 10_000, "batch_size": 128, "log_every": 100, "evaluate_every": 1_000, "sample_every": 1_000,
            "checkpoint_every": 1_000,
        },
    })
    smoke = {
        "denoiser.hidden": (16,),
        "timesteps": 20, "bound_levels": 4, "sampler.steps": 10,
        "train.steps": 40, "train.log_every": 10, "train.evaluate_every": 20, "train.sample_every": 20,
        "train.checkpoint_every": 20,
    }
    return choose(variant, {"": full, "smoke": smoke})
