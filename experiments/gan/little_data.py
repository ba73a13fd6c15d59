"""BigGAN on all, a fifth and a tenth of CIFAR-10, with and without DiffAugment (Zhao et al. 2020, table 3).

    python scripts/prepare_data.py --dataset=cifar10
    python scripts/prepare_weights.py --name=inception
    python scripts/train.py --config=experiments/gan/little_data.py                         10 %, without
    python scripts/train.py --config=experiments/gan/little_data.py:augmented               10 %, translation and cutout

And `fifth`, `fifth_augmented`, `all`, `all_augmented`. mit-han-lab/data-efficient-gans, DiffAugment-biggan-cifar: the
networks are SNGAN's residual ones, 256 wide and with spectral normalisation in both, batches of 50, four discriminator
steps, mirrored images, Adam 2e-4 with beta 0 and 0.999, 125,000 steps (a fifth or all: 250,000), a moving average; FID
of 10,000 samples to the test images, the best one of training. What differs is in `TABLES`, and how `cpu`
(`cpu_augmented`) does, which needs

    python scripts/train_classifier.py --dataset=cifar10 --network=convnet --steps=6000
    python scripts/reproduce.py --table=little_data --protocol=cpu
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

CPU_STEPS = 4_000
FID = "fid_inception_tf1_10k_test"
ADAM = {"name": "adam", "learning_rate": 2e-4, "b1": 0.0, "b2": 0.999}
HALF_LIFE = 346_539.0
"""Images: 0.9999 is kept in a step of 50."""

PARTS = {"": 5_000, "fifth": 10_000, "all": 50_000}
NAMES = {"10 %": "", "10 %, DiffAugment": "augmented", "20 %": "fifth", "20 %, DiffAugment": "fifth_augmented",
         "all": "all", "all, DiffAugment": "all_augmented"}
PUBLISHED = {"10 %": 39.78, "10 %, DiffAugment": 22.40, "20 %": 21.58, "20 %, DiffAugment": 14.04, "all": 9.59,
             "all, DiffAugment": 8.70}
CPU_EVALUATORS = {"fid": {"features": "convnet"}, "prdc": {"features": "convnet"}}
TABLES = {
    "little_data": Table(
        title="BigGAN on parts of CIFAR-10",
        source="seen in the README of mit-han-lab/data-efficient-gans, DiffAugment-biggan-cifar; the best of training",
        rows={row: {} for row in NAMES},
        metrics={FID: Metric("FID", instead={"cpu": "fid_convnet_10k_test"})},
        published={row: {FID: (fid, None)} for row, fid in PUBLISHED.items()},
        seeds={"cpu": 1, "full": 1},
        protocols={"cpu": "cpu", "full": ""},
        differences={
            "cpu": "4,000 steps of one discriminator step, a quarter of the width, and 1,000, 2,000 and 10,000 images; "
                   "a moving average of half-life 20,000 images, there 346,539, whose batch norms have averaged "
                   "statistics; the column is the FID of a classifier's features, which compares with none of the "
                   "published numbers.",
            "full": "the first part of the training images, there a random one; the fakes of a step have the labels of "
                    "its real images, there labels of their own; the average begins with the first step, there "
                    "with step 1,000; samples are normalised by the evaluator's batches, there by 50; the FID at the "
                    "end, there the best one.",
        },
        variants={row: {"cpu": f"cpu_{name}", "full": name} for row, name in NAMES.items() if name},
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variants are in `NAMES`, each also as `cpu_<name>`, `cpu` for two cores, `smoke`."""
    full = ConfigDict({
        "family": "gan",
        "data": {"name": "cifar10", "range": "symmetric", "flip": True, "train_examples": PARTS[""]},
        "latents": 128,
        "conditioning": {"name": "projection"},
        "critic_steps": 4,
        "fresh_latents": True,
        "simultaneous": False,
        "joint_batches": True,
        "generator_statistics": "batch",
        "ema_half_life": HALF_LIFE,
        "generator": {
            "name": "resnet", "width": 256, "gain": 1.0, "kernel_init": "normal", "label_init": "normal",
            "spectral_norm": True, "batch_norm_momentum": 0.9,
        },
        "discriminator": {
            "name": "resnet", "width": 256, "gain": 1.0, "kernel_init": "normal", "spectral_norm": True,
        },
        "loss": {"name": "hinge"},
        "penalties": {},
        "augment": {},
        "generator_optimizer": ADAM,
        "discriminator_optimizer": ADAM,
        "evaluators": {"inception_fid": {"samples": 10_000, "split": "test"}},
        "train": {
            "steps": 125_000, "batch_size": 50, "log_every": 100, "evaluate_every": 5_000, "sample_every": 5_000,
            "checkpoint_every": 5_000,
        },
    })
    cpu = {
        "generator.width": 64, "discriminator.width": 64, "critic_steps": 1, "evaluators": CPU_EVALUATORS,
        "ema_half_life": 20_000.0, "generator_statistics": "averaged", "train.steps": CPU_STEPS,
        "train.log_every": 50, "train.evaluate_every": 1_000, "train.sample_every": 1_000,
        "train.checkpoint_every": 250,
    }
    smoke = {
        "generator.width": 2, "discriminator.width": 2, "data.train_examples": 100, "data.test_examples": 20,
        "evaluators": {}, "train.batch_size": 4, "train.steps": 2, "train.log_every": 1, "train.evaluate_every": 2,
        "train.sample_every": 2, "train.checkpoint_every": 2,
    }
    methods = {name: method(name) for name in NAMES.values()}
    reduced = {f"cpu_{name}".rstrip("_"): found | cpu | {"data.train_examples": PARTS[part(name)] // 5}
               for name, found in methods.items()}
    del methods[""]
    return choose(variant, {"": full, **methods, **reduced, "smoke": smoke,
                            "smoke_augmented": methods["augmented"] | smoke})


def part(name: str) -> str:
    """The key of `PARTS` in a name."""
    return name.removesuffix("augmented").rstrip("_")


def method(name: str) -> dict[str, Any]:
    """Overrides of a row."""
    found: dict[str, Any] = {"data.train_examples": PARTS[part(name)]}
    if part(name):
        found["train.steps"] = 250_000
    return found | ({"augment": {"translation": {}, "cutout": {}}} if name.endswith("augmented") else {})


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of the table that are of the protocol's own variant: "little_data_cpu" or "..._full"."""
    return sweep_of(TABLES, name)
