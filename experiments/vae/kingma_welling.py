"""The lower bound on MNIST against the dimension of the latents: Kingma & Welling 2014, figure 2.

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train.py --config=experiments/vae/kingma_welling.py --config.latents=10

One hidden layer of 500 tanh units on each side, batch 100, one posterior sample; the paper's figure has curves for 3,
5, 10, 20 and 200 latents (`--config.latents`), which end after 10^8 training images and show no overfitting for
superfluous latents.

Differences: Adam in place of Adagrad; pixels binarised afresh at every step. `:cpu` sees 6 x 10^6 images.
"""

from ml_collections import ConfigDict

from gen.config import variant as choose


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; `cpu` is for two cores, `smoke` a run of seconds."""
    network = {"name": "mlp", "hidden": (500,), "activation": "tanh"}
    full = ConfigDict({
        "family": "vae",
        "data": {"name": "mnist", "range": "unit", "binarize": "dynamic"},
        "latents": 10,
        "encoder": network,
        "decoder": network,
        "likelihood": {"name": "bernoulli"},
        "objective": {"name": "elbo"},
        "optimizer": {"name": "adam", "learning_rate": 1e-3},
        "train": {
            "steps": 1_000_000, "batch_size": 100, "log_every": 500, "evaluate_every": 10_000, "sample_every": 50_000,
            "checkpoint_every": 10_000, "best": "max elbo",
        },
    })
    cpu = {"train.steps": 60_000, "train.evaluate_every": 6_000, "train.sample_every": 6_000,
           "train.checkpoint_every": 6_000}
    smoke = {
        "data.train_examples": 500, "data.test_examples": 200, "encoder.hidden": (16,), "decoder.hidden": (16,),
        "train.steps": 20, "train.log_every": 10, "train.evaluate_every": 20, "train.sample_every": 20,
        "train.checkpoint_every": 20,
    }
    return choose(variant, {"": full, "cpu": cpu, "smoke": smoke})
