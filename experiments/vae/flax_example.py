"""The VAE of Flax's examples on statically binarised MNIST.

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train.py --config=experiments/vae/flax_example.py

784-500-20-500-784, ReLU, Adam 1e-3, batch 128, 390 steps an epoch on the first 50,000 training images. Published by the
example's README, negative ELBO on the test images: 119.74 after epoch 1, 106.06 after 5, 103.60 after 10. There the
binarisation is Larochelle's fixed one; here it is drawn once with a fixed seed.
"""

from ml_collections import ConfigDict

from gen.config import variant as choose

EPOCH = 390


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variant `smoke` is a run of seconds."""
    full = ConfigDict({
        "family": "vae",
        "data": {"name": "mnist", "range": "unit", "binarize": "static", "train_examples": 50_000},
        "latents": 20,
        "encoder": {"name": "mlp", "hidden": (500,)},
        "decoder": {"name": "mlp", "hidden": (500,)},
        "likelihood": {"name": "bernoulli"},
        "objective": {"name": "elbo"},
        "optimizer": {"name": "adam", "learning_rate": 1e-3},
        "train": {
            "steps": 10 * EPOCH, "batch_size": 128, "log_every": EPOCH // 5, "evaluate_every": EPOCH,
            "sample_every": EPOCH, "checkpoint_every": EPOCH, "best": "max elbo",
        },
    })
    smoke = {
        "data.train_examples": 1_000, "data.test_examples": 200, "encoder.hidden": (32,), "decoder.hidden": (32,),
        "train.steps": 40, "train.log_every": 10, "train.evaluate_every": 20, "train.sample_every": 20,
        "train.checkpoint_every": 20,
    }
    return choose(variant, {"": full, "smoke": smoke})
