"""A VAE on the part of MNIST that comes with the package: 28x28 digits, no download, half a minute on two cores.

    python scripts/train.py --config=experiments/vae/mnist_small.py

Kingma & Welling 2014 with Gaussian latents and a Bernoulli likelihood; pixels are binarised afresh at every step. With
8,000 images it learns them by heart in the end: the ELBO of the test images is best before.
"""

from ml_collections import ConfigDict

from gen.config import variant as choose


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variant `smoke` is a run of seconds."""
    full = ConfigDict({
        "family": "vae",
        "data": {"name": "mnist_small", "range": "unit", "binarize": "dynamic"},
        "latents": 16,
        "encoder": {"name": "mlp", "hidden": (400, 200)},
        "decoder": {"name": "mlp", "hidden": (200, 400)},
        "likelihood": {"name": "bernoulli"},
        "objective": {"name": "elbo"},
        "optimizer": {"name": "adam", "learning_rate": 1e-3},
        "train": {
            "steps": 2_500, "batch_size": 128, "log_every": 100, "evaluate_every": 500, "sample_every": 500,
            "checkpoint_every": 1_000, "best": "max elbo",
        },
    })
    smoke = {
        "data.train_examples": 256, "data.test_examples": 64, "encoder.hidden": (32,), "decoder.hidden": (32,),
        "train.steps": 40, "train.log_every": 10, "train.evaluate_every": 20, "train.sample_every": 20,
        "train.checkpoint_every": 20,
    }
    return choose(variant, {"": full, "smoke": smoke})
