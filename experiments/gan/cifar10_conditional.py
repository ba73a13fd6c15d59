"""Conditional GANs on CIFAR-10 in the protocol of PyTorch-StudioGAN (Kang et al. 2023): DCGAN to BigGAN and StyleGAN2.

    python scripts/prepare_data.py --dataset=cifar10
    python scripts/prepare_weights.py --name=inception
    python scripts/train.py --config=experiments/gan/cifar10_conditional.py                  BigGAN
    python scripts/train.py --config=experiments/gan/cifar10_conditional.py:stylegan2        and the others

`dcgan` (which there has no labels), `sngan`, `biggan`, `biggan_diffaugment`, `stylegan2`. As in
POSTECH-CVLab/PyTorch-StudioGAN, src/configs/CIFAR10: mirrored images, batches of 64, Adam 2e-4 with beta 0.5 and 0.999
and five discriminator steps but for DCGAN (two) and StyleGAN2 (one; 2.5e-3 with beta 0 and 0.99, lazy regularisation),
weights orthogonal at first, FID of 50,000 samples to the training images. Numbers of parameters are those of the
released code. What differs is in `TABLES`, and how `cpu` (`cpu_stylegan2`, ...) does, which needs

    python scripts/train_classifier.py --dataset=cifar10 --network=convnet --steps=6000
    python scripts/reproduce.py --table=cifar10_conditional --protocol=cpu
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

STEPS, CPU_STEPS = 100_000, 5_000
FID = "fid_inception_half_pixel_50k_train"
ADAM = {"name": "adam", "learning_rate": 2e-4, "b1": 0.5, "b2": 0.999}
NORM = {"batch_norm_momentum": 0.9, "batch_norm_epsilon": 1e-4}
HALF_LIFE = 443_579.0
"""Images: 0.9999 is kept in a step of 64."""

AUGMENT = {"color": {}, "translation": {}, "cutout": {}}
DCGAN = {
    "label_embedding": 0, "latents": 128, "critic_steps": 2, "train.steps": 200_000,
    "loss": {"name": "non_saturating"}, "ema_half_life": 0.0,
    "generator": {"name": "sngan", "width": 64, "first_norm": False, "kernel_init": "orthogonal"} | NORM,
    "discriminator": {"name": "deep_conv", "width": 64} | NORM,
}
SNGAN = {
    "label_embedding": 0, "latents": 128, "ema_half_life": 0.0,
    "generator": {"name": "resnet", "width": 256, "gain": 1.0, "kernel_init": "orthogonal", "label_init": "orthogonal"}
    | NORM,
    "discriminator": {"name": "resnet", "width": 128, "gain": 1.0, "kernel_init": "orthogonal",
                      "active_shortcut": True, "spectral_norm": True},
}
STYLEGAN2 = {
    "conditioning": {"name": "mapped", "size": 512, "depth": 8}, "label_embedding": 0, "latents": 512,
    "critic_steps": 1, "bounded": False, "minibatch_stddev": 32, "train.steps": 200_000,
    "loss": {"name": "non_saturating"}, "generator_statistics": "running", "ema_half_life": 500_000.0,
    "ema_rampup": 0.05, "penalties": {"r1": {"weight": 0.005, "every": 16}},
    "generator": {"name": "stylegan2", "width": 1024, "largest": 512, "mapping_depth": 2},
    "discriminator": {"name": "stylegan2", "width": 1024, "largest": 512, "architecture": "orig"},
    "generator_optimizer": {"name": "adam", "learning_rate": 2.5e-3 * 4 / 5, "b1": 0.0, "b2": 0.99 ** (4 / 5)},
    "discriminator_optimizer": {"name": "adam", "learning_rate": 2.5e-3 * 16 / 17, "b1": 0.0, "b2": 0.99 ** (16 / 17)},
}
METHODS = {
    "dcgan": DCGAN, "sngan": SNGAN, "biggan": {},
    "biggan_diffaugment": {"augment": AUGMENT, "train.steps": 200_000}, "stylegan2": STYLEGAN2,
}
NAMES = {"DCGAN": "dcgan", "SNGAN": "sngan", "BigGAN": "biggan", "BigGAN, DiffAugment": "biggan_diffaugment",
         "StyleGAN2": "stylegan2"}
PUBLISHED = {"DCGAN": 48.29, "SNGAN": 9.01, "BigGAN": 4.16, "BigGAN, DiffAugment": 3.35, "StyleGAN2": 3.78}
CPU_EVALUATORS = {"fid": {"features": "convnet"}, "prdc": {"features": "convnet"}}
TABLES = {
    "cifar10_conditional": Table(
        title="Conditional GANs on CIFAR-10: PyTorch-StudioGAN",
        source="seen in the README's figure of POSTECH-CVLab/PyTorch-StudioGAN, one training each",
        rows={row: {} for row in NAMES},
        metrics={FID: Metric("FID", instead={"cpu": "fid_convnet_10k_test"})},
        published={row: {FID: (fid, None)} for row, fid in PUBLISHED.items()},
        seeds={"cpu": 1, "full": 1},
        protocols={"cpu": "cpu", "full": ""},
        differences={
            "cpu": "3,000 (StyleGAN2) to 5,000 steps of one discriminator step, a quarter of the width (StyleGAN2: an "
                   "eighth to a sixteenth); BigGAN's embedding of labels 32 wide, there 128; moving averages of "
                   "half-life 30,000 images (BigGAN) and 20,000 (StyleGAN2), there 443,579 and 500,000; the "
                   "column is the FID of a classifier's features, 10,000 samples, test images, which "
                   "compares with none of the published numbers.",
            "full": "the fakes of a step have the labels of its real images, there labels of their own; the average "
                    "begins with the first step, there with step 1,000 (StyleGAN2: as there); StyleGAN2's lazy R1 is "
                    "added to the gradient of the loss, there it has an optimizer step of its own, and its generator "
                    "moves after the discriminator, there before it; Inception sees images enlarged in float, there by "
                    "PIL's bilinear rule.",
        },
        variants={row: {"cpu": f"cpu_{name}", "full": name} for row, name in NAMES.items() if name != "biggan"},
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variants are `METHODS`, each also as `cpu_<method>`, `cpu` for two cores, `smoke`."""
    unlabelled = variant.removeprefix("cpu_").removeprefix("smoke_") == "dcgan"
    full = ConfigDict({
        "family": "gan",
        "data": {"name": "cifar10", "range": "symmetric", "flip": True},
        "latents": 80,
        **({} if unlabelled else {"conditioning": {"name": "projection"}}),
        "label_embedding": 128,
        "critic_steps": 5,
        "fresh_latents": True,
        "simultaneous": False,
        "joint_batches": False,
        "bounded": True,
        "minibatch_stddev": 0,
        "generator_statistics": "standing",
        "ema_half_life": HALF_LIFE,
        "ema_rampup": 0.0,
        "generator": {"name": "biggan", "width": 96} | NORM,
        "discriminator": {"name": "biggan", "width": 96},
        "loss": {"name": "hinge"},
        "penalties": {},
        "augment": {},
        "generator_optimizer": ADAM,
        "discriminator_optimizer": ADAM,
        "evaluators": {"inception_fid": {"resize": "half_pixel"}},
        "train": {
            "steps": STEPS, "batch_size": 64, "log_every": 100, "evaluate_every": 10_000, "sample_every": 5_000,
            "checkpoint_every": 5_000,
        },
    })
    cpu = {
        "critic_steps": 1, "evaluators": CPU_EVALUATORS, "train.steps": CPU_STEPS, "train.log_every": 50,
        "train.evaluate_every": 1_000, "train.sample_every": 1_000, "train.checkpoint_every": 250,
    }
    reduced = {f"cpu_{name}": method | cpu | narrow(name, 4) for name, method in METHODS.items()}
    smoke = {
        "data.train_examples": 100, "data.test_examples": 20, "evaluators": {}, "train.batch_size": 4,
        "train.steps": 2, "train.log_every": 1, "train.evaluate_every": 2, "train.sample_every": 2,
        "train.checkpoint_every": 2,
    }
    tiny = {f"smoke_{name}": method | smoke | narrow(name, 96) for name, method in METHODS.items()}
    return choose(variant, {"": full, **METHODS, "cpu": reduced["cpu_biggan"], "smoke": tiny["smoke_biggan"],
                            **reduced, **tiny})


def narrow(name: str, factor: int) -> dict[str, Any]:
    """Overrides for networks of this part of the width; of a quarter, StyleGAN2's are an eighth to a sixteenth."""
    if name != "stylegan2":
        widths = {"dcgan": (64, 64), "sngan": (256, 128)}.get(name, (96, 96))
        found = {f"{player}.width": max(width // factor, 1)
                 for player, width in zip(("generator", "discriminator"), widths, strict=True)}
        return found | ({"label_embedding": 32, "ema_half_life": 30_000.0} if name.startswith("biggan") else {})
    width = max(128 // factor, 2)
    return {
        "generator.width": width, "generator.largest": 2 * width, "generator.style_width": 2 * width,
        "discriminator.width": width, "discriminator.largest": 2 * width, "conditioning.size": 2 * width,
        "latents": 2 * width, "ema_half_life": 20_000.0, **({"train.steps": 3_000} if factor == 4 else
                                                            {"minibatch_stddev": 4}),
    }


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of the table that are of the protocol's own variant: "cifar10_conditional_cpu" or "..._full"."""
    return sweep_of(TABLES, name)
