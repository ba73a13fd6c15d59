"""The VampPrior against the standard normal prior on statically binarised MNIST: Tomczak & Welling 2018.

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train.py --config=experiments/vae/vamp.py
    python scripts/train.py --config=experiments/vae/vamp.py:standard

Gated 784-300-300-40 and back, kernels N(0, 2 / fan_in), log-variances clipped to [-6, 2], 500 pseudo-inputs, batch 100,
Adam 5e-4 on gradients that are normalised tensor by tensor, a KL warm-up that rises with each of 100 epochs: as in the
released code. The published test log-likelihood and the differences are in `TABLES`:

    python scripts/reproduce.py --table=vamp --protocol=cpu
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

EPOCH, CPU_EPOCH = 500, 600
TABLES = {
    "vamp": Table(
        title="The VampPrior on statically binarised MNIST",
        source="Tomczak & Welling 2018, as quoted by later work",
        rows={"VAE, standard prior": {"prior.name": "standard_normal"}, "VAE, VampPrior": {}},
        metrics={
            "log_likelihood_iw5k": Metric("log-likelihood (nats)", instead={"cpu": "log_likelihood_iw500"}),
            "active_units": Metric("active units", digits=1),
        },
        published={"VAE, VampPrior": {"log_likelihood_iw5k": (-85.57, None)}},
        seeds={"cpu": 1, "full": 3},
        protocols={"cpu": "cpu", "full": ""},
        differences={
            "cpu": "25 epochs of all 60,000 training images with a warm-up of 5 on a line, Adam at 1e-3 on gradients "
                   "as they are; kernels of variance 1 / fan_in, log-variances not clipped; 200 pseudo-inputs; 500 "
                   "samples of the likelihood; and as in full.",
            "full": "binarised once with a fixed seed, not Larochelle's draw; 500 epochs, there at most 2,000, stopped "
                    "after 50 without a better bound on 10,000 validation images; pseudo-inputs begin at training "
                    "images and keep their range by a sigmoid, there at N(0.05, 0.01) and by clipping; biases begin at "
                    "0; both halves of a gated layer are one tensor to the optimizer; probabilities of pixels are not "
                    "clipped to [1e-5, 1 - 1e-5].",
        },
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; `cpu*` is for two cores, `smoke` a run of seconds."""
    network = {"name": "gated_mlp", "hidden": (300, 300), "kernel_init": "kaiming_normal"}
    full = ConfigDict({
        "family": "vae",
        "data": {"name": "mnist", "range": "unit", "binarize": "static", "train_examples": 50_000},
        "latents": 40,
        "schedules": {"kl_weight": {"name": "stairs", "steps": 100 * EPOCH, "count": 100}},
        "encoder": network,
        "decoder": network,
        "posterior": {"name": "normal", "kernel_init": "kaiming_normal", "log_variance_bounds": (-6.0, 2.0)},
        "prior": {"name": "vamp", "components": 500},
        "likelihood": {"name": "bernoulli"},
        "objective": {"name": "elbo"},
        "optimizer": {"name": "normalized_adam", "learning_rate": 5e-4},
        "evaluators": {"log_likelihood": {"samples": 5_000}, "latents": {}},
        "train": {
            "steps": 500 * EPOCH, "batch_size": 100, "log_every": EPOCH, "evaluate_every": 500 * EPOCH,
            "sample_every": 10 * EPOCH, "checkpoint_every": 10 * EPOCH,
        },
    })
    cpu = {
        "data.train_examples": 0,
        "schedules": {"kl_weight": {"name": "warm_up", "steps": 5 * CPU_EPOCH}},
        "optimizer": {"name": "adam", "learning_rate": 1e-3},
        **{f"{part}.kernel_init": "lecun_normal" for part in ("encoder", "decoder", "posterior")},
        "posterior.log_variance_bounds": (), "prior.components": 200,
        "evaluators": {"log_likelihood": {"samples": 500}, "latents": {}}, "train.steps": 25 * CPU_EPOCH,
        "train.log_every": CPU_EPOCH // 5, "train.evaluate_every": 25 * CPU_EPOCH,
        "train.sample_every": 5 * CPU_EPOCH, "train.checkpoint_every": CPU_EPOCH,
    }
    standard = {"prior.name": "standard_normal"}
    reduced = {name: value for name, value in cpu.items() if not name.startswith("prior.")} | standard
    smoke = {
        "data.train_examples": 500, "data.test_examples": 200,
        "encoder.hidden": (16,), "decoder.hidden": (16,), "prior.components": 5,
        "evaluators": {"log_likelihood": {"samples": 10, "examples": 20}, "latents": {"examples": 50, "samples": 20}},
        "train.steps": 20, "train.log_every": 10, "train.evaluate_every": 20, "train.sample_every": 20,
        "train.checkpoint_every": 20,
    }
    return choose(variant, {"": full, "standard": standard, "cpu": cpu, "cpu_standard": reduced, "smoke": smoke})


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of a table with one of its protocols: "vamp_cpu" or "vamp_full"."""
    return sweep_of(TABLES, name)
