"""Disentanglement on shapes with known factors: the VAE, beta-VAE, beta-TCVAE, FactorVAE and DIP-VAE side by side.

    python scripts/train.py --config=experiments/vae/shapes.py:tc6

The default is the VAE (beta = 1). Variants: `beta4` (Higgins et al. 2017), `tc6` (Chen et al. 2018, beta = 6), `factor`
(Kim & Mnih 2018, gamma = 10), `dip_i` and `dip_ii` (Kumar et al. 2018, lambda_od = 10); `cpu`, `cpu_beta4`, `cpu_tc6`,
... are their reduced forms.

64 x 64 images from `gen/data/shapes.py`; 4096-1200-1200-10 with ReLU and 10-1200-1200-1200-4096 with tanh, Bernoulli
likelihood, batch 2,048 and Adam 1e-3, as in the code of beta-TCVAE for dSprites, which takes 50 epochs of 737,280
images, 18,000 steps; 10,800 steps of other images are ours. FactorVAE's discriminator has the six layers of 1,000 units
and the optimizer of disentanglement_lib (with one logit in place of two), and the penalties of DIP-VAE the factors of
its study, lambda_d = 10 lambda_od and lambda_od; that study trains convolutions on batches of 64. Scores are on 5,000
test images. How `:cpu` differs is in `TABLES`:

    python scripts/reproduce.py --table=shapes --protocol=cpu

`:cpu` learns at 3e-3: at 1e-3 two of three seeds of beta-TCVAE ended with latents that mix x, y and scale (MIG 0.02 and
0.04), at 3e-3 they turn towards the factors while they train.
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

METHODS = {
    "beta4": {"objective.beta": 4.0},
    "tc6": {"regularizers": {"total_correlation": {"weight": 5.0}}},
    "factor": {"regularizers": {"factor": {"weight": 10.0}}},
    "dip_i": {"regularizers": {"dip_i": {"weight": 10.0, "diagonal": 10.0}}},
    "dip_ii": {"regularizers": {"dip_ii": {"weight": 10.0, "diagonal": 1.0}}},
}
TABLES = {
    "shapes": Table(
        title="Disentanglement on shapes with known factors",
        source="none: the papers' images are dSprites, whose orientations are not identifiable for squares",
        rows={
            "VAE": {}, "beta-VAE, beta = 4": METHODS["beta4"],
            "beta-TCVAE, beta = 6": {"regularizers.total_correlation.weight": 5.0},
            "FactorVAE, gamma = 10": {"regularizers.factor.weight": 10.0},
            "DIP-VAE-I": {"regularizers.dip_i.weight": 10.0, "regularizers.dip_i.diagonal": 10.0},
            "DIP-VAE-II": {"regularizers.dip_ii.weight": 10.0, "regularizers.dip_ii.diagonal": 1.0},
        },
        metrics={
            "elbo": Metric("ELBO (nats)", digits=1), "mig": Metric("MIG", digits=3), "sap": Metric("SAP", digits=3),
            "dci_disentanglement": Metric("DCI", digits=3), "factor_score": Metric("FactorVAE score", digits=3),
        },
        published={},
        seeds={"cpu": 3, "full": 10},
        protocols={"cpu": "cpu", "full": ""},
        differences={
            "cpu": "32 x 32 images in place of 64 x 64, 256 units a layer, two of them on either side, in place of "
                   "1200, 12,000 steps of batch 128 at 3e-3 in place of 10,800 of 2,048 at 1e-3.",
            "full": "networks and batch of beta-TCVAE's code for all; images and length are ours.",
        },
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; `cpu*` is for two cores, `smoke` a run of seconds."""
    full = ConfigDict({
        "family": "vae",
        "data": {"name": "shapes", "size": 64, "examples": 100_000, "range": "unit"},
        "latents": 10,
        "encoder": {"name": "mlp", "hidden": (1200, 1200)},
        "decoder": {"name": "mlp", "hidden": (1200, 1200, 1200), "activation": "tanh"},
        "likelihood": {"name": "bernoulli"},
        "objective": {"name": "elbo", "beta": 1.0},
        "regularizers": {},
        "optimizer": {"name": "adam", "learning_rate": 1e-3},
        "discriminator": {"name": "mlp", "hidden": (1000,) * 6, "activation": "leaky_relu"},
        "discriminator_optimizer": {"name": "adam", "learning_rate": 1e-4, "b1": 0.5, "b2": 0.9},
        "evaluators": {"latents": {}, "mig": {}, "sap": {}, "dci": {}, "factor_score": {}},
        "train": {
            "steps": 10_800, "batch_size": 2_048, "log_every": 100, "evaluate_every": 5_400, "sample_every": 1_800,
            "checkpoint_every": 900,
        },
    })
    cpu = {
        "data.size": 32, "data.examples": 50_000, "encoder.hidden": (256, 256), "decoder.hidden": (256, 256),
        "discriminator.hidden": (200, 200, 200), "optimizer.learning_rate": 3e-3,
        "train.steps": 12_000, "train.batch_size": 128,
        "train.evaluate_every": 12_000, "train.sample_every": 3_000, "train.checkpoint_every": 1_500,
    }
    smoke = METHODS["factor"] | {
        "data.size": 16, "data.examples": 200, "data.test_examples": 200, "latents": 3, "encoder.hidden": (16,),
        "decoder.hidden": (16,), "discriminator.hidden": (8,), "train.batch_size": 16, "train.steps": 4,
        "train.log_every": 2, "train.evaluate_every": 4, "train.sample_every": 4, "train.checkpoint_every": 4,
        "evaluators": {"latents": {"samples": 20}, "mig": {"examples": 200, "samples": 20}, "sap": {"examples": 200},
                       "dci": {"examples": 200}, "factor_score": {"votes": 20}},
    }
    reduced = {f"cpu_{name}": cpu | method for name, method in METHODS.items()}
    return choose(variant, {"": full, **METHODS, "cpu": cpu, **reduced, "smoke": smoke})


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of a table with one of its protocols: "shapes_cpu" or "shapes_full"."""
    return sweep_of(TABLES, name)
