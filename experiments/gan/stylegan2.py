"""StyleGAN2 on a folder of images (Karras et al. 2020), by the settings of StyleGAN2-ADA's released code.

    python scripts/train.py --config=experiments/gan/stylegan2.py --config.data.path=DIR
    python scripts/train.py --config=experiments/gan/stylegan2.py:ffhq256 --config.data.path=DIR
    python scripts/train.py --config=experiments/gan/stylegan2.py:cpu --config.data.path=DIR       two cores, 64 pixels

NVlabs/stylegan2-ada-pytorch, train.py: without a variant its `auto` of one GPU at 64 pixels with `--aug=noaug` (batches
of 32, gamma = 0.0002 side^2 / batch, a mapping network of two layers), `ffhq256` its `paper256` with mirrored images,
`cifar10` its `cifar` without labels. Path lengths every 4 steps, R1 every 16, styles mixed in 9 of 10 images, an
average of 10,000 images or 5 % of training; FID of 50,000 samples to the training images. `ada` adds adaptive
augmentation by the pipe `bgc`, which is the default there. `biggan` and `r3gan` train those networks on the same folder
at the size of `cpu`. After training

    python scripts/sample.py --workdir=runs/gan/stylegan2 --truncation=0.7 --out=truncated.png
    python scripts/sample.py --workdir=runs/gan/stylegan2 --n=4 --interpolate=8 --out=paths.png
    python scripts/sample.py --workdir=runs/gan/stylegan2 --kind=mixing --out=mixing.png

On 1,232 drawings of 64 pixels `cpu` drew only noise after 1,000 steps with gamma 0.026, by the rule of `auto`, and
blurred shapes with 1, one run each; so its gamma is 1. It shares the fakes of both players' steps, in batches of 16.

What differs from the released code: lazy penalties are added to the gradient of the loss, there they have steps of
their own; the generator moves after the discriminator, there before it; noise and mixed styles are functions of z, so
that styles are mixed image by image, there batch by batch; the pipe reflects images without end, there once; float32.
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose

BETA_2 = 0.99
LAZY = {"generator": 4 / 5, "discriminator": 16 / 17}
"""What lazy penalties leave of the learning rate, and of the logarithm of beta_2 (their appendix B)."""

CPU_STEPS = 4_000


def optimizers(learning_rate: float) -> dict[str, dict[str, Any]]:
    """Adam of both players."""
    return {f"{player}_optimizer": {"name": "adam", "learning_rate": learning_rate * part, "b1": 0.0,
                                    "b2": BETA_2**part} for player, part in LAZY.items()}


def gamma(value: float) -> dict[str, dict]:
    """R1 every 16 steps."""
    return {"r1": {"weight": value / 2, "every": 16}}


def players(width: int, largest: int = 512, mixing: float = 0.9, mapping: int = 2, **options: Any) -> dict[str, dict]:
    """Both networks."""
    return {"generator": {"name": "stylegan2", "width": width, "largest": largest, "mixing": mixing,
                          "mapping_depth": mapping} | options,
            "discriminator": {"name": "stylegan2", "width": width, "largest": largest}}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; presets `ffhq256`, `cifar10`, `ada`; `cpu` for two cores, `biggan`, `r3gan`, `smoke`."""
    full = ConfigDict({
        "family": "gan",
        "data": {"name": "folder", "path": "", "size": 64, "range": "symmetric", "flip": False},
        "latents": 512,
        **players(256),
        "bounded": False,
        "fresh_latents": True,
        "simultaneous": False,
        "joint_batches": False,
        "minibatch_stddev": 4,
        "discriminator_bias": True,
        "generator_statistics": "running",
        "loss": {"name": "non_saturating"},
        "penalties": gamma(0.0002 * 64**2 / 32),
        "path_length": {"weight": 2.0},
        "augment": {},
        "ada": {"target": 0.0},
        **optimizers(2.5e-3),
        "ema_half_life": 10_000.0,
        "ema_rampup": 0.05,
        "evaluators": {"inception_fid": {}},
        "train": {
            "steps": 781_250, "batch_size": 32, "log_every": 100, "evaluate_every": 10_000, "sample_every": 2_500,
            "checkpoint_every": 2_500,
        },
    })
    augmented = {"augment": {"affine": {}, "color_matrix": {}}, "ada": {"target": 0.6}}
    ffhq = players(64, mapping=8) | {
        "data.size": 256, "data.flip": True, "train.batch_size": 64, "train.steps": 390_625, "minibatch_stddev": 8,
        "penalties": gamma(1.0), "ema_half_life": 20_000.0, "ema_rampup": 0.0,
    }
    cifar = players(1024, mixing=0.0) | {
        "data": {"name": "cifar10", "range": "symmetric"}, "discriminator.architecture": "orig",
        "train.batch_size": 64, "train.steps": 1_562_500, "minibatch_stddev": 32, "penalties": gamma(0.01),
        "path_length.weight": 0.0, "ema_half_life": 500_000.0,
    }
    smoke = players(2, 4, style_width=8) | {
        "data": {"name": "mnist_small", "range": "symmetric"}, "latents": 8, "evaluators": {},
        "data.train_examples": 100, "data.test_examples": 20, "train.batch_size": 4, "train.steps": 2,
        "train.log_every": 1, "train.evaluate_every": 2, "train.sample_every": 2, "train.checkpoint_every": 2,
    }
    return choose(variant, {"": full, "ffhq256": ffhq, "cifar10": cifar, "ada": augmented, "smoke": smoke,
                            "smoke_ada": smoke | augmented, **two_cores()})


def two_cores() -> dict[str, dict[str, Any]]:
    """Overrides of `cpu`, and of BigGAN and R3GAN at its size."""
    small = {
        "data.flip": True, "fresh_latents": False, "joint_batches": True, "evaluators": {}, "train.batch_size": 16,
        "train.steps": CPU_STEPS, "train.log_every": 50, "train.evaluate_every": 1_000, "train.sample_every": 500,
        "train.checkpoint_every": 250, "latents": 128,
    }
    adam = {"name": "adam", "learning_rate": 2e-4, "b1": 0.0, "b2": 0.99}
    plain = small | {"path_length.weight": 0.0, "ema_rampup": 0.0, "minibatch_stddev": 0,
                     "generator_optimizer": adam, "discriminator_optimizer": adam}
    biggan = {"name": "biggan", "width": 16, "attention": 32}
    r3gan = {"name": "r3gan", "width": 16, "largest": 64, "depth": 1, "group_size": 16}
    return {
        "cpu": players(16, 64, style_width=128) | small | {"penalties": gamma(1.0)},
        "biggan": plain | {
            "latents": 100, "generator": biggan, "discriminator": biggan, "bounded": True, "loss.name": "hinge",
            "penalties": {}, "generator_statistics": "standing"},
        "r3gan": plain | {
            "generator": r3gan, "discriminator": r3gan, "discriminator_bias": False, "loss.name": "relativistic_paired",
            "penalties": {"r1": {"weight": 0.5}, "r2": {"weight": 0.5}}},
    }
