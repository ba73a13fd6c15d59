"""R3GAN on CIFAR-10 with labels, and its other presets (Huang et al. 2024; brownvc/R3GAN, train.py).

    python scripts/prepare_data.py --dataset=cifar10
    python scripts/prepare_weights.py --name=inception
    python scripts/train.py --config=experiments/gan/r3gan_cifar10.py
    python scripts/train.py --config=experiments/gan/r3gan_cifar10.py:ffhq64 --config.data.path=DIR
    python scripts/train.py --config=experiments/gan/r3gan_cifar10.py:imagenet32 --config.data.path=DIR

And `imagenet64`, `unconditional`. Relativistic pairs with R1 and R2 at every step, taken through the augmentation;
labels embedded in both players; the rate from 2e-4 to 5e-5, gamma / 2 from 0.025 to 0.0025, beta_2 from 0.9 to 0.99,
the average's half-life from 0 to 5 million images and the augmentation's probability from 0 to 0.55, each on half a
cosine of 20 million images. The numbers of parameters are those of the released networks. What differs is in `TABLES`,
and how `cpu` does, which needs

    python scripts/train_classifier.py --dataset=cifar10 --network=convnet --steps=6000
    python scripts/reproduce.py --table=r3gan_cifar10 --protocol=cpu

How gamma is chosen is in docs/results.md; a sweep of it on this data, at a reduced size:

    python scripts/sweep.py --config=experiments/gan/r3gan_cifar10.py:cpu_short --sweep=gamma --launcher=local

How long training goes on is the user's: the released code has no end below 1e10 images; 100,000 steps are 51 million.
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

FID = "fid_inception_tf1_50k_train"
CPU_STEPS = 5_000
SHORT_STEPS, SHORT_BATCH = 1_500, 32
GAMMAS = (0.0005, 0.05, 5.0, 500.0)
"""At the first step; at the last one it is a tenth."""

COLORS = dict.fromkeys(("brightness", "contrast", "lumaflip", "hue", "saturation"), 0.5)
"""Probabilities; those of the other operations are 1."""

UNLABELLED = ("unconditional", "ffhq64")
"""Variants whose discriminator sees no labels."""

CPU_EVALUATORS = {"fid": {"features": "convnet"}, "prdc": {"features": "convnet"}}
TABLES = {
    "r3gan_cifar10": Table(
        title="R3GAN on CIFAR-10 with labels",
        source="quoted: Huang et al. 2024, whose table has not been seen here",
        rows={"R3GAN": {}},
        metrics={FID: Metric("FID", instead={"cpu": "fid_convnet_10k_test"})},
        published={"R3GAN": {FID: (1.96, None)}},
        seeds={"cpu": 1, "full": 1},
        protocols={"cpu": "cpu", "full": ""},
        differences={
            "cpu": "width 32 to 64 in place of 768, one block a stage, batches of 64, 5,000 steps and schedules of as "
                   "many; the column is the FID of a classifier's features, 10,000 samples, test images, which does "
                   "not compare with the published one; DiffAugment's colour, translation and cutout in place of "
                   "StyleGAN2-ADA's pipe of 13 operations.",
            "full": "the pipe reflects images without end, there once; float32, where most stages there are in "
                    "bfloat16; 100,000 steps.",
        },
    ),
}


def recipe(images: int, gamma: tuple[float, float], augment: float, half_life: float) -> dict[str, dict]:
    """The schedules of a preset: every float on half a cosine over so many images."""
    def cosine(first: float, last: float) -> dict:
        return {"name": "cosine", "steps": images, "clock": "images", "absolute": True, "initial": first, "final": last}

    weight = {"weight": cosine(*(value / 2 for value in gamma))}
    return {"learning_rate": cosine(2e-4, 5e-5), "b2": cosine(0.9, 0.99), "ema_half_life": cosine(0.0, half_life),
            "augment_probability": cosine(0.0, augment), "r1": weight, "r2": weight}


def players(width: int, largest: int, **options: int) -> dict[str, dict]:
    """Both networks: widths from the image on up to the largest."""
    network = {"name": "r3gan", "width": width, "largest": largest, "depth": 2} | options
    return {"generator": network, "discriminator": network}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; presets `ffhq64`, `imagenet32`, `imagenet64`; `unconditional`, `cpu` for two cores, `smoke`.

    `cpu_short` is less than a sixth of `cpu`, with schedules as much shorter: a run takes 19 minutes of a shared core.
    """
    optimizer = {"name": "adam", "learning_rate": 2e-4, "b1": 0.0, "b2": 0.9}
    full = ConfigDict({
        "family": "gan",
        "data": {"name": "cifar10", "range": "symmetric", "flip": True},
        "latents": 64,
        **({} if variant in UNLABELLED else {"label_embedding": 64, "conditioning": {"name": "product", "size": 768}}),
        **players(768, 768, group_size=16),
        "discriminator_bias": False,
        "bounded": False,
        "simultaneous": False,
        "fresh_latents": True,
        "loss": {"name": "relativistic_paired"},
        "penalties": {"r1": {"weight": 0.025}, "r2": {"weight": 0.025}},
        "augment": {"affine": {}, "color_matrix": COLORS, "hole": {}},
        "generator_optimizer": optimizer,
        "discriminator_optimizer": optimizer,
        "ema_half_life": 5e6,
        "schedules": recipe(20_000_000, (0.05, 0.005), 0.55, 5e6),
        "evaluators": {"inception_fid": {}},
        "train": {
            "steps": 100_000, "batch_size": 512, "log_every": 100, "evaluate_every": 10_000, "sample_every": 2_500,
            "checkpoint_every": 2_500,
        },
    })
    folder = {"data": {"name": "folder", "path": "", "size": 32, "range": "symmetric", "flip": True}}
    ffhq = folder | players(384, 768, group_size=16) | {
        "data.size": 64, "schedules": recipe(20_000_000, (2.0, 0.2), 0.3, 5e5), "train.batch_size": 256}
    imagenet = folder | players(1536, 1536, group_size=32) | {
        "conditioning.size": 1536, "train.batch_size": 4_096, "schedules": recipe(200_000_000, (0.5, 0.05), 0.5, 5e7)}
    cpu = players(32, 64, depth=1, group_size=16) | {
        "conditioning.size": 64, "augment": {"color": {}, "translation": {}, "cutout": {}},
        "evaluators": CPU_EVALUATORS, "train.batch_size": 64,
        "schedules": recipe(64 * CPU_STEPS, (0.05, 0.005), 0.55, 5e4), "train.steps": CPU_STEPS, "train.log_every": 50,
        "train.evaluate_every": 1_000, "train.sample_every": 1_000, "train.checkpoint_every": 100,
    }
    images = SHORT_BATCH * SHORT_STEPS
    short = cpu | {
        "schedules": recipe(images, (0.05, 0.005), 0.55, images / 6), "train.steps": SHORT_STEPS,
        "train.batch_size": SHORT_BATCH, "train.evaluate_every": SHORT_STEPS, "train.sample_every": SHORT_STEPS // 3,
    }
    smoke = players(4, 4, depth=1, group_size=4) | {
        "conditioning.size": 4, "label_embedding": 4, "data.train_examples": 100, "data.test_examples": 20,
        "evaluators": {}, "train.batch_size": 4, "train.steps": 2, "train.log_every": 1, "train.evaluate_every": 2,
        "train.sample_every": 2, "train.checkpoint_every": 2,
    }
    return choose(variant, {
        "": full, "unconditional": {}, "ffhq64": ffhq, "imagenet32": imagenet,
        "imagenet64": imagenet | {"data.size": 64, "schedules": recipe(200_000_000, (1.0, 0.1), 0.4, 5e7)},
        "cpu": cpu, "cpu_short": short, "smoke": smoke,
    })


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """`gamma`: weights of both penalties; "r3gan_cifar10_cpu", "r3gan_cifar10_full": the runs of the table."""
    if name == "gamma":
        return [{f"schedules.{penalty}.weight.{end}": gamma * factor for penalty in ("r1", "r2")
                 for end, factor in (("initial", 1 / 2), ("final", 1 / 20))} for gamma in GAMMAS]
    return sweep_of(TABLES, name)
