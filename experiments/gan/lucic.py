"""GANs side by side on the InfoGAN networks, and a VAE on the same (Lucic et al. 2018, "Are GANs created equal?").

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train_classifier.py --dataset=mnist
    python scripts/train.py --config=experiments/gan/lucic.py                non-saturating
    python scripts/train.py --config=experiments/gan/lucic.py:wgan_gp        minimax, least_squares, wgan, dragan, vae
    python scripts/train.py --config=experiments/gan/lucic.py:vae_cpu        reduced; cpu, wgan_gp_cpu, ...
    ... --config.data.name=fashion_mnist

Protocol (seen): z of 64 uniform values, batch 64, Adam, 20 epochs = 18,750 steps; five critic steps and penalty 10 for
WGAN-GP, weights in [-0.01, 0.01] for WGAN, penalty 10 for DRAGAN. There each model's learning rate is searched, and
FID is on Inception features; here Adam is 2e-4 with beta_1 0.5 for all and the features are a LeNet's, so that only
the order and the spread can be compared. Their eighth model, BEGAN, is missing: its discriminator is an autoencoder.
How `cpu` differs is in `TABLES`:

    python scripts/reproduce.py --table=lucic --protocol=cpu
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

METHODS = {
    "minimax": {"loss.name": "minimax"},
    "least_squares": {"loss.name": "least_squares"},
    "wgan": {"loss.name": "wasserstein", "weight_clip": 0.01, "critic_steps": 5, "discriminator.batch_norm": False},
    "wgan_gp": {
        "loss.name": "wasserstein", "penalties": {"wgan_gp": {"weight": 10.0}}, "critic_steps": 5,
        "discriminator.batch_norm": False,
    },
    "dragan": {"penalties": {"dragan": {"weight": 10.0}}, "discriminator.batch_norm": False},
}
NARROW = {"width": 16, "hidden": 256}
CPU = {
    "train.steps": 2_000, "train.log_every": 20, "train.evaluate_every": 500, "train.sample_every": 500,
    "train.checkpoint_every": 500,
}
SMOKE = {
    "data": {"name": "digits", "range": "unit"}, "evaluators": {}, "train.batch_size": 8, "train.steps": 2,
    "train.log_every": 1, "train.evaluate_every": 2, "train.sample_every": 2, "train.checkpoint_every": 2,
}
TABLES = {
    "lucic": Table(
        title="GANs and a VAE side by side on MNIST",
        source="none that compares: those of Lucic et al. 2018 are on Inception features",
        rows={
            "minimax GAN": {"loss.name": "minimax"},
            "non-saturating GAN": {"loss.name": "non_saturating"},
            "LSGAN": {"loss.name": "least_squares"},
            "WGAN": METHODS["wgan"],
            "WGAN-GP": {
                "loss.name": "wasserstein", "penalties.wgan_gp.weight": 10.0, "critic_steps": 5,
                "discriminator.batch_norm": False,
            },
            "DRAGAN": {"penalties.dragan.weight": 10.0, "discriminator.batch_norm": False},
            "VAE": {},
        },
        metrics={
            "fid_lenet_10k_test": Metric("FID, LeNet, 10,000 samples"),
            **{f"{name}_lenet_10k_test": Metric(name) for name in ("precision", "recall", "density", "coverage")},
        },
        published={},
        seeds={"cpu": 3, "full": 3},
        protocols={"cpu": "cpu", "full": ""},
        differences={
            "cpu": "2,000 steps in place of 18,750, networks of a quarter of the width, and as in full.",
            "full": "Adam 2e-4 with beta_1 0.5 for all, where each model's learning rate was searched; features of a "
                    "LeNet.",
        },
        variants={"VAE": {"cpu": "vae_cpu", "full": "vae"}},
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variants are the methods above and `vae`, each also as `<method>_cpu`, `cpu` and `smoke`."""
    if variant.startswith("vae"):
        parts = ("encoder", "decoder")
        return choose(variant.removeprefix("vae").lstrip("_"), {"": vae(), "cpu": CPU | sizes(parts, **NARROW)})
    parts = ("generator", "discriminator")
    cpu, smoke = CPU | sizes(parts, **NARROW), SMOKE | sizes(parts, width=2, hidden=8)
    reduced = {f"{name}_cpu": cpu | method for name, method in METHODS.items()}
    return choose(variant, {"": gan(), "cpu": cpu, "smoke": smoke} | METHODS | reduced)


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of a table with one of its protocols: "lucic_cpu" or "lucic_full", without the VAE."""
    return sweep_of(TABLES, name)



def sizes(parts: tuple[str, ...], **options: int) -> dict[str, int]:
    """The overrides that give all these networks the options."""
    return {f"{part}.{name}": value for part in parts for name, value in options.items()}


def common() -> dict:
    """What all models share."""
    return {
        "latents": 64,
        "evaluators": {"fid": {}, "prdc": {}},
        "train": {
            "steps": 18_750, "batch_size": 64, "log_every": 75, "evaluate_every": 3_750, "sample_every": 3_750,
            "checkpoint_every": 3_750,
        },
    }


def gan() -> ConfigDict:
    """The non-saturating GAN."""
    optimizer = {"name": "adam", "learning_rate": 2e-4, "b1": 0.5}
    return ConfigDict(common() | {
        "family": "gan",
        "data": {"name": "mnist", "range": "unit"},
        "latent_distribution": "uniform",
        "critic_steps": 1,
        "weight_clip": 0.0,
        "generator": {"name": "infogan", "width": 64, "hidden": 1024},
        "discriminator": {"name": "infogan", "width": 64, "hidden": 1024, "batch_norm": True},
        "loss": {"name": "non_saturating"},
        "penalties": {},
        "generator_optimizer": optimizer,
        "discriminator_optimizer": optimizer,
    })


def vae() -> ConfigDict:
    """The VAE, its decoder the generator and its encoder the discriminator."""
    return ConfigDict(common() | {
        "family": "vae",
        "data": {"name": "mnist", "range": "unit"},
        "encoder": {"name": "infogan", "width": 64, "hidden": 1024},
        "decoder": {"name": "infogan", "width": 64, "hidden": 1024},
        "likelihood": {"name": "bernoulli"},
        "objective": {"name": "elbo"},
        "optimizer": {"name": "adam", "learning_rate": 2e-4},
    })
