"""Diffusion on MNIST, its 256 levels of grey as they are: the bound in bits per dimension, and samples.

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train.py --config=experiments/diffusion/mnist.py

The variational bound of a thousand steps is the loss and the noise schedule is learned (Kingma et al. 2021, VDM,
sections 3 to 5: Fourier features of the pixels among the U-Net's inputs); the network predicts v (Salimans & Ho 2022).
Variant `cpu`: a U-Net of half the width on 2x2 pixels as one, 3,000 of 50,000 steps of 64 of 128 images, learning rate
1e-3 for 2e-4. Variant `cpu_simple`: the same with DDPM's unweighted loss and the cosine schedule. No published row: the
bits per dimension that papers report for MNIST are of binarised or of padded images.
"""

from ml_collections import ConfigDict

from gen.config import variant as choose


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; `cpu` trains on one core in half an hour, `smoke` is a run of seconds."""
    full = ConfigDict({
        "family": "diffusion",
        "data": {"name": "mnist", "range": "symmetric", "binarize": "none"},
        "timesteps": 1000,
        "bound_levels": 16,
        "prediction": "v",
        "denoiser": {"name": "unet", "width": 64, "multiples": (1, 2, 2), "depth": 2, "patch": 1, "attention": True,
                     "fourier": (4, 6, 8)},
        "noise_schedule": {"name": "learned"},
        "loss": {"name": "bound"},
        "sampler": {"name": "ddpm", "clip": True, "steps": 0},
        "optimizer": {"name": "adam", "learning_rate": 2e-4},
        "schedules": {},
        "ema_half_life": 500_000.0,
        "train": {
            "steps": 50_000, "batch_size": 128, "log_every": 50, "evaluate_every": 5_000, "sample_every": 5_000,
            "checkpoint_every": 1_000, "best": "max elbo",
        },
    })
    cpu = {
        "denoiser.width": 32, "denoiser.multiples": (1, 2), "denoiser.depth": 1, "denoiser.patch": 2,
        "bound_levels": 4, "sampler.steps": 200, "optimizer.learning_rate": 1e-3,
        "schedules.learning_rate.name": "cosine", "schedules.learning_rate.steps": 3_000, "ema_half_life": 10_000.0,
        "train.steps": 3_000, "train.batch_size": 64,
        "train.evaluate_every": 3_000, "train.sample_every": 1_000, "train.checkpoint_every": 500,
    }
    cpu_simple = cpu | {"loss.name": "simple", "noise_schedule.name": "cosine"}
    smoke = {
        "data.train_examples": 256, "data.test_examples": 64, "timesteps": 10, "bound_levels": 2,
        "denoiser.width": 4, "denoiser.multiples": (1, 2), "denoiser.depth": 1, "denoiser.patch": 2,
        "train.batch_size": 16, "train.steps": 4,
        "train.log_every": 1, "train.evaluate_every": 2, "train.sample_every": 2, "train.checkpoint_every": 2,
    }
    return choose(variant, {"": full, "cpu": cpu, "cpu_simple": cpu_simple, "smoke": smoke})
