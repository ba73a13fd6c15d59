"""Six GANs on CIFAR-10 without labels, in the protocol of a public collection of PyTorch code.

    python scripts/prepare_data.py --dataset=cifar10
    python scripts/prepare_weights.py --name=inception
    python scripts/train.py --config=experiments/gan/cifar10_unconditional.py                 SNGAN, convolutional
    python scripts/train.py --config=experiments/gan/cifar10_unconditional.py:sngan_resnet    SNGAN, residual
    python scripts/train.py --config=experiments/gan/cifar10_unconditional.py:dcgan           and wgan, wgan_gp, ...

w86763777/pytorch-gan-collections: mirrored images, batches of 128 (residual networks: 64), a generator's step on twice
as many fakes, Adam 2e-4 with beta 0 and 0.9, both rates on a line to 0 over 100,000 steps, no moving average, FID of
50,000 samples to the training images. Convolutional networks of Miyato et al. 2018 with weights of N(0, 0.02), one
discriminator step; residual ones with five. Networks and numbers of parameters are those of the released code; the
published scores are those of its README. How `cpu` (`cpu_sngan_resnet`, ...) differs is in `TABLES`; it needs

    python scripts/train_classifier.py --dataset=cifar10 --network=convnet --steps=6000
    python scripts/reproduce.py --table=cifar10_unconditional --protocol=cpu
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

STEPS, CPU_STEPS = 100_000, 5_000
FID, SCORE = "fid_inception_half_pixel_50k_train", "is_inception_half_pixel_splits10_50k"
RESNETS = {
    "latents": 128, "critic_steps": 5, "train.batch_size": 64,
    "generator": {"name": "resnet", "width": 256, "batch_norm_momentum": 0.9},
    "discriminator": {"name": "resnet", "width": 128},
}
PENALTY = {"loss.name": "wasserstein", "penalties": {"wgan_gp": {"weight": 10.0}}}
ADAM = {"name": "adam", "learning_rate": 2e-4, "b1": 0.0, "b2": 0.9}
METHODS = {
    "dcgan": {
        "loss.name": "non_saturating", "generator_optimizer.b1": 0.5, "discriminator_optimizer.b1": 0.5,
        "generator": {"name": "dcgan", "width": 128, "smallest": 2, "bias": False, "kernel_init": "torch_uniform",
                      "batch_norm_momentum": 0.9},
        "discriminator": {"name": "dcgan", "width": 64, "smallest": 2, "kernel_size": 5, "norm_last": True,
                          "bias": False, "kernel_init": "torch_uniform", "batch_norm_momentum": 0.9},
    },
    "wgan": {"loss.name": "wasserstein", "weight_clip": 0.1, "discriminator.spectral_norm": False},
    "wgan_gp": PENALTY | {"discriminator.spectral_norm": False},
    "sngan": {},
    "wgan_gp_resnet": RESNETS | PENALTY,
    "sngan_resnet": RESNETS | {"discriminator.spectral_norm": True, "discriminator_bias": False},
}
NAMES = {
    "DCGAN": "dcgan", "WGAN, clipped weights": "wgan", "WGAN-GP": "wgan_gp", "SNGAN": "sngan",
    "WGAN-GP, residual": "wgan_gp_resnet", "SNGAN, residual": "sngan_resnet",
}
PUBLISHED = {
    "DCGAN": (6.01, 42.72), "WGAN, clipped weights": (6.62, 40.03), "WGAN-GP": (7.66, 19.83), "SNGAN": (7.84, 17.81),
    "WGAN-GP, residual": (7.95, 16.95), "SNGAN, residual": (8.31, 14.32),
}
CPU_EVALUATORS = {"fid": {"features": "convnet"}, "prdc": {"features": "convnet"}}
TABLES = {
    "cifar10_unconditional": Table(
        title="GANs on CIFAR-10 without labels",
        source="seen in the README of w86763777/pytorch-gan-collections, one seed",
        rows={row: {} for row in NAMES},
        metrics={
            SCORE: Metric("Inception score", instead={"cpu": "precision_convnet_10k_test"}),
            FID: Metric("FID", instead={"cpu": "fid_convnet_10k_test"}),
        },
        published={row: {SCORE: (score, None), FID: (fid, None)} for row, (score, fid) in PUBLISHED.items()},
        seeds={"cpu": 1, "full": 1},
        protocols={"cpu": "cpu", "full": ""},
        differences={
            "cpu": "5,000 steps of 64 images in place of 100,000 of 128, half the width (residual networks: a quarter "
                   "and one critic step); the columns are precision and FID of a classifier's features, 10,000 "
                   "samples, test images, which compare with none of the published numbers.",
            "full": "samples are rounded to bytes before Inception sees them; DCGAN's transposed convolutions begin "
                    "with the variance of their inputs' number, there of their outputs'.",
        },
        variants={row: {"cpu": f"cpu_{name}", "full": name} for row, name in NAMES.items() if name != "sngan"},
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variants are `METHODS`, each also as `cpu_<method>`, `cpu` for two cores, `smoke`."""
    full = ConfigDict({
        "family": "gan",
        "data": {"name": "cifar10", "range": "symmetric", "flip": True},
        "latents": 100,
        "critic_steps": 1,
        "generator_batches": 2,
        "simultaneous": False,
        "joint_batches": False,
        "generator_statistics": "running",
        "ema_half_life": 0.0,
        "weight_clip": 0.0,
        "generator": {"name": "sngan", "width": 64, "batch_norm_momentum": 0.9},
        "discriminator": {"name": "sngan", "width": 64, "spectral_norm": True},
        "discriminator_bias": True,
        "loss": {"name": "hinge"},
        "penalties": {},
        "generator_optimizer": ADAM,
        "discriminator_optimizer": ADAM,
        "schedules": {"learning_rate": {"name": "linear", "steps": STEPS}},
        "evaluators": {"inception_fid": {"resize": "half_pixel"}, "inception_score": {"resize": "half_pixel"}},
        "train": {
            "steps": STEPS, "batch_size": 128, "log_every": 100, "evaluate_every": 10_000, "sample_every": 5_000,
            "checkpoint_every": 5_000,
        },
    })
    cpu = {
        "evaluators": CPU_EVALUATORS, "schedules.learning_rate.steps": CPU_STEPS, "train.steps": CPU_STEPS,
        "train.batch_size": 64, "train.log_every": 50, "train.evaluate_every": 1_000, "train.sample_every": 1_000,
        "train.checkpoint_every": 250,
    }
    reduced = {f"cpu_{name}": method | cpu | narrow(name, 0.5) for name, method in METHODS.items()}
    smoke = {
        "generator.width": 2, "discriminator.width": 2, "data.train_examples": 100, "data.test_examples": 20,
        "evaluators": {}, "train.batch_size": 4, "train.steps": 2, "train.log_every": 1, "train.evaluate_every": 2,
        "train.sample_every": 2, "train.checkpoint_every": 2,
    }
    tiny = {f"smoke_{name}": method | smoke for name, method in METHODS.items()}
    return choose(variant, {"": full, **METHODS, "cpu": reduced["cpu_sngan"], "smoke": smoke, **reduced, **tiny})


def narrow(name: str, factor: float) -> dict[str, int]:
    """Overrides for networks of this part of the width; residual ones, of half of that, with one critic step."""
    sizes = {player: METHODS[name].get(player, {}).get("width", 64) for player in ("generator", "discriminator")}
    residual = name.endswith("resnet")
    found = {f"{player}.width": int(size * factor * (0.5 if residual else 1)) for player, size in sizes.items()}
    return found | ({"critic_steps": 1} if residual else {})


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of the table that are of the protocol's own variant: "cifar10_unconditional_cpu" or "..._full"."""
    return sweep_of(TABLES, name)
