"""The VAE of Flax's examples on statically binarised MNIST.

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train.py --config=experiments/vae/flax_example.py

784-500-20-500-784, ReLU, Adam 1e-3, batch 128, 390 steps an epoch on the first 50,000 training images. There the
binarisation is Larochelle's fixed one; here it is drawn once with a fixed seed. The losses beside it are of one run,
logged in Flax's pull request 1361 before its change; the example's README says "around 104" after 10 epochs. They are
in `TABLES`:

    python scripts/reproduce.py --table=flax_example
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

EPOCH = 390
TABLES = {
    "flax_example": Table(
        title="Flax's VAE example on statically binarised MNIST",
        source="one run logged in Flax's pull request 1361 (seen)",
        rows={f"epoch {n}": {"train.steps": n * EPOCH} for n in (1, 5, 10, 21)},
        metrics={"elbo": Metric("negative ELBO (nats)", -1), "kl": Metric("KL (nats)")},
        published={
            "epoch 1": {"elbo": (119.74, None)}, "epoch 5": {"elbo": (106.06, None)},
            "epoch 10": {"elbo": (103.60, None)}, "epoch 21": {"elbo": (101.53, None)},
        },
        seeds={"cpu": 3, "full": 3},
        protocols={"cpu": "", "full": ""},
        differences=dict.fromkeys(("cpu", "full"), "binarised once with a fixed seed, not Larochelle's draw."),
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variant `smoke` is a run of seconds."""
    full = ConfigDict({
        "family": "vae",
        "data": {"name": "mnist", "range": "unit", "binarize": "static", "train_examples": 50_000},
        "latents": 20,
        "encoder": {"name": "mlp", "hidden": (500,)},
        "decoder": {"name": "mlp", "hidden": (500,)},
        "likelihood": {"name": "bernoulli"},
        "objective": {"name": "elbo"},
        "optimizer": {"name": "adam", "learning_rate": 1e-3},
        "train": {
            "steps": 10 * EPOCH, "batch_size": 128, "log_every": EPOCH // 5, "evaluate_every": EPOCH,
            "sample_every": EPOCH, "checkpoint_every": EPOCH, "best": "max elbo",
        },
    })
    smoke = {
        "data.train_examples": 1_000, "data.test_examples": 200, "encoder.hidden": (32,), "decoder.hidden": (32,),
        "train.steps": 40, "train.log_every": 10, "train.evaluate_every": 20, "train.sample_every": 20,
        "train.checkpoint_every": 20,
    }
    return choose(variant, {"": full, "smoke": smoke})


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of a table with one of its protocols: "flax_example_cpu"."""
    return sweep_of(TABLES, name)
