"""GANs side by side on the InfoGAN networks, and a VAE on the same (Lucic et al. 2018, "Are GANs created equal?").

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train_classifier.py --dataset=mnist
    python scripts/train.py --config=experiments/gan/lucic.py                non-saturating
    python scripts/train.py --config=experiments/gan/lucic.py:wgan_gp        minimax, least_squares, wgan, dragan
    python scripts/train.py --config=experiments/gan/lucic.py:began          vae
    python scripts/train.py --config=experiments/gan/lucic.py:vae_cpu        reduced; cpu, wgan_gp_cpu, ..., vae_short
    ... --config.data.name=fashion_mnist

Protocol (seen in the paper and in the first releases of google/compare_gan): z of 64 uniform values, normal ones for
the VAE, batch 64, Adam, 20 epochs = 18,750 steps of the discriminator, of which every fifth has one of the generator
where the critic makes five; penalty 10 for WGAN-GP and DRAGAN, weights in [-0.01, 0.01] for WGAN; BEGAN's discriminator
is an autoencoder. There each model's options are searched, and FID is on Inception features; here Adam is 2e-4 with
beta_1 0.5 for all, BEGAN's gamma 0.75, and the features are a LeNet's, so that only the order and the spread can be
compared.

What else that code does otherwise: leaky ReLU in the generator (ReLU here, as in InfoGAN); biases before batch norm,
whose eps is 1e-3 and momentum 0.999; batch norm in the critics of GAN, LSGAN and WGAN is searched; DRAGAN's penalty is
on the gradient of sigmoid(logit), and both penalties have 1e-4 under the root; BEGAN's autoencoder has no layers of
1,024 units (1.3 million parameters), its k has no bounds, and five critic steps are its default. How `cpu` and `short`
differ is in `TABLES`:

    python scripts/reproduce.py --table=lucic_mnist --protocol=cpu           and lucic_fashion; --protocol=short
"""

from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

STEPS = 18_750
CRITIC = {
    "loss.name": "wasserstein", "critic_steps": 5, "discriminator.batch_norm": False, "train.steps": STEPS // 5,
    **{f"train.{name}_every": STEPS // 25 for name in ("evaluate", "sample", "checkpoint")},
}
METHODS = {
    "minimax": {"loss.name": "minimax"},
    "least_squares": {"loss.name": "least_squares"},
    "wgan": CRITIC | {"weight_clip": 0.01},
    "wgan_gp": CRITIC | {"penalties": {"wgan_gp": {"weight": 10.0}}},
    "dragan": {"penalties": {"dragan": {"weight": 10.0}}, "discriminator.batch_norm": False},
}
SHORT = {
    "train.steps": 1_000, "train.log_every": 20, "train.evaluate_every": 1_000, "train.sample_every": 200,
    "train.checkpoint_every": 200,
}
SMOKE = {
    "data": {"name": "digits", "range": "unit"}, "evaluators": {}, "train.batch_size": 8, "train.steps": 2,
    "train.log_every": 1, "train.evaluate_every": 2, "train.sample_every": 2, "train.checkpoint_every": 2,
}
ROWS = {
    "minimax GAN": {"loss.name": "minimax"},
    "non-saturating GAN": {"loss.name": "non_saturating"},
    "LSGAN": {"loss.name": "least_squares"},
    "WGAN": {},
    "WGAN-GP": {},
    "DRAGAN": {"penalties.dragan.weight": 10.0, "discriminator.batch_norm": False},
    "BEGAN": {},
    "VAE": {},
}
OWN = {"WGAN": "wgan", "WGAN-GP": "wgan_gp", "BEGAN": "began", "VAE": "vae"}
"""Rows that are variants of their own."""


def table(title: str, data: str, seeds: int) -> Table:
    """The eight models on a data set, with these seeds of the reduced protocol."""
    return Table(
        title=f"GANs and a VAE side by side on {title}",
        source="none that compares: those of Lucic et al. 2018 are on Inception features",
        rows={name: row | {"data.name": data} for name, row in ROWS.items()},
        metrics={
            "fid_lenet_10k_test": Metric("FID, LeNet, 10,000 samples", digits=1),
            **{f"{name}_lenet_10k_test": Metric(name) for name in ("precision", "recall", "density", "coverage")},
        },
        published={},
        seeds={"cpu": seeds, "short": 1, "full": 3},
        protocols={"cpu": "cpu", "short": "short", "full": ""},
        differences={
            "short": "1,000 steps of the generator, networks of a quarter of the width, and as in full.",
            "cpu": "networks of a quarter of the width, and as in full.",
            "full": "Adam 2e-4 with beta_1 0.5 for all, gamma 0.75, where each model's options were searched; "
                    "features of a LeNet.",
        },
        variants={row: {"cpu": f"{name}_cpu", "short": f"{name}_short", "full": name} for row, name in OWN.items()},
    )


TABLES = {
    "lucic_mnist": table("MNIST", "mnist", seeds=3),
    "lucic_fashion": table("Fashion-MNIST", "fashion_mnist", seeds=1),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variants are `METHODS`, `began`, `vae`, each also with `_cpu` and `_short`; `smoke`."""
    name = next((name for name in ("vae", "began") if variant.startswith(name)), "")
    full = {"vae": vae, "began": began, "": gan}[name]()
    parts = [part for part in ("encoder", "decoder", "generator", "discriminator", "reconstruction") if part in full]
    cpu = sizes(parts, width=16, hidden=256)
    if name:
        return choose(variant.removeprefix(name).lstrip("_"), {"": full, "cpu": cpu, "short": cpu | SHORT})
    reduced = {f"{method}_{size}": options | changes
               for method, options in METHODS.items() for size, changes in (("cpu", cpu), ("short", cpu | SHORT))}
    smoke = SMOKE | sizes(parts, width=2, hidden=8)
    return choose(variant, {"": full, "cpu": cpu, "short": cpu | SHORT, "smoke": smoke} | METHODS | reduced)


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of a table with one of its protocols, "lucic_mnist_cpu", ..., but for the rows of `OWN`."""
    return sweep_of(TABLES, name)


def sizes(parts: Sequence[str], **options: int) -> dict[str, int]:
    """The overrides that give all these networks the options."""
    return {f"{part}.{name}": value for part in parts for name, value in options.items()}


def common() -> dict:
    """What all models share."""
    return {
        "latents": 64,
        "evaluators": {"fid": {}, "prdc": {}},
        "train": {
            "steps": STEPS, "batch_size": 64, "log_every": 75, "evaluate_every": STEPS // 5,
            "sample_every": STEPS // 5, "checkpoint_every": STEPS // 5,
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


def began() -> ConfigDict:
    """The same with an autoencoder as the discriminator, whose loss is an equilibrium of reconstruction errors."""
    return ConfigDict(gan().to_dict() | {
        "loss": {"name": "boundary_equilibrium", "gamma": 0.75},
        "reconstruction": {"name": "infogan", "width": 64, "hidden": 1024},
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
