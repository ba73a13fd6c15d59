"""Four GANs with one residual network on CIFAR-10, in the protocol of mimicry (Lee & Town 2020).

    python scripts/prepare_data.py --dataset=cifar10
    python scripts/prepare_weights.py --name=inception
    python scripts/train.py --config=experiments/gan/cifar10_resnet.py                 SNGAN
    python scripts/train.py --config=experiments/gan/cifar10_resnet.py:ssgan           and wgan_gp, projection

kwotsin/mimicry: no flips, batches of 64, five discriminator steps, Adam 2e-4 with beta 0 and 0.9, both rates on a line
to 0 over 100,000 steps, maps doubled by interpolation, no moving average; FID of 50,000 samples to the training images
with TensorFlow's Inception. `projection` is its conditional cGAN-PD. Numbers of parameters are those of the released
code. What differs is in `TABLES`, and how `cpu` (`cpu_ssgan`, ...) does, which needs

    python scripts/train_classifier.py --dataset=cifar10 --network=convnet --steps=6000
    python scripts/reproduce.py --table=cifar10_resnet --protocol=cpu
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

STEPS, CPU_STEPS = 100_000, 5_000
FID, SCORE = "fid_inception_tf1_50k_train", "is_inception_tf1_splits10_50k"
ADAM = {"name": "adam", "learning_rate": 2e-4, "b1": 0.0, "b2": 0.9}
METHODS = {
    "wgan_gp": {
        "loss.name": "wasserstein", "penalties": {"wgan_gp": {"weight": 10.0}}, "discriminator.spectral_norm": False,
        "discriminator.pooling": "mean",
    },
    "sngan": {},
    "ssgan": {"rotation": {"real": 1.0, "fake": 0.2}},
    "projection": {},
}
NAMES = {"WGAN-GP": "wgan_gp", "SNGAN": "sngan", "SSGAN": "ssgan", "cGAN-PD": "projection"}
PUBLISHED = {"WGAN-GP": ((7.33, 0.02), (22.29, 0.06)), "SNGAN": ((7.97, 0.06), (16.77, 0.04)),
             "SSGAN": ((8.17, 0.06), (14.65, 0.04)), "cGAN-PD": ((8.25, 0.13), (10.84, 0.03))}
CPU_EVALUATORS = {"fid": {"features": "convnet"}, "prdc": {"features": "convnet"}}
TABLES = {
    "cifar10_resnet": Table(
        title="One residual network on CIFAR-10: mimicry",
        source="seen in the README of kwotsin/mimicry; the deviation is over three evaluations of one training",
        rows={row: {} for row in NAMES},
        metrics={
            SCORE: Metric("Inception score", instead={"cpu": "precision_convnet_10k_test"}),
            FID: Metric("FID", instead={"cpu": "fid_convnet_10k_test"}),
        },
        published={row: {SCORE: score, FID: fid} for row, (score, fid) in PUBLISHED.items()},
        seeds={"cpu": 1, "full": 1},
        protocols={"cpu": "cpu", "full": ""},
        differences={
            "cpu": "5,000 steps of one discriminator step in place of 100,000 of five, a quarter of the width; the "
                   "columns are precision and FID of a classifier's features, 10,000 samples, test images, which "
                   "compare with none of the published numbers.",
            "full": "the scales of conditional norms begin as 1, there as N(1, 0.02^2); WGAN-GP's shortcuts and last "
                    "convolution begin with Glorot's values, there with PyTorch's own; the fakes of cGAN-PD's steps "
                    "have the labels of the real images, there labels of their own.",
        },
        variants={row: {"cpu": f"cpu_{name}", "full": name} for row, name in NAMES.items() if name != "sngan"},
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variants are `METHODS`, each also as `cpu_<method>`, `cpu` for two cores, `smoke`."""
    full = ConfigDict({
        "family": "gan",
        "data": {"name": "cifar10", "range": "symmetric"},
        "latents": 128,
        **({"conditioning": {"name": "projection"}} if variant.endswith("projection") else {}),
        "critic_steps": 5,
        "fresh_latents": True,
        "simultaneous": False,
        "joint_batches": False,
        "generator_statistics": "running",
        "ema_half_life": 0.0,
        "generator": {"name": "resnet", "width": 256, "doubling": "bilinear", "batch_norm_momentum": 0.9},
        "discriminator": {"name": "resnet", "width": 128, "active_shortcut": True, "spectral_norm": True},
        "loss": {"name": "hinge"},
        "penalties": {},
        "rotation": {"real": 0.0, "fake": 0.0},
        "generator_optimizer": ADAM,
        "discriminator_optimizer": ADAM,
        "schedules": {"learning_rate": {"name": "linear", "steps": STEPS}},
        "evaluators": {"inception_fid": {}, "inception_score": {}},
        "train": {
            "steps": STEPS, "batch_size": 64, "log_every": 100, "evaluate_every": 10_000, "sample_every": 5_000,
            "checkpoint_every": 5_000,
        },
    })
    cpu = {
        "generator.width": 64, "discriminator.width": 32, "critic_steps": 1, "evaluators": CPU_EVALUATORS,
        "schedules.learning_rate.steps": CPU_STEPS, "train.steps": CPU_STEPS, "train.log_every": 50,
        "train.evaluate_every": 1_000, "train.sample_every": 1_000, "train.checkpoint_every": 250,
    }
    smoke = {
        "generator.width": 2, "discriminator.width": 2, "data.train_examples": 100, "data.test_examples": 20,
        "evaluators": {}, "train.batch_size": 4, "train.steps": 2, "train.log_every": 1, "train.evaluate_every": 2,
        "train.sample_every": 2, "train.checkpoint_every": 2,
    }
    reduced = {f"cpu_{name}": method | cpu for name, method in METHODS.items()}
    tiny = {f"smoke_{name}": method | smoke for name, method in METHODS.items()}
    return choose(variant, {"": full, **METHODS, "cpu": cpu, "smoke": smoke, **reduced, **tiny})


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of the table that are of the protocol's own variant: "cifar10_resnet_cpu" or "..._full"."""
    return sweep_of(TABLES, name)
