"""Four VAEs on one statically binarised MNIST: one layer, IWAE, a VampPrior, and a ladder of convolutional layers.

    python scripts/prepare_data.py --dataset=binarized_mnist
    python scripts/train.py --config=experiments/vae/static_mnist.py
    python scripts/train.py --config=experiments/vae/static_mnist.py:iwae

The models are those of `burda.py`, `vamp.py` and `lvae_mnist.py`; here they see the same pixels, and log p(x) is
estimated with as many samples of the same test images. Variants are `iwae`, `vamp` and `lvae`, the VAE without any;
`cpu` and `cpu_iwae`, `cpu_vamp`, `cpu_lvae` are their reduced forms on `--dataset=mnist`, binarised once with this
project's seed. Published values, with their sources, and the differences are in `TABLES`:

    python scripts/reproduce.py --table=static_mnist --protocol=cpu
"""

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gen.config import load
from gen.config import variant as choose
from gen.errors import lookup
from gen.tables import Metric, Table, sweep_of

NLL, STEPS = "log_likelihood_iw5k", 5 * 3_000
EXPERIMENTS = {
    "vae": {"full": "burda.py:elbo1", "cpu": "burda.py:elbo1"},
    "iwae": {"full": "burda.py:iwae50", "cpu": "burda.py:iwae50"},
    "vamp": {"full": "vamp.py", "cpu": "vamp.py:cpu"},
    "lvae": {"full": "lvae_mnist.py", "cpu": "lvae_mnist.py:cpu"},
}
"""Model to the experiment of each protocol, a file beside this one and its variant."""

ROWS = {"VAE, k = 1": "vae", "IWAE, k = 50": "iwae", "VAE, VampPrior": "vamp", "ladder of 3 layers": "lvae"}
SHARED = {
    "full": {"data.name": "binarized_mnist", "evaluators.log_likelihood.samples": 5_000},
    "cpu": {"data.name": "mnist", "data.binarize": "static", "evaluators.log_likelihood.samples": 500,
            "evaluators.log_likelihood.examples": 1_000},
}
"""What all rows of a protocol have in common: their pixels, and the estimate of log p(x)."""

SHORT = {
    "schedules": {"learning_rate": {"name": "linear", "steps": STEPS, "final": 0.1}}, "train.steps": STEPS,
    "train.log_every": 300, "train.evaluate_every": STEPS, "train.sample_every": 3_000, "train.checkpoint_every": 3_000,
}
"""What `cpu` changes in the models of `burda.py`."""

TABLES = {
    "static_mnist": Table(
        title="VAEs on statically binarised MNIST",
        source="VAE and IWAE of Burda et al. 2016 and the VampPrior of Tomczak & Welling 2018, as quoted by later "
               "work; the ladder seen in the README of addtt/ladder-vae-pytorch, means of 4 seeds",
        rows={row: {} for row in ROWS},
        metrics={NLL: Metric("NLL (nats)", -1, instead={"cpu": "log_likelihood_iw500"}),
                 "elbo": Metric("-ELBO (nats)", -1)},
        published={"VAE, k = 1": {NLL: (88.71, None)}, "IWAE, k = 50": {NLL: (87.10, None)},
                   "VAE, VampPrior": {NLL: (85.57, None)},
                   "ladder of 3 layers": {NLL: (79.24, None), "elbo": (82.14, None)}},
        seeds={"cpu": 1, "full": 3},
        protocols={"cpu": "cpu", "full": ""},
        variants={row: {"cpu": f"cpu_{model}", "full": model} for row, model in ROWS.items() if model != "vae"},
        differences={
            "cpu": "MNIST as this project binarises it once (seed 0), not Larochelle's draw; 500 samples for the first "
                   "1,000 test images; VAE and IWAE 5 of 3,280 passes, the rate from 1e-3 to 1e-4 on a line; "
                   "the VampPrior as in vamp.py:cpu, 25 epochs; the ladder as in lvae_mnist.py:cpu, 20 epochs.",
            "full": "5,000 samples for the ladder too, there 1,000; all else as in the full protocols of burda_static, "
                    "vamp and lvae_mnist, but on Larochelle's draw.",
        },
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; `cpu*` is for two cores, `smoke` a run of seconds."""
    if variant in ("", "smoke"):
        smoke = {
            "data": {"name": "mnist", "range": "unit", "binarize": "static", "train_examples": 500,
                     "test_examples": 200},
            "encoder.hidden": (16,), "decoder.hidden": (16,),
            "evaluators": {"log_likelihood": {"samples": 10, "examples": 20}},
            "train.steps": 20, "train.log_every": 10, "train.evaluate_every": 20, "train.sample_every": 20,
            "train.checkpoint_every": 20,
        }
        return choose(variant, {"": config("vae", "full", "vae"), "smoke": smoke})
    named = {f"{prefix}{model}": (model, protocol) for model in EXPERIMENTS
             for protocol, prefix in (("full", ""), ("cpu", "cpu_"))}
    return config(*lookup(named | {"cpu": ("vae", "cpu")}, variant, "variant"), variant)


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of a table with one of its protocols: "static_mnist_cpu" or "static_mnist_full"."""
    return sweep_of(TABLES, name)


def config(model: str, protocol: str, name: str) -> ConfigDict:
    """The variant `name`: a model's experiment on the protocol's pixels and with its estimate of log p(x)."""
    found = load(str(Path(__file__).with_name(EXPERIMENTS[model][protocol])))
    changes = SHARED[protocol] | {"data.range": "unit", "data.train_examples": found.data.get("train_examples", 0)}
    short = SHORT if protocol == "cpu" and model in ("vae", "iwae") else {}
    return choose(name, {"": found, name: changes | short})
