"""A hierarchy in the manner of NVAE on CIFAR-10: 30 groups of latents at 16x16 (Vahdat & Kautz 2020).

    python scripts/prepare_data.py --dataset=cifar10
    python scripts/train.py --config=experiments/vae/nvae_cifar10.py

The convolutional ladder with NVAE's parts: depthwise separable blocks on the way down, whose channels grow six-fold,
plain residual blocks on the way up, two of them for each group; batch norm and swish; squeeze-and-excitation; a
posterior that is given as what it adds to the prior's mean and log-scale; the KL balanced over the groups during a
warm-up of 30 % of the steps. 20 channels of latents, ten logistics a pixel whose channels depend on those before,
Adamax with eps 1e-3 from 1e-2 to 1e-4 on half a cosine after 5 epochs, 400 epochs of 8 x 32 images, half of them
mirrored, as in the released command. There are no flows and no spectral regularisation; the differences are in
`TABLES`:

    python scripts/reproduce.py --table=nvae_cifar10 --protocol=cpu

`:cpu` has six groups of width 16 at 16x16 and 8x8, on patches of 2x2 pixels.
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

EPOCH, EPOCHS, GROUPS, CPU_STEPS = 50_000 // 256, 400, 30, 6_000
TABLES = {
    "nvae_cifar10": Table(
        title="A hierarchy in the manner of NVAE on CIFAR-10",
        source="Vahdat & Kautz 2020, NVAE with flows in the posterior, as quoted by later work",
        rows={"30 groups at 16x16": {}},
        metrics={"bits_per_dim": Metric("bits per dimension")},
        published={"30 groups at 16x16": {"bits_per_dim": (2.91, None)}},
        seeds={"cpu": 1, "full": 1},
        protocols={"cpu": "cpu", "full": ""},
        differences={
            "cpu": "six groups of 8 channels at 16x16 and 8x8 (patches of 2x2 pixels) in a network of width 16, "
                   "channels three-fold within a block, one block for each group; 6,000 steps of 64 images with Adam, "
                   "the rate from 1e-3 to 0 on half a cosine; and as in full.",
            "full": "no flows in the posterior, no spectral regularisation of kernels and of batch norms' scales, no "
                    "weight decay; no weight norm, kernels with initial values by the data; width 256 and channels "
                    "six-fold also at 32x32, there 128 and three-fold; the blocks of the way up are not scaled by 0.1; "
                    "latents and state are merged by a gated block too; means and log-scales without bounds; averages "
                    "of batch norm keep 0.9 of themselves, there 0.95; the ELBO of one sample, there the estimate with "
                    "1,000.",
        },
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; `cpu` is for two cores, `smoke` a run of seconds."""
    full = ConfigDict({
        "family": "vae",
        "data": {"name": "cifar10", "range": "symmetric", "flip": True},
        "latents": 20,
        "hierarchy": {
            "name": "convolutional_ladder", "halvings": (1,) + (0,) * (GROUPS - 1), "first_halving": False,
            "width": 256, "blocks": 2, "activation": "swish", "dropout": 0.0, "gated": False, "merge": "linear",
            "learn_top_prior": False, "squeeze": 16, "expansion": 6, "relative": True, "remat": True,
        },
        "likelihood": {"name": "conditional_logistic_mixture"},
        "objective": {"name": "balanced"},
        "optimizer": {"name": "adamax", "learning_rate": 1e-2, "eps": 1e-3},
        "schedules": {
            "learning_rate": {"name": "piecewise", "knots": (5 * EPOCH, EPOCHS * EPOCH), "factors": (0.0, 1.0, 0.01)},
            "kl_weight": {"name": "warm_up", "steps": 3 * EPOCHS * EPOCH // 10},
        },
        "evaluators": {"latents": {"examples": 1_000, "every": 100 * EPOCH}},
        "train": {
            "steps": EPOCHS * EPOCH, "batch_size": 256, "log_every": EPOCH, "evaluate_every": 10 * EPOCH,
            "sample_every": 10 * EPOCH, "checkpoint_every": 5 * EPOCH, "best": "min bits_per_dim",
        },
    })
    cpu = {
        "latents": 8, "hierarchy.patch": 2, "hierarchy.halvings": (0, 0, 0, 1, 0, 0), "hierarchy.width": 16,
        "hierarchy.blocks": 1, "hierarchy.expansion": 3, "hierarchy.remat": False,
        "optimizer": {"name": "adam", "learning_rate": 1e-3},
        "schedules": {"learning_rate": {"name": "cosine", "steps": CPU_STEPS},
                      "kl_weight": {"name": "warm_up", "steps": 3 * CPU_STEPS // 10}},
        "evaluators": {"latents": {"examples": 1_000, "every": CPU_STEPS}},
        "train.steps": CPU_STEPS, "train.batch_size": 64, "train.log_every": 50, "train.evaluate_every": 2_000,
        "train.sample_every": 2_000, "train.checkpoint_every": 100,
    }
    smoke = {
        "data.train_examples": 200, "data.test_examples": 50, "latents": 2, "hierarchy.halvings": (1, 0),
        "hierarchy.width": 4, "hierarchy.blocks": 1, "hierarchy.expansion": 2, "likelihood.components": 2,
        "evaluators": {"latents": {"examples": 20}}, "train.batch_size": 16, "train.steps": 4, "train.log_every": 2,
        "train.evaluate_every": 4, "train.sample_every": 4, "train.checkpoint_every": 4,
    }
    return choose(variant, {"": full, "cpu": cpu, "smoke": smoke})


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of a table with one of its protocols: "nvae_cifar10_cpu" or "nvae_cifar10_full"."""
    return sweep_of(TABLES, name)
