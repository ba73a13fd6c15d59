"""The very deep VAE on CIFAR-10: 43 layers of latents at five resolutions (Child 2021).

    python scripts/prepare_data.py --dataset=cifar10
    python scripts/train.py --config=experiments/vae/vdvae_cifar10.py

The released code's settings: width 384, 16 channels of latents, 39,145,700 parameters, ten logistics a pixel whose
channels depend on those before, batch 32, AdamW at 2e-4 after 100 steps of warm-up (betas 0.9, decay 0.01), gradients
clipped at 200, updates of 400 and more left out, an average of decay 0.9999. Published: 2.87 bits per dimension of the
256 levels, without dequantisation (2.879, 2.842, 2.898, 2.864 for four seeds); the differences are in `TABLES`:

    python scripts/reproduce.py --table=vdvae_cifar10 --protocol=full

The released settings (`hps.py`) make 43 layers; the paper's table has 45 (recalled). `:cpu` has 13 layers of width 48
at 16, 8, 4 and 1 pixels. `:imagenet32` is the network for ImageNet at 32x32 (119,280,868 parameters), for images in a
folder: `--config.data.path=FOLDER`.
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

CIFAR_MEAN, CIFAR_SCALE = 120.63838 / 127.5 - 1, 64.16736 / 127.5
IMAGENET_MEAN, IMAGENET_SCALE = 116.2373 / 127.5 - 1, 69.37404 / 127.5
HALF_LIFE = 32 * 6_931.1
"""Images after which a decay of 0.9999 a step of 32 has halved a weight."""

TABLES = {
    "vdvae_cifar10": Table(
        title="The very deep VAE on CIFAR-10",
        source="Child 2021; seen in the README of openai/vdvae, the mean of four seeds",
        rows={"VDVAE, 43 layers": {}},
        metrics={"bits_per_dim": Metric("bits per dimension")},
        published={"VDVAE, 43 layers": {"bits_per_dim": (2.87, None)}},
        seeds={"cpu": 1, "full": 4},
        protocols={"cpu": "cpu", "full": ""},
        differences={
            "cpu": "13 layers of 8 channels, the finest at 16x16 (patches of 2x2 pixels), in a network of width 48; "
                   "6,000 steps of 64 images, the rate from 1e-3 to 0 on half a cosine; no average of the weights.",
            "full": "the last 5,000 training images are held out, there 5,000 at random; 1,000,000 steps, there "
                    "650,000 to 1,050,000 by seed.",
        },
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; `cpu` is for two cores, `imagenet32` another size, `smoke` a run of seconds."""
    full = ConfigDict({
        "family": "vae",
        "data": {"name": "cifar10", "range": "symmetric", "validation": 5_000},
        "latents": 16,
        "hierarchy": {"name": "very_deep", "mean": CIFAR_MEAN, "scale": CIFAR_SCALE},
        "likelihood": {"name": "conditional_logistic_mixture"},
        "objective": {"name": "elbo"},
        "optimizer": {"name": "adamw", "learning_rate": 2e-4, "b1": 0.9, "b2": 0.9, "weight_decay": 0.01,
                      "clip_norm": 200.0, "skip_norm": 400.0},
        "schedules": {"learning_rate": {"name": "warm_up", "steps": 100}},
        "ema_half_life": HALF_LIFE,
        "evaluators": {"latents": {"examples": 1_000, "every": 1_000_000}},
        "train": {
            "steps": 1_000_000, "batch_size": 32, "log_every": 100, "evaluate_every": 20_000, "sample_every": 20_000,
            "checkpoint_every": 5_000, "best": "min bits_per_dim",
        },
    })
    cpu = {
        "latents": 8, "hierarchy.patch": 2, "hierarchy.width": 48, "hierarchy.bottleneck": 0.5,
        "hierarchy.up": ("16x3", "16d2", "8x3", "8d2", "4x2", "4d4", "1x1"),
        "hierarchy.down": ("1x1", "4m1", "4x2", "8m4", "8x3", "16m8", "16x4"), "ema_half_life": 0.0,
        "optimizer.learning_rate": 1e-3, "schedules": {"learning_rate": {"name": "cosine", "steps": 6_000}},
        "evaluators": {"latents": {"examples": 1_000, "every": 6_000}},
        "train.steps": 6_000, "train.batch_size": 64, "train.log_every": 50, "train.evaluate_every": 1_000,
        "train.sample_every": 1_000, "train.checkpoint_every": 100,
    }
    imagenet32 = {
        "data": {"name": "folder", "range": "symmetric", "path": "imagenet32", "size": 32},
        "hierarchy.mean": IMAGENET_MEAN, "hierarchy.scale": IMAGENET_SCALE, "hierarchy.width": 512,
        "hierarchy.up": ("32x15", "32d2", "16x9", "16d2", "8x8", "8d2", "4x6", "4d4", "1x6"),
        "hierarchy.down": ("1x2", "4m1", "4x4", "8m4", "8x9", "16m8", "16x19", "32m16", "32x40"),
        "optimizer.learning_rate": 1.5e-4, "optimizer.skip_norm": 300.0, "ema_half_life": HALF_LIFE / 10,
        "hierarchy.remat": True, "evaluators": {},
    }
    smoke = {
        "data.train_examples": 200, "data.validation": 40, "data.test_examples": 50, "latents": 2, "hierarchy.width": 8,
        "hierarchy.up": ("32x1", "32d4", "8d8", "1x1"), "hierarchy.down": ("1", "8m1", "32m8"),
        "likelihood.components": 2, "evaluators": {"latents": {"examples": 20}}, "train.batch_size": 16,
        "train.steps": 4, "train.log_every": 2, "train.evaluate_every": 4, "train.sample_every": 4,
        "train.checkpoint_every": 4,
    }
    return choose(variant, {"": full, "cpu": cpu, "imagenet32": imagenet32, "smoke": smoke})


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of a table with one of its protocols: "vdvae_cifar10_cpu" or "vdvae_cifar10_full"."""
    return sweep_of(TABLES, name)
