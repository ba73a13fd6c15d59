"""The Dirac-GAN: one real point at 0, one fake point, a linear discriminator (Mescheder et al. 2018, section 2).

    python scripts/train.py --config=experiments/gan/dirac.py                     minimax: circles
    python scripts/train.py --config=experiments/gan/dirac.py:r1                  spirals in
    python scripts/train.py --config=experiments/gan/dirac.py:instance_noise      spirals in
    python scripts/train.py --config=experiments/gan/dirac.py:wasserstein         circles; wgan_gp does not settle
    python scripts/train.py --config=experiments/gan/dirac.py:alternating         alternating steps

Gradient descent of rate 0.05 follows the gradient flow up to discretisation, which adds an outward drift. Here the
points are in the plane and both coordinates play the same game. No table: the claim is which of the games come to
rest.
"""

from ml_collections import ConfigDict

from gen.config import variant as choose


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variants are the games above and `smoke`, a run of seconds."""
    optimizer = {"name": "sgd", "learning_rate": 0.05}
    full = ConfigDict({
        "family": "gan",
        "data": {"name": "ring", "modes": 1, "radius": 0.0, "std": 0.0, "examples": 1_000, "test_examples": 100},
        "latents": 1,
        "simultaneous": True,
        "discriminator_bias": False,
        "instance_noise": 0.0,
        "generator": {"name": "point", "start": 1.0},
        "discriminator": {"name": "mlp", "hidden": (), "kernel_init": "normal"},
        "loss": {"name": "minimax"},
        "penalties": {},
        "generator_optimizer": optimizer,
        "discriminator_optimizer": optimizer,
        "train": {
            "steps": 2_000, "batch_size": 100, "log_every": 10, "evaluate_every": 100, "sample_every": 20,
            "checkpoint_every": 1_000,
        },
    })
    smoke = {
        "train.steps": 20, "train.evaluate_every": 10, "train.sample_every": 10, "train.checkpoint_every": 10,
        "instance_noise": 0.1,
    }
    return choose(variant, {
        "": full,
        "alternating": {"simultaneous": False},
        "wasserstein": {"loss.name": "wasserstein"},
        "r1": {"penalties": {"r1": {"weight": 0.5}}},
        "instance_noise": {"instance_noise": 1.0},
        "wgan_gp": {"loss.name": "wasserstein", "penalties": {"wgan_gp": {"weight": 1.0}}},
        "smoke": smoke,
    })
