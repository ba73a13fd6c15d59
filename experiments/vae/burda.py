"""Importance weighted autoencoders on dynamically binarised MNIST: Burda et al. 2016, Table 1.

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train.py --config=experiments/vae/burda.py:iwae5

Variants are named by objective and samples k: `elbo1`, `elbo5`, `elbo50` are the paper's VAE, `iwae5`, `iwae50` its
IWAE (k = 1 is the same bound); `dreg5`, `dreg50`, `stl5`, `stl50` are later estimators of IWAE's gradient; `cpu_`
before any of them is its reduced form, `short` a seventh of that. `steps400k` is the short schedule of
`abdulfatir/IWAE-tensorflow`: ReLU, 400,000 steps of batch 100, Adam at 1e-4; `short_steps400k` its reduced form.

784-200-200-50-200-200-784, tanh, Glorot initial values, output bias at the mean pixel, pixels binarised afresh at every
step and for the test; batch 20, Adam with eps 1e-4, 3^i passes at 1e-3 10^(-i/7), i = 0..7.

Published NLLs, quoted ones and those of two public implementations, and how a reduced protocol differs, are in
`TABLES`; `short` has the rows of k = 50, which are ten times the work of k = 5:

    python scripts/reproduce.py --table=burda_one_layer --protocol=cpu      or --protocol=short
    python scripts/reproduce.py --table=iwae_estimators --protocol=cpu      and iwae_400k_steps, burda_static

Two layers are in `burda_two_layers.py`. What differs from the released code is in `TABLES` too.
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

PASS = 60_000 // 20
OBJECTIVES = {"elbo": "elbo", "iwae": "iwae", "dreg": "dreg", "stl": "stl_iwae"}
NLL = {"log_likelihood_iw5k": Metric("NLL (nats)", -1)}


def row(objective: str, samples: int, **others: Any) -> dict[str, Any]:
    """The overrides of a row: objective, k, and other keys."""
    return {"objective.name": objective, "samples": samples} | others


def nll(value: float) -> dict[str, tuple[float, None]]:
    """A published NLL, without standard error."""
    return {"log_likelihood_iw5k": (value, None)}


def falling(steps: int) -> dict[str, Any]:
    """Schedules of a learning rate that falls on a line to a tenth."""
    return {"learning_rate": {"name": "linear", "steps": steps, "final": 0.1}}


def reduced(passes: int, images: str = "") -> str:
    """What a protocol of that many passes changes."""
    return (f"{passes} passes in batches of 100 in place of 3,280 of 20; a learning rate that falls on a line from "
            f"1e-3 to 1e-4; {images}and as in full.")


TEST = "the first 2,000 test images; "
SHORT = reduced(22, TEST)
FULL = ("all 60,000 training images, 59,600 in the released code, whose Adam sees the sum of a batch's gradients (its "
        "eps of 1e-4 is as 5e-6 beside their mean), has a first moment of 0.99, not the paper's 0.9, and begins its "
        "second at 1.")
TABLES = {
    "burda_one_layer": Table(
        title="VAE and IWAE on MNIST, one stochastic layer",
        source="Burda et al. 2016, Table 1, as quoted by nbip/IWAE (README); IWAE with k = 1 is the VAE",
        rows={
            "VAE, k = 1": row("elbo", 1), "VAE, k = 5": row("elbo", 5), "VAE, k = 50": row("elbo", 50),
            "IWAE, k = 5": row("iwae", 5), "IWAE, k = 50": row("iwae", 50),
        },
        metrics=NLL | {"active_units": Metric("active units", digits=1)},
        published={
            "VAE, k = 1": nll(86.76), "VAE, k = 5": nll(86.47), "VAE, k = 50": nll(86.35),
            "IWAE, k = 5": nll(85.54), "IWAE, k = 50": nll(84.78),
        },
        seeds={"cpu": 1, "short": 1, "full": 3},
        protocols={"cpu": "cpu", "short": "short", "full": ""},
        differences={"cpu": reduced(148), "short": SHORT, "full": FULL},
        omitted={"cpu": ("VAE, k = 50", "IWAE, k = 50")},
    ),
    "burda_static": Table(
        title="IWAE on statically binarised MNIST",
        source="Burda et al. 2016, as quoted by later work",
        rows={f"IWAE, k = {k}": row("iwae", k, **{"data.binarize": "static"}) for k in (1, 5, 50)},
        metrics=NLL,
        published={"IWAE, k = 1": nll(88.71), "IWAE, k = 5": nll(87.63), "IWAE, k = 50": nll(87.10)},
        seeds={"cpu": 1, "full": 3},
        protocols={"cpu": "short", "full": ""},
        differences={protocol: f"binarised once with a fixed seed, not Larochelle's draw; {sentence}"
                     for protocol, sentence in {"cpu": SHORT, "full": FULL}.items()},
        omitted={"cpu": ("IWAE, k = 50",)},
    ),
    "iwae_estimators": Table(
        title="Estimators of IWAE's gradient on MNIST, 100 latents",
        source="nbip/IWAE (README, seen); none for STL",
        rows={
            f"{name}, k = {k}": row(objective, k, latents=100)
            for name, objective in {"IWAE": "iwae", "DReG": "dreg", "STL": "stl_iwae"}.items() for k in (1, 5, 50)
        },
        metrics=NLL,
        published={
            "IWAE, k = 1": nll(86.35), "IWAE, k = 5": nll(85.18), "IWAE, k = 50": nll(84.59),
            "DReG, k = 1": nll(86.08), "DReG, k = 5": nll(84.90), "DReG, k = 50": nll(84.32),
        },
        seeds={"cpu": 1, "full": 3},
        protocols={"cpu": "short", "full": ""},
        differences={"cpu": SHORT, "full": FULL},
    ),
    "iwae_400k_steps": Table(
        title="IWAE on MNIST, the schedule of 400,000 steps",
        source="abdulfatir/IWAE-tensorflow (README, seen); its code takes grey pixels for probabilities, halves the "
               "exponents of the normals twice and averages log p(x|z) over a batch, so its NLLs are not of this bound",
        rows={f"IWAE, k = {k}": row("iwae", k) for k in (1, 5, 50)},
        metrics=NLL,
        published={"IWAE, k = 1": nll(90.26), "IWAE, k = 5": nll(88.49), "IWAE, k = 50": nll(87.34)},
        seeds={"cpu": 1, "full": 1},
        protocols={"cpu": "short_steps400k", "full": "steps400k"},
        differences={
            "cpu": f"22 passes in place of 667; a learning rate that falls on a line from 1e-3 to 1e-4; {TEST}and as "
                   "in full.",
            "full": "pixels binarised afresh; the posterior's scale is the exponential of the network's output, not "
                    "its softplus; the bound and its likelihoods as Burda et al. define them.",
        },
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; `cpu_*` and `short*` are for two cores, `smoke` a run of seconds."""
    network = {"name": "mlp", "hidden": (200, 200), "activation": "tanh", "kernel_init": "glorot_uniform"}
    full = ConfigDict({
        "family": "vae",
        "data": {"name": "mnist", "range": "unit", "binarize": "dynamic"},
        "latents": 50,
        "samples": 1,
        "output_bias": "data_mean",
        "encoder": network,
        "decoder": network,
        "posterior": {"name": "normal", "kernel_init": "glorot_uniform"},
        "likelihood": {"name": "bernoulli"},
        "objective": {"name": "elbo"},
        "optimizer": {"name": "adam", "learning_rate": 1e-3, "eps": 1e-4},
        "schedules": {"learning_rate": {"name": "stages", "unit": PASS, "last": 7}},
        "evaluators": {"log_likelihood": {"samples": 5_000}, "latents": {}},
        "train": {
            "steps": 3_280 * PASS, "batch_size": 20, "log_every": PASS, "evaluate_every": 1_640 * PASS,
            "sample_every": 82 * PASS, "checkpoint_every": 41 * PASS,
        },
    })
    cpu = {
        "schedules": falling(88_800), "train.steps": 88_800, "train.batch_size": 100, "train.log_every": 222,
        "train.evaluate_every": 88_800, "train.sample_every": 8_880, "train.checkpoint_every": 4_440,
    }
    short = cpu | {
        "schedules": falling(13_320), "train.steps": 13_320, "train.evaluate_every": 13_320,
        "train.sample_every": 4_440, "evaluators.log_likelihood.examples": 2_000,
    }
    steps400k = {
        "objective.name": "iwae", "encoder.activation": "relu", "decoder.activation": "relu", "output_bias": "zero",
        "optimizer": {"name": "adam", "learning_rate": 1e-4}, "schedules": {},
        "train.steps": 400_000, "train.batch_size": 100, "train.log_every": 500, "train.evaluate_every": 400_000,
        "train.sample_every": 50_000, "train.checkpoint_every": 10_000,
    }
    smoke = {
        "data.train_examples": 500, "data.test_examples": 200,
        "encoder.hidden": (16,), "decoder.hidden": (16,), "samples": 2,
        "evaluators": {"log_likelihood": {"samples": 10, "examples": 20}, "latents": {"examples": 50, "samples": 20}},
        "train.steps": 20, "train.log_every": 10, "train.evaluate_every": 20, "train.sample_every": 20,
        "train.checkpoint_every": 20,
    }
    rows = {f"{name}{k}": {"objective.name": objective, "samples": k}
            for name, objective in OBJECTIVES.items() for k in (1, 5, 50)}
    return choose(variant, {
        "": full, **rows, "cpu": cpu, **{f"cpu_{name}": cpu | row for name, row in rows.items()}, "short": short,
        "steps400k": steps400k, "short_steps400k": steps400k | short | {"optimizer.learning_rate": 1e-3},
        "smoke": smoke,
    })


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of a table with one of its protocols: "burda_one_layer_cpu", "iwae_estimators_full", ..."""
    return sweep_of(TABLES, name)
