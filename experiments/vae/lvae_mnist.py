"""Convolutional ladder VAEs of 3, 6 and 12 layers on static MNIST: addtt/ladder-vae-pytorch.

    python scripts/prepare_data.py --dataset=binarized_mnist
    python scripts/train.py --config=experiments/vae/lvae_mnist.py
    python scripts/train.py --config=experiments/vae/lvae_mnist.py:12

Images padded to 32x32 and halved once, then three times on the way up: z_1 to z_3 are 8x8, 4x4 and 2x2 maps of 32
channels; more layers stand at these and, of 12, two at 16x16. 64 channels elsewhere, four gated residual blocks between
layers, dropout 0.2, free bits of 0.5 nats a layer of each example (1 above six layers), Adamax 3e-4, batch 64, as the
released command has it. The published bounds, quoted from its README, and the differences are in `TABLES`:

    python scripts/reproduce.py --table=lvae_mnist --protocol=cpu

`:cpu` is three layers of reduced width (`:cpu_6`, `:cpu_12`: more) on `--dataset=mnist`, binarised once with this
project's seed.
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

EPOCH, CPU_EPOCH = 60_000 // 64, 600
HALVINGS = {3: (1, 1, 1), 6: (1, 0) * 3, 12: (0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0)}
NATS = {3: 0.5, 6: 0.5, 12: 1.0}
NLL = "log_likelihood_iw1k"
TABLES = {
    "lvae_mnist": Table(
        title="Convolutional ladder VAEs on statically binarised MNIST",
        source="seen in the README of addtt/ladder-vae-pytorch, means of 4 seeds",
        rows={f"{n} layers": {} for n in HALVINGS},
        metrics={"elbo": Metric("-ELBO (nats)", -1),
                 NLL: Metric("NLL (nats)", -1, instead={"cpu": "log_likelihood_iw500"})},
        published={"3 layers": {"elbo": (82.14, None), NLL: (79.24, None)},
                   "6 layers": {"elbo": (80.74, None), NLL: (78.52, None)},
                   "12 layers": {"elbo": (80.50, None), NLL: (78.30, None)}},
        seeds={"cpu": 1, "full": 4},
        protocols={"cpu": "cpu", "full": ""},
        variants={f"{n} layers": {"cpu": f"cpu_{n}", "full": str(n)} for n in (6, 12)},
        differences={
            "cpu": "MNIST as this project binarises it once (seed 0), not Larochelle's draw; width 32, 16 channels of "
                   "latents, one block between layers, no dropout and no batch norm; patches of 4x4 pixels in place "
                   "of the halvings to 8x8, so that the latents' maps have the published sizes; 20 epochs in batches "
                   "of 100, Adam, the rate from 2e-3 to 0 on half a cosine; 500 samples for the first 1,000 test "
                   "images.",
            "full": "the KL in closed form, there by the sample; where the layers of 6 stand is not published: evenly "
                    "over the three resolutions here; 400 epochs, there as many as are not said.",
        },
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; a number of layers (3, 6, 12), `cpu` for two cores, `smoke` a run of seconds."""
    full = ConfigDict({
        "family": "vae",
        "data": {"name": "binarized_mnist", "range": "unit"},
        "latents": 32,
        "hierarchy": {"name": "convolutional_ladder", "halvings": HALVINGS[3]},
        "likelihood": {"name": "bernoulli"},
        "objective": {"name": "free_bits_per_example", "nats": 0.5},
        "optimizer": {"name": "adamax", "learning_rate": 3e-4},
        "schedules": {},
        "evaluators": {"log_likelihood": {"samples": 1_000, "rows": 1_000, "every": 400 * EPOCH}, "latents": {}},
        "train": {
            "steps": 400 * EPOCH, "batch_size": 64, "log_every": EPOCH, "evaluate_every": 10 * EPOCH,
            "sample_every": 10 * EPOCH, "checkpoint_every": 10 * EPOCH,
        },
    })
    cpu = {
        "data.name": "mnist", "data.binarize": "static", "latents": 16, "hierarchy.halvings": (0, 1, 1),
        "hierarchy.patch": 4, "hierarchy.first_halving": False, "hierarchy.width": 32,
        "hierarchy.blocks": 1, "hierarchy.dropout": 0.0, "hierarchy.batch_norm": False,
        "optimizer.name": "adam", "optimizer.learning_rate": 2e-3,
        "schedules": {"learning_rate": {"name": "cosine", "steps": 20 * CPU_EPOCH}},
        "evaluators": {"log_likelihood": {"samples": 500, "rows": 1_000, "examples": 1_000, "every": 20 * CPU_EPOCH},
                       "latents": {"every": 20 * CPU_EPOCH}},
        "train.steps": 20 * CPU_EPOCH, "train.batch_size": 100, "train.log_every": 100,
        "train.evaluate_every": CPU_EPOCH, "train.sample_every": 5 * CPU_EPOCH, "train.checkpoint_every": 200,
    }
    smoke = {
        "data.name": "mnist", "data.binarize": "static", "data.train_examples": 500, "data.test_examples": 200,
        "latents": 2, "hierarchy.width": 4,
        "hierarchy.blocks": 1, "evaluators": {"log_likelihood": {"samples": 4, "examples": 10}, "latents": {}},
        "train.steps": 4, "train.log_every": 2, "train.evaluate_every": 4, "train.sample_every": 4,
        "train.checkpoint_every": 4,
    }
    rows = {str(n): {"hierarchy.halvings": HALVINGS[n], "objective.nats": NATS[n]} for n in HALVINGS}
    reduced = {f"cpu_{n}": cpu | row | {"hierarchy.halvings": (0, *row["hierarchy.halvings"][1:])}
               for n, row in rows.items()}
    return choose(variant, {"": full, **rows, "cpu": cpu, **reduced, "smoke": smoke})


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of a table with one of its protocols: "lvae_mnist_cpu" or "lvae_mnist_full"."""
    return sweep_of(TABLES, name)
