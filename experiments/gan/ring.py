"""A GAN on eight Gaussians on a ring: does the generator cover all modes, or drop some?

    python scripts/train.py --config=experiments/gan/ring.py

    python scripts/sweep.py --config=experiments/gan/ring.py --launcher=local

Small networks, non-saturating loss, R1 penalty (Mescheder et al. 2018). Without the penalty
(--config.penalties.r1=false) modes are dropped.
"""

from ml_collections import ConfigDict

from gen.config import product, sweep
from gen.config import variant as choose
from gen.errors import lookup


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variant `smoke` is a run of seconds."""
    full = ConfigDict({
        "family": "gan",
        "data": {"name": "ring", "modes": 8, "radius": 1.0, "std": 0.01},
        "latents": 2,
        "generator": {"name": "mlp", "hidden": (128, 128, 128)},
        "discriminator": {"name": "mlp", "hidden": (128, 128, 128)},
        "loss": {"name": "non_saturating"},
        "penalties": {"r1": {"weight": 0.1}},
        "generator_optimizer": {"name": "adam", "learning_rate": 5e-4, "b1": 0.0, "b2": 0.99},
        "discriminator_optimizer": {"name": "adam", "learning_rate": 5e-4, "b1": 0.0, "b2": 0.99},
        "ema_half_life": 100_000.0,
        "evaluators": {"modes": {}},
        "train": {
            "steps": 8_000, "batch_size": 256, "log_every": 200, "evaluate_every": 1_000, "sample_every": 1_000,
            "checkpoint_every": 2_000, "best": "max high_quality",
        },
    })
    smoke = {
        "train.steps": 40, "train.log_every": 10, "train.evaluate_every": 20, "train.sample_every": 20,
        "train.checkpoint_every": 20,
    }
    return choose(variant, {"": full, "smoke": smoke})


def get_sweep(name: str = "") -> list[dict]:
    """Five seeds; `penalty`: weights of R1, 0 being none, by three seeds."""
    return lookup({
        "": sweep("seed", range(5)),
        "penalty": product([sweep("penalties.r1.weight", (0.0, 0.01, 0.1, 1.0)), sweep("seed", range(3))]),
    }, name, "sweep")
