"""DCGAN on MNIST.

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train.py --config=experiments/gan/dcgan_mnist.py

After Radford et al. 2016: strided convolutions, batch norm, leaky ReLU in the discriminator, tanh at the end, Adam 2e-4
with beta_1 = 0.5, weights N(0, 0.02). Not their experiment: their code for MNIST is conditional, with 5x5 convolutions
of 64 and 128 channels, dense layers of 1,024 units in both networks, a sigmoid at the end, 100 uniform latents, batch
128, weight decay 2.5e-5 and 200 epochs. Here are 4x4 convolutions of half that width, no dense layers between, 64
normal latents and batch 64, so that it trains in well under an hour on two CPU cores; an average of the generator is
kept.
"""

from ml_collections import ConfigDict

from gen.config import variant as choose


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variant `smoke` is a run of seconds."""
    full = ConfigDict({
        "family": "gan",
        "data": {"name": "mnist", "range": "symmetric", "binarize": "none"},
        "latents": 64,
        "generator": {"name": "dcgan", "width": 32},
        "discriminator": {"name": "dcgan", "width": 32},
        "loss": {"name": "non_saturating"},
        "generator_optimizer": {"name": "adam", "learning_rate": 2e-4, "b1": 0.5},
        "discriminator_optimizer": {"name": "adam", "learning_rate": 2e-4, "b1": 0.5},
        "ema_half_life": 20_000.0,
        "train": {
            "steps": 6_000, "batch_size": 64, "log_every": 50, "evaluate_every": 1_000, "sample_every": 500,
            "checkpoint_every": 500,
        },
    })
    smoke = {
        "data.train_examples": 256, "data.test_examples": 64, "generator.width": 4, "discriminator.width": 4,
        "train.batch_size": 16, "train.steps": 4,
        "train.log_every": 1, "train.evaluate_every": 2, "train.sample_every": 2, "train.checkpoint_every": 2,
    }
    return choose(variant, {"": full, "smoke": smoke})
