"""A VAE on scikit-learn's 8x8 digits: the smallest real images, no download, seconds to train.

    python scripts/train.py --config=experiments/vae/digits.py

    python scripts/sweep.py --config=experiments/vae/digits.py [--sweep=grid] --launcher=local

Kingma & Welling 2014 with Gaussian latents and a Bernoulli likelihood; pixels are binarised afresh at every step.
"""

from ml_collections import ConfigDict

from gen.config import product, sweep
from gen.config import variant as choose
from gen.errors import lookup


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variant `smoke` is a run of seconds."""
    full = ConfigDict({
        "family": "vae",
        "data": {"name": "digits", "range": "unit", "binarize": "dynamic"},
        "latents": 10,
        "encoder": {"name": "mlp", "hidden": (128, 128)},
        "decoder": {"name": "mlp", "hidden": (128, 128)},
        "likelihood": {"name": "bernoulli"},
        "objective": {"name": "elbo"},
        "optimizer": {"name": "adam", "learning_rate": 1e-3},
        "train": {
            "steps": 10_000, "batch_size": 128, "log_every": 100, "evaluate_every": 1_000, "sample_every": 1_000,
            "checkpoint_every": 1_000, "best": "max elbo",
        },
    })
    smoke = {
        "train.steps": 40, "train.log_every": 10, "train.evaluate_every": 20, "train.sample_every": 20,
        "train.checkpoint_every": 20,
    }
    return choose(variant, {"": full, "smoke": smoke})


def get_sweep(name: str = "") -> list[dict]:
    """Eight seeds; `grid`: learning rates by weights of the KL term (beta-VAE, Higgins et al. 2017), one seed."""
    return lookup({
        "": sweep("seed", range(8)),
        "grid": product([
            sweep("optimizer.learning_rate", (3e-4, 1e-3, 3e-3)), sweep("objective.beta", (0.5, 1.0, 2.0, 4.0)),
        ]),
    }, name, "sweep")
