"""Wasserstein GANs on MNIST: gradient penalty (Gulrajani et al. 2017, algorithm 1) or weight clipping.

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train.py --config=experiments/gan/wgan_gp.py
    python scripts/train.py --config=experiments/gan/wgan_gp.py:one_sided     only norms above 1 cost
    python scripts/train.py --config=experiments/gan/wgan_gp.py:clip          Arjovsky et al. 2017, algorithm 1

Penalty 10, five critic steps, Adam 1e-4 with beta 0 and 0.9, batch 64, no batch norm in the critic; the clipped one has
RMSProp 5e-5 and weights in [-0.01, 0.01]. The papers print no table for MNIST. `discriminator_loss` is minus the
estimated distance. How `cpu` differs is in `TABLES`:

    python scripts/reproduce.py --table=wgan --protocol=cpu
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

RMSPROP = {"name": "rmsprop", "learning_rate": 5e-5}
TABLES = {
    "wgan": Table(
        title="Wasserstein GANs on MNIST",
        source="none: the papers print no table for MNIST",
        rows={
            "WGAN, clipped weights": {},
            "WGAN-GP": {"penalties.wgan_gp.one_sided": False},
            "WGAN-GP, one-sided": {"penalties.wgan_gp.one_sided": True},
        },
        metrics={
            "fid_lenet_10k_test": Metric("FID, LeNet, 10,000 samples", digits=1),
            **{f"{name}_lenet_10k_test": Metric(name) for name in ("precision", "recall")},
        },
        published={},
        seeds={"cpu": 1, "full": 3},
        protocols={"cpu": "cpu", "full": ""},
        differences={
            "cpu": "3,000 generator steps in place of 100,000, width 16 in place of 64; and as in full.",
            "full": "features of a LeNet.",
        },
        variants={"WGAN, clipped weights": {"cpu": "cpu_clip", "full": "clip"}},
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variants `one_sided`, `clip`, `cpu`, `cpu_clip`, `smoke`."""
    optimizer = {"name": "adam", "learning_rate": 1e-4, "b1": 0.0, "b2": 0.9}
    full = ConfigDict({
        "family": "gan",
        "data": {"name": "mnist", "range": "symmetric"},
        "latents": 128,
        "critic_steps": 5,
        "weight_clip": 0.0,
        "generator": {"name": "dcgan", "width": 64},
        "discriminator": {"name": "dcgan", "width": 64, "batch_norm": False},
        "loss": {"name": "wasserstein"},
        "penalties": {"wgan_gp": {"weight": 10.0}},
        "generator_optimizer": optimizer,
        "discriminator_optimizer": optimizer,
        "evaluators": {"fid": {}, "prdc": {}},
        "train": {
            "steps": 100_000, "batch_size": 64, "log_every": 100, "evaluate_every": 5_000, "sample_every": 5_000,
            "checkpoint_every": 5_000,
        },
    })
    clip = {
        "penalties": {}, "weight_clip": 0.01, "generator_optimizer": RMSPROP, "discriminator_optimizer": RMSPROP,
    }
    cpu = {
        "generator.width": 16, "discriminator.width": 16, "train.steps": 3_000, "train.log_every": 20,
        "train.evaluate_every": 3_000, "train.sample_every": 500, "train.checkpoint_every": 500,
    }
    smoke = {
        "data": {"name": "digits", "range": "symmetric"}, "evaluators": {}, "generator.width": 2,
        "discriminator.width": 2, "train.batch_size": 8, "train.steps": 2, "train.log_every": 1,
        "train.evaluate_every": 2, "train.sample_every": 2, "train.checkpoint_every": 2,
    }
    one_sided = {"penalties": {"wgan_gp": {"weight": 10.0, "one_sided": True}}}
    return choose(variant, {
        "": full, "one_sided": one_sided, "clip": clip, "cpu": cpu, "cpu_clip": cpu | clip, "smoke": smoke,
    })


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of the table with one of its protocols, without the clipped one: "wgan_cpu" or "wgan_full"."""
    return sweep_of(TABLES, name)
