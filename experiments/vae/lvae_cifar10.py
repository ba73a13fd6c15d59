"""Convolutional ladder VAEs of 3, 6 and 15 layers on CIFAR-10, in bits per dimension: addtt/ladder-vae-pytorch.

    python scripts/prepare_data.py --dataset=cifar10
    python scripts/train.py --config=experiments/vae/lvae_cifar10.py
    python scripts/train.py --config=experiments/vae/lvae_cifar10.py:15

Images halved once, then three times on the way up, from 8x8 to 2x2 maps of 32 channels; layers stand at these three
resolutions. Ten logistics a pixel whose channels depend on those before; all else as in `lvae_mnist.py`. Bits per
dimension are of the 256 levels, without dequantisation. Published bounds, quoted from the README, and the differences
are in `TABLES`:

    python scripts/reproduce.py --table=lvae_cifar10 --protocol=cpu

`:cpu` is three layers of reduced width on patches of 2x2 pixels: their maps have 16, 8 and 4 a side, since latents at
8x8 alone cost 0.8 bits per dimension after 400 steps.
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

EPOCH, CPU_STEPS = 50_000 // 64, 6_000
HALVINGS = {3: (1, 1, 1), 6: (1, 0) * 3, 15: (1, 0, 0, 0, 0) * 3}
KEY = "bits_per_dim_iw100"
ROWS = {n: {"hierarchy.halvings": halvings, "objective.nats": 1.0 if n > 6 else 0.5}
        for n, halvings in HALVINGS.items()}
TABLES = {
    "lvae_cifar10": Table(
        title="Convolutional ladder VAEs on CIFAR-10",
        source="seen in the README of addtt/ladder-vae-pytorch, means of 4 seeds",
        rows={f"{n} layers": row for n, row in ROWS.items()},
        metrics={"bits_per_dim": Metric("bits per dimension"), KEY: Metric("bits per dimension, 100 samples")},
        published={"3 layers": {"bits_per_dim": (3.59, None), KEY: (3.56, None)},
                   "6 layers": {"bits_per_dim": (3.44, None), KEY: (3.41, None)},
                   "15 layers": {"bits_per_dim": (3.35, None), KEY: (3.32, None)}},
        seeds={"cpu": 1, "full": 4},
        protocols={"cpu": "cpu", "full": ""},
        differences={
            "cpu": "width 32, 16 channels of latents, one block between layers, no dropout and no batch norm; patches "
                   "of 2x2 pixels in place of the first two halvings; 6,000 steps of 64 images with Adam, the rate "
                   "from 1e-3 to 0 on half a cosine; 100 test images of the estimate with 100 samples.",
            "full": "the KL in closed form, there by the sample; where the layers of 6 and 15 stand is not published: "
                    "evenly over the three resolutions here; 400 epochs, there as many as are not said.",
        },
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; a number of layers (3, 6, 15), `cpu` for two cores, `smoke` a run of seconds."""
    full = ConfigDict({
        "family": "vae",
        "data": {"name": "cifar10", "range": "symmetric"},
        "latents": 32,
        "hierarchy": {"name": "convolutional_ladder", "halvings": HALVINGS[3]},
        "likelihood": {"name": "conditional_logistic_mixture"},
        "objective": {"name": "free_bits_per_example", "nats": 0.5},
        "optimizer": {"name": "adamax", "learning_rate": 3e-4},
        "schedules": {},
        "evaluators": {"log_likelihood": {"samples": 100, "rows": 500, "every": 400 * EPOCH},
                       "latents": {"every": 100 * EPOCH}},
        "train": {
            "steps": 400 * EPOCH, "batch_size": 64, "log_every": EPOCH, "evaluate_every": 10 * EPOCH,
            "sample_every": 10 * EPOCH, "checkpoint_every": 10 * EPOCH, "best": "min bits_per_dim",
        },
    })
    cpu = {
        "latents": 16, "hierarchy.halvings": (0, 1, 1), "hierarchy.patch": 2, "hierarchy.first_halving": False,
        "hierarchy.width": 32, "hierarchy.blocks": 1, "hierarchy.dropout": 0.0, "hierarchy.batch_norm": False,
        "optimizer.name": "adam", "optimizer.learning_rate": 1e-3,
        "schedules": {"learning_rate": {"name": "cosine", "steps": CPU_STEPS}},
        "evaluators": {"log_likelihood": {"samples": 100, "rows": 500, "examples": 100, "every": CPU_STEPS},
                       "latents": {"examples": 1_000, "every": CPU_STEPS}},
        "train.steps": CPU_STEPS, "train.log_every": 50, "train.evaluate_every": 2_000, "train.sample_every": 2_000,
        "train.checkpoint_every": 100,
    }
    smoke = {
        "data.train_examples": 200, "data.test_examples": 50, "latents": 2, "hierarchy.width": 4,
        "hierarchy.blocks": 1, "likelihood.components": 2,
        "evaluators": {"log_likelihood": {"samples": 2, "examples": 4}, "latents": {"examples": 20}},
        "train.batch_size": 16, "train.steps": 4, "train.log_every": 2, "train.evaluate_every": 4,
        "train.sample_every": 4, "train.checkpoint_every": 4,
    }
    return choose(variant, {"": full, **{str(n): row for n, row in ROWS.items()}, "cpu": cpu, "smoke": smoke})


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of a table with one of its protocols: "lvae_cifar10_cpu" or "lvae_cifar10_full"."""
    return sweep_of(TABLES, name)
