"""A GAN, a VAE, a VQ-VAE and a diffusion model on the same data, with the same number of FLOPs to train.

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train_classifier.py --dataset=mnist
    python scripts/reproduce.py --table=families_mnist --protocol=cpu       and families_ring, families_grid
    python scripts/train.py --config=experiments/comparison/families.py:mnist_diffusion_cpu

Variants are `<data>_<model>` with data `ring`, `grid`, `mnist` and model `gan`, `vae`, `vqvae` (images alone) and
`diffusion`; `<data>_<model>_cpu` are reduced. All models of a data set train for the same number of FLOPs, `BUDGETS`,
up to a tenth; `--dry_run` prints those of one step. No published row: no paper compares them so.

Measured: modes, high-quality share, reverse KL, precision and recall of points; Frechet and kernel
distances, precision and recall on a LeNet's features of images; the bound in nats, or in bits per dimension with 256
levels of grey; examples that training takes and samples that the model gives in a second, on the machine that the
table names.
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.errors import lookup
from gen.tables import Metric, Table, sweep_of

BUDGETS = {
    "cpu": {"ring": 1.5e12, "grid": 3e12, "mnist": 1e13},
    "full": {"ring": 1.5e13, "grid": 3e13, "mnist": 1e15},
}
"""FLOPs of a run's training, by protocol and data set."""

STEP_FLOPS = {
    "points": {"gan": 2.58e8, "vae": 1.05e8, "diffusion": 1.41e8},
    "images": {"gan": 1.93e9, "vae": 1.18e9, "vqvae": 1.60e9, "diffusion": 6.16e9},
}
"""FLOPs of one step of each model."""

ADAM = {"name": "adam", "learning_rate": 1e-3}
GAN_ADAM = {"name": "adam", "learning_rate": 5e-4, "b1": 0.0, "b2": 0.99}
DCGAN_ADAM = {"name": "adam", "learning_rate": 2e-4, "b1": 0.5}
MLP = {"name": "mlp", "hidden": (128, 128, 128)}
POINT_MODELS = {
    "gan": {
        "family": "gan", "latents": 2, "generator": MLP, "discriminator": MLP, "loss": {"name": "non_saturating"},
        "penalties": {"r1": {"weight": 0.1}}, "generator_optimizer": GAN_ADAM, "discriminator_optimizer": GAN_ADAM,
        "ema_half_life": 50_000.0,
    },
    "vae": {
        "family": "vae", "latents": 2, "encoder": MLP, "decoder": MLP,
        "likelihood": {"name": "normal_shared", "initial_scale": 0.1}, "objective": {"name": "elbo"}, "optimizer": ADAM,
    },
    "diffusion": {
        "family": "diffusion", "timesteps": 200, "prediction": "v", "denoiser": MLP,
        "noise_schedule": {"name": "learned"}, "loss": {"name": "bound"}, "sampler": {"name": "ddpm"},
        "optimizer": ADAM, "ema_half_life": 50_000.0,
    },
}
CONV = {"name": "dcgan", "width": 32}
RESIDUAL = {"name": "residual", "width": 32, "inner": 16}
IMAGE_MODELS = {
    "gan": {
        "family": "gan", "data": {"range": "symmetric"}, "latents": 64, "generator": CONV, "discriminator": CONV,
        "loss": {"name": "non_saturating"}, "generator_optimizer": DCGAN_ADAM, "discriminator_optimizer": DCGAN_ADAM,
        "ema_half_life": 20_000.0,
    },
    "vae": {
        "family": "vae", "data": {"range": "unit"}, "latents": 32, "encoder": CONV, "decoder": CONV,
        "likelihood": {"name": "discretized_logistic"}, "objective": {"name": "elbo"}, "optimizer": ADAM,
    },
    "vqvae": {
        "family": "vqvae", "data": {"range": "unit"}, "codes": 128, "code_size": 32, "encoder": RESIDUAL,
        "decoder": RESIDUAL, "prior": {"name": "pixelcnn", "width": 32, "blocks": 3}, "optimizer": ADAM,
        "prior_optimizer": ADAM,
    },
    "diffusion": {
        "family": "diffusion", "data": {"range": "symmetric"}, "prediction": "v",
        "denoiser": {"name": "unet", "width": 32, "multiples": (1, 2), "depth": 1, "patch": 2, "fourier": (4, 6, 8)},
        "noise_schedule": {"name": "learned"}, "loss": {"name": "bound"}, "bound_levels": 2, "timesteps": 1000,
        "sampler": {"name": "ddim", "steps": 25, "clip": True}, "optimizer": ADAM, "ema_half_life": 10_000.0,
    },
}
MODELS = {"points": POINT_MODELS, "images": IMAGE_MODELS}
EVALUATORS = {
    "points": {"modes": {}, "prdc": {"samples": 5_000, "features": "raw"}, "speed": {}},
    "images": {"fid": {"samples": 5_000}, "kid": {"samples": 5_000}, "prdc": {"samples": 5_000}, "speed": {}},
}
DATA = {
    "ring": {"name": "ring", "modes": 8, "radius": 1.0, "std": 0.01},
    "grid": {"name": "grid"},
    "mnist": {"name": "mnist", "binarize": "none"},
}
NAMES = {"gan": "GAN", "vae": "VAE", "vqvae": "VQ-VAE", "diffusion": "diffusion"}
SPEED = {
    "images_per_s": Metric("trained / s", digits=0), "samples_per_s": Metric("samples / s", digits=0),
}
POINTS = {
    "modes": Metric("modes", digits=1), "high_quality": Metric("high quality (%)", 100, digits=1),
    "reverse_kl": Metric("reverse KL (nats)"),
    "precision_raw_5k_test": Metric("precision"), "recall_raw_5k_test": Metric("recall"), "elbo": Metric("ELBO (nats)"),
}
IMAGES = {
    "fid_lenet_5k_test": Metric("FID, LeNet, 5,000 samples", digits=1), "kid_lenet_5k_test": Metric("KID", digits=3),
    "precision_lenet_5k_test": Metric("precision"), "recall_lenet_5k_test": Metric("recall"),
    "bits_per_dim": Metric("bits / dim"),
}


