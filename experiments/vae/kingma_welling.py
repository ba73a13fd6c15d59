"""The lower bound on MNIST against the dimension of the latents: Kingma & Welling 2014, figure 2.

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train.py --config=experiments/vae/kingma_welling.py --config.latents=10

One hidden layer of 500 tanh units on each side, batch 100, one posterior sample; the paper's figure has curves for 3,
5, 10, 20 and 200 latents (`--config.latents`), which end after 10^8 training images and show no overfitting for
superfluous latents. Their ends, then the curves:

    python scripts/reproduce.py --table=kingma_welling --protocol=cpu
    python scripts/plot.py --metrics=elbo --together --runs=runs/vae/kingma_welling/cpu-latents=3-seed=0 --runs=...
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

TABLES = {
    "kingma_welling": Table(
        title="The lower bound on MNIST against the dimension of the latents",
        source="none: figure 2 of Kingma & Welling 2014 has curves without numbers",
        rows={f"{n} latents": {"latents": n} for n in (3, 5, 10, 20, 200)},
        metrics={"elbo": Metric("ELBO (nats)"), "active_units": Metric("active units", digits=0)},
        published={},
        seeds={"cpu": 1, "full": 3},
        protocols={"cpu": "cpu", "full": ""},
        differences={
            "cpu": "2 x 10^6 training images in place of 10^8; and as in full.",
            "full": "Adam in place of Adagrad; pixels binarised afresh at every step.",
        },
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; `cpu` is for two cores, `smoke` a run of seconds."""
    network = {"name": "mlp", "hidden": (500,), "activation": "tanh"}
    full = ConfigDict({
        "family": "vae",
        "data": {"name": "mnist", "range": "unit", "binarize": "dynamic"},
        "latents": 10,
        "encoder": network,
        "decoder": network,
        "likelihood": {"name": "bernoulli"},
        "objective": {"name": "elbo"},
        "optimizer": {"name": "adam", "learning_rate": 1e-3},
        "evaluators": {"latents": {}},
        "train": {
            "steps": 1_000_000, "batch_size": 100, "log_every": 500, "evaluate_every": 10_000, "sample_every": 50_000,
            "checkpoint_every": 10_000, "best": "max elbo",
        },
    })
    cpu = {"train.steps": 20_000, "train.evaluate_every": 2_000, "train.sample_every": 4_000,
           "train.checkpoint_every": 2_000}
    smoke = {
        "data.train_examples": 500, "data.test_examples": 200, "encoder.hidden": (16,), "decoder.hidden": (16,),
        "train.steps": 20, "train.log_every": 10, "train.evaluate_every": 20, "train.sample_every": 20,
        "train.checkpoint_every": 20,
        "evaluators": {"latents": {"examples": 50, "samples": 20}},
    }
    return choose(variant, {"": full, "cpu": cpu, "smoke": smoke})


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of the table with one of its protocols: "kingma_welling_cpu" or "kingma_welling_full"."""
    return sweep_of(TABLES, name)
