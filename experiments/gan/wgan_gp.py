"""Wasserstein GANs on MNIST: gradient penalty (Gulrajani et al. 2017, algorithm 1) or weight clipping.

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train.py --config=experiments/gan/wgan_gp.py
    python scripts/train.py --config=experiments/gan/wgan_gp.py:one_sided     only norms above 1 cost
    python scripts/train.py --config=experiments/gan/wgan_gp.py:clip          Arjovsky et al. 2017, algorithm 1

Penalty 10, five critic steps, Adam 1e-4 with beta 0 and 0.9, batch 64, no batch norm in the critic; the clipped one has
RMSProp 5e-5 and weights in [-0.01, 0.01]. The papers print no table for MNIST. `discriminator_loss` is minus the
estimated distance. `cpu` differs in: 5,000 generator steps in place of 100,000, width 16 in place of 64.
"""

from ml_collections import ConfigDict

from gen.config import variant as choose

RMSPROP = {"name": "rmsprop", "learning_rate": 5e-5}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variants `one_sided`, `clip`, `cpu`, `smoke`."""
    optimizer = {"name": "adam", "learning_rate": 1e-4, "b1": 0.0, "b2": 0.9}
    full = ConfigDict({
        "family": "gan",
        "data": {"name": "mnist", "range": "symmetric"},
        "latents": 128,
        "critic_steps": 5,
        "weight_clip": 0.0,
        "generator": {"name": "dcgan", "width": 64},
        "discriminator": {"name": "dcgan", "width": 64, "batch_norm": False},
        "loss": {"name": "wasserstein"},
        "penalties": {"wgan_gp": {"weight": 10.0}},
        "generator_optimizer": optimizer,
        "discriminator_optimizer": optimizer,
        "train": {
            "steps": 100_000, "batch_size": 64, "log_every": 100, "evaluate_every": 5_000, "sample_every": 5_000,
            "checkpoint_every": 5_000,
        },
    })
    clip = {
        "penalties": {}, "weight_clip": 0.01, "generator_optimizer": RMSPROP, "discriminator_optimizer": RMSPROP,
    }
    cpu = {
        "generator.width": 16, "discriminator.width": 16, "train.steps": 5_000, "train.log_every": 20,
        "train.evaluate_every": 500, "train.sample_every": 500, "train.checkpoint_every": 500,
    }
    smoke = {
        "data": {"name": "digits", "range": "symmetric"}, "generator.width": 2, "discriminator.width": 2,
        "train.batch_size": 8, "train.steps": 2, "train.log_every": 1, "train.evaluate_every": 2,
        "train.sample_every": 2, "train.checkpoint_every": 2,
    }
    one_sided = {"penalties": {"wgan_gp": {"weight": 10.0, "one_sided": True}}}
    return choose(variant, {"": full, "one_sided": one_sided, "clip": clip, "cpu": cpu, "smoke": smoke})
