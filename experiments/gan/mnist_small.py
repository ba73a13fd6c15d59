"""A conditional GAN on the part of MNIST that comes with the package: 28x28 digits, no download, a minute or two.

    python scripts/train.py --config=experiments/gan/mnist_small.py
    python scripts/sample.py --workdir=runs/gan/mnist_small/default --label=3 --out=threes.png

A small DCGAN (Radford et al. 2016) that is told the digit: its label joins the latents (Mirza & Osindero 2014), and the
discriminator judges the pair by a projection (Miyato & Koyama 2018). An average of the generator is what draws.
"""

from ml_collections import ConfigDict

from gen.config import variant as choose


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variant `smoke` is a run of seconds."""
    full = ConfigDict({
        "family": "gan",
        "data": {"name": "mnist_small", "range": "symmetric"},
        "latents": 32,
        "generator": {"name": "dcgan", "width": 16},
        "discriminator": {"name": "dcgan", "width": 16},
        "conditioning": {"name": "projection"},
        "loss": {"name": "non_saturating"},
        "generator_optimizer": {"name": "adam", "learning_rate": 5e-4, "b1": 0.5},
        "discriminator_optimizer": {"name": "adam", "learning_rate": 5e-4, "b1": 0.5},
        "ema_half_life": 4_000.0,
        "train": {
            "steps": 1_200, "batch_size": 64, "log_every": 50, "evaluate_every": 400, "sample_every": 200,
            "checkpoint_every": 400,
        },
    })
    smoke = {
        "data.train_examples": 256, "data.test_examples": 64, "generator.width": 4, "discriminator.width": 4,
        "train.batch_size": 16, "train.steps": 4,
        "train.log_every": 1, "train.evaluate_every": 2, "train.sample_every": 2, "train.checkpoint_every": 2,
    }
    return choose(variant, {"": full, "smoke": smoke})
