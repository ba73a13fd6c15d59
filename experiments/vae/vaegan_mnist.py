"""VAE-GAN on MNIST: Larsen et al. 2016, whose own images are faces.

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train.py --config=experiments/vae/vaegan_mnist.py

An encoder, a decoder and a discriminator of DCGAN's layers, 64 latents; the error of a reconstruction is the squared
distance of the discriminator's last features. No published row: the paper scores attributes of faces. `:cpu` has a
quarter of the width and 3,000 steps: sharp reconstructions, with a squared error of 0.015 a pixel, and samples whose
strokes are sharp but often make no digit.
"""

from ml_collections import ConfigDict

from gen.config import variant as choose


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; `cpu` is for two cores, `smoke` a run of seconds."""
    full = ConfigDict({
        "family": "vaegan",
        "data": {"name": "mnist", "range": "unit"},
        "latents": 64,
        "encoder": {"name": "dcgan", "width": 64},
        "decoder": {"name": "dcgan", "width": 64},
        "discriminator": {"name": "dcgan", "width": 64},
        "likelihood": {"name": "bernoulli"},
        "feature_weight": 1e-2,
        "optimizer": {"name": "adam", "learning_rate": 2e-4, "b1": 0.5},
        "train": {
            "steps": 20_000, "batch_size": 64, "log_every": 50, "evaluate_every": 2_000, "sample_every": 1_000,
            "checkpoint_every": 1_000,
        },
    })
    cpu = {
        "encoder.width": 16, "decoder.width": 16, "discriminator.width": 16, "train.steps": 3_000,
        "train.evaluate_every": 1_000, "train.sample_every": 500, "train.checkpoint_every": 500,
    }
    smoke = {
        "data.train_examples": 256, "data.test_examples": 64, "latents": 4, "encoder.width": 4, "decoder.width": 4,
        "discriminator.width": 4, "train.batch_size": 16, "train.steps": 4, "train.log_every": 2,
        "train.evaluate_every": 4, "train.sample_every": 4, "train.checkpoint_every": 4,
    }
    return choose(variant, {"": full, "cpu": cpu, "smoke": smoke})