def kind(data: str) -> str:
    """"images" or "points"."""
    return "images" if data == "mnist" else "points"


def table(data: str, metrics: dict[str, Metric], **seeds: int) -> Table:
    """The table of a data set: a row for each model."""
    models = STEP_FLOPS[kind(data)]
    return Table(
        title=f"Families side by side on {data}, with the same FLOPs of training",
        source="none: no paper compares them with the same budget",
        rows={NAMES[model]: {} for model in models},
        metrics=metrics | SPEED,
        published={},
        seeds=seeds,
        protocols={"cpu": f"{data}_gan_cpu", "full": f"{data}_gan"},
        differences={protocol: f"{BUDGETS[protocol][data]:.1e} FLOPs a run." for protocol in BUDGETS},
        variants={NAMES[model]: {"cpu": f"{data}_{model}_cpu", "full": f"{data}_{model}"} for model in models},
    )


TABLES = {
    "families_ring": table("ring", POINTS, cpu=3, full=10),
    "families_grid": table("grid", POINTS, cpu=3, full=10),
    "families_mnist": table("mnist", IMAGES, cpu=1, full=3),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; without a variant the GAN on the ring, `smoke` a run of seconds of it."""
    smoke = {"train.steps": 40, "train.log_every": 10, "train.evaluate_every": 20, "train.sample_every": 20,
             "train.checkpoint_every": 20}
    if variant in ("", "smoke"):
        return choose(variant, {"": config("ring", "gan", "full"), "smoke": smoke})
    named = {f"{data}_{model}{suffix}": (data, model, protocol) for data in DATA for model in STEP_FLOPS[kind(data)]
             for protocol, suffix in (("full", ""), ("cpu", "_cpu"))}
    return config(*lookup(named, variant, "variant"))


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of a table with one of its protocols, those of its first row: "families_ring_cpu", ..."""
    return sweep_of(TABLES, name)


def config(data: str, model: str, protocol: str) -> ConfigDict:
    """One model on one data set."""
    steps = round(BUDGETS[protocol][data] / STEP_FLOPS[kind(data)][model] / 800) * 800
    parts = MODELS[kind(data)][model]
    return ConfigDict(parts | {
        "data": DATA[data] | parts.get("data", {}),
        "evaluators": EVALUATORS[kind(data)],
        "schedules": {"learning_rate": {"name": "linear", "steps": steps, "final": 0.1}},
        "train": {
            "steps": steps, "batch_size": 64 if data == "mnist" else 256, "log_every": 100, "evaluate_every": steps,
            "sample_every": steps // 4, "checkpoint_every": steps // 8,
        },
    })
