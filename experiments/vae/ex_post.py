"""Autoencoders that draw by a density fitted to their codes afterwards (Ghosh et al. 2020; Dai & Wipf 2019).

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train_classifier.py --dataset=mnist
    python scripts/train.py --config=experiments/vae/ex_post.py --workdir=/tmp/ex_post
    python scripts/reproduce.py --table=ex_post --protocol=cpu

A VAE, a plain autoencoder, and regularized autoencoders (RAE), all of the same networks. Each draws its latents from
N(0, I), from ten normals, from a RealNVP and from a second VAE that were fitted to the codes of its training images.
Ghosh et al. have convolutional networks and Inception's FID, so that none of their numbers stands beside these; their
RAE-L2 penalises the decoder's weights, that of here decays those of both networks, as AdamW does.

Variant `cpu`: 10,000 of 100,000 steps.
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

POINT = {"posterior.name": "point", "objective.name": "rae"}
FID = {"features": "lenet"}
TABLES = {
    "ex_post": Table(
        title="Autoencoders of MNIST, their latents drawn from N(0, I) and from densities of their codes",
        source="none: the papers' networks and features are others",
        rows={
            "VAE": {},
            "autoencoder": POINT | {"objective.beta": 0.0},
            "RAE": POINT | {"objective.beta": 0.1},
            "RAE-L2": POINT | {"objective.beta": 0.1, "optimizer.name": "adamw", "optimizer.weight_decay": 0.01,
                               "optimizer.decayed": "kernels"},
        },
        metrics={
            "fid_lenet_10k_test": Metric("FID, N(0, I)", digits=1),
            "fid_mixture10_lenet_10k_test": Metric("ten normals", digits=1),
            "fid_flow_lenet_10k_test": Metric("RealNVP", digits=1),
            "fid_second_vae_lenet_10k_test": Metric("a second VAE", digits=1),
            "log_likelihood": Metric("E log p(x|z), nats", digits=1),
        },
        published={},
        seeds={"cpu": 1, "full": 3},
        protocols={"cpu": "cpu", "full": ""},
        differences={"cpu": "10,000 steps in place of 100,000.", "full": "none: this is the experiment."},
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; `cpu` is for two cores, `smoke` a run of seconds."""
    full = ConfigDict({
        "family": "vae",
        "data": {"name": "mnist", "range": "unit", "binarize": "none"},
        "latents": 16,
        "encoder": {"name": "mlp", "hidden": (512, 256)},
        "decoder": {"name": "mlp", "hidden": (256, 512)},
        "likelihood": {"name": "bernoulli"},
        "objective": {"name": "elbo"},
        "optimizer": {"name": "adam", "learning_rate": 1e-3},
        "schedules": {"learning_rate": {"name": "cosine", "steps": 100_000}},
        "evaluators": {"fid": FID, "mixture_fid": FID, "flow_fid": FID, "second_vae_fid": FID},
        "train": {
            "steps": 100_000, "batch_size": 128, "log_every": 100, "evaluate_every": 100_000, "sample_every": 10_000,
            "checkpoint_every": 5_000,
        },
    })
    cpu = {"schedules.learning_rate.steps": 10_000, "train.steps": 10_000, "train.evaluate_every": 10_000,
           "train.sample_every": 5_000}
    raw = {"features": "raw", "samples": 60}
    smoke = {
        "data.train_examples": 256, "data.test_examples": 64, "encoder.hidden": (32,), "decoder.hidden": (32,),
        "latents": 3, "evaluators": {"fid": raw, "mixture_fid": raw | {"components": 2},
                                     "flow_fid": raw | {"steps": 5}, "second_vae_fid": raw | {"steps": 5}},
        "train.batch_size": 16, "train.steps": 4, "train.log_every": 2, "train.evaluate_every": 4,
        "train.sample_every": 4, "train.checkpoint_every": 4,
    }
    return choose(variant, {"": full, "cpu": cpu, "smoke": smoke})


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of a table with one of its protocols: "ex_post_cpu" or "ex_post_full"."""
    return sweep_of(TABLES, name)
