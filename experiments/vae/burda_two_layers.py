"""Two stochastic layers on dynamically binarised MNIST: Burda et al. 2016, Table 1.

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train.py --config=experiments/vae/burda_two_layers.py:iwae5

Variants are named by objective and samples k as in `burda.py`: `elbo1`, `iwae5`, `dreg50`, `stl5`, ...; `cpu_` before
any of them is its reduced form.

784-200-200-100-100-100-50 and back, tanh, Glorot initial values, output bias at the mean pixel, pixels binarised afresh
at every step and for the test; batch 20, Adam with eps 1e-4, 3^i passes at 1e-3 10^(-i/7), i = 0..7.

Published NLLs, quoted ones, and how `:cpu` differs, are in `TABLES`:

    python scripts/reproduce.py --table=burda_two_layers --protocol=cpu
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

PASS = 60_000 // 20
OBJECTIVES = {"elbo": "elbo", "iwae": "iwae", "dreg": "dreg", "stl": "stl_iwae"}
KEY = "log_likelihood_iw5k"
TABLES = {
    "burda_two_layers": Table(
        title="VAE and IWAE on MNIST, two stochastic layers",
        source="Burda et al. 2016, Table 1, as quoted by nbip/IWAE (README); IWAE with k = 1 is the VAE",
        rows={
            f"{name}, k = {k}": {"objective.name": objective, "samples": k}
            for name, objective, samples in (("VAE", "elbo", (1, 5, 50)), ("IWAE", "iwae", (5, 50))) for k in samples
        },
        metrics={KEY: Metric("NLL (nats)", -1)},
        published={
            "VAE, k = 1": {KEY: (85.33, None)}, "VAE, k = 5": {KEY: (85.01, None)}, "VAE, k = 50": {KEY: (84.78, None)},
            "IWAE, k = 5": {KEY: (83.89, None)}, "IWAE, k = 50": {KEY: (82.90, None)},
        },
        seeds={"cpu": 1, "full": 3},
        protocols={"cpu": "cpu", "full": ""},
        differences={
            "cpu": "22 passes in batches of 100 in place of 3,280 of 20; a learning rate that falls on a line from "
                   "1e-3 to 1e-4; the first 2,000 test images; and as in full.",
            "full": "all 60,000 training images, 59,600 in the released code, whose Adam sees the sum of a batch's "
                    "gradients (its eps of 1e-4 is as 5e-6 beside their mean), has a first moment of 0.99, not the "
                    "paper's 0.9, and begins its second at 1.",
        },
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; `cpu_*` is for two cores, `smoke` a run of seconds."""
    network = {"name": "mlp", "hidden": (200, 200), "activation": "tanh", "kernel_init": "glorot_uniform"}
    full = ConfigDict({
        "family": "vae",
        "data": {"name": "mnist", "range": "unit", "binarize": "dynamic"},
        "latents": 100,
        "hierarchy": {"name": "chain", "latents": (50,), "hidden": (100, 100)},
        "samples": 1,
        "output_bias": "data_mean",
        "encoder": network,
        "decoder": network,
        "posterior": {"name": "normal"},
        "likelihood": {"name": "bernoulli"},
        "objective": {"name": "elbo"},
        "optimizer": {"name": "adam", "learning_rate": 1e-3, "eps": 1e-4},
        "schedules": {"learning_rate": {"name": "stages", "unit": PASS, "last": 7}},
        "evaluators": {"log_likelihood": {"samples": 5_000}},
        "train": {
            "steps": 3_280 * PASS, "batch_size": 20, "log_every": PASS, "evaluate_every": 1_640 * PASS,
            "sample_every": 82 * PASS, "checkpoint_every": 41 * PASS,
        },
    })
    cpu = {
        "schedules.learning_rate.name": "linear", "schedules.learning_rate.steps": 13_320,
        "schedules.learning_rate.final": 0.1, "train.steps": 13_320,
        "train.batch_size": 100, "train.log_every": 222, "train.evaluate_every": 13_320, "train.sample_every": 4_440,
        "train.checkpoint_every": 4_440, "evaluators.log_likelihood.examples": 2_000,
    }
    smoke = {
        "data.train_examples": 500, "data.test_examples": 200,
        "encoder.hidden": (16,), "decoder.hidden": (16,), "hierarchy.hidden": (8,),
        "samples": 2,
        "evaluators": {"log_likelihood": {"samples": 10, "examples": 20}},
        "train.steps": 20, "train.log_every": 10, "train.evaluate_every": 20, "train.sample_every": 20,
        "train.checkpoint_every": 20,
    }
    rows = {f"{name}{k}": {"objective.name": objective, "samples": k}
            for name, objective in OBJECTIVES.items() for k in (1, 5, 50)}
    reduced = {f"cpu_{name}": cpu | row for name, row in rows.items()}
    return choose(variant, {"": full, **rows, "cpu": cpu, **reduced, "smoke": smoke})


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of a table with one of its protocols: "burda_two_layers_cpu" or "burda_two_layers_full"."""
    return sweep_of(TABLES, name)
