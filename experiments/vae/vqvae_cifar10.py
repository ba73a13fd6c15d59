"""VQ-VAE on CIFAR-10 in the protocol of Sonnet's example, with an autoregressive prior over the codes.

    python scripts/prepare_data.py --dataset=cifar10
    python scripts/train.py --config=experiments/vae/vqvae_cifar10.py

The first 40,000 images, batch 32, 10,000 updates of Adam 3e-4; 128 channels, two residual blocks of 32; 512 codes of
64 numbers on a grid of 8 x 8, learned by moving averages of decay 0.99; loss: mean square over the data's variance,
plus 0.25 times the commitment. The example logs the loss and the perplexity of the codes, exp of the entropy of their
frequencies in a batch.

The differences are in `TABLES`:

    python scripts/reproduce.py --table=vqvae --protocol=cpu
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

TABLES = {
    "vqvae": Table(
        title="VQ-VAE on CIFAR-10",
        source="none: Sonnet's example prints no table",
        rows={"VQ-VAE": {}},
        metrics={
            "reconstruction_error": Metric("error / variance", digits=4),
            "perplexity": Metric("perplexity of the codes", digits=0),
            "prior_nats_per_code": Metric("prior (nats per code)", digits=3),
        },
        published={},
        seeds={"cpu": 1, "full": 3},
        protocols={"cpu": "cpu", "full": ""},
        differences={
            "cpu": "32 channels in place of 128, 4,000 updates in place of 10,000, a PixelCNN of 32; all 50,000 "
                   "training images; no ReLU after the encoder's 3x3 convolution, no biases in the blocks; and as in "
                   "full.",
            "full": "images in [0, 1], there in [-0.5, 0.5]: the scale is the same; the error is that of the test "
                    "images, there of training batches; kernels begin with variance 1 / fan_in, there normal with that "
                    "variance and cut off at two standard deviations; the codebook begins at encodings of training "
                    "images; the PixelCNN learns beside the autoencoder.",
        },
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; `cpu` is for two cores, `smoke` a run of seconds."""
    full = ConfigDict({
        "family": "vqvae",
        "data": {"name": "cifar10", "range": "unit", "train_examples": 40_000},
        "codes": 512,
        "code_size": 64,
        "encoder": {"name": "residual", "block_bias": True, "stem_relu": True},
        "decoder": {"name": "residual", "block_bias": True},
        "prior": {"name": "pixelcnn"},
        "optimizer": {"name": "adam", "learning_rate": 3e-4},
        "prior_optimizer": {"name": "adam", "learning_rate": 1e-3},
        "evaluators": {"codebook": {}},
        "train": {
            "steps": 10_000, "batch_size": 32, "log_every": 100, "evaluate_every": 2_000, "sample_every": 2_000,
            "checkpoint_every": 2_000, "best": "min reconstruction_error",
        },
    })
    cpu = {
        "data.train_examples": 0, "encoder.block_bias": False, "encoder.stem_relu": False, "decoder.block_bias": False,
        "encoder.width": 32, "encoder.inner": 16, "decoder.width": 32, "decoder.inner": 16, "prior.width": 32,
        "prior.blocks": 3, "train.steps": 4_000, "train.evaluate_every": 2_000, "train.sample_every": 1_000,
        "train.checkpoint_every": 500,
    }
    smoke = {
        "data.train_examples": 200, "data.test_examples": 50, "codes": 16, "code_size": 4,
        "encoder.width": 8, "encoder.inner": 4, "encoder.blocks": 1, "decoder.width": 8, "decoder.inner": 4,
        "decoder.blocks": 1, "prior.width": 8, "prior.blocks": 1, "train.batch_size": 16, "train.steps": 4,
        "train.log_every": 2, "train.evaluate_every": 4, "train.sample_every": 4, "train.checkpoint_every": 4,
    }
    return choose(variant, {"": full, "cpu": cpu, "smoke": smoke})


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of a table with one of its protocols: "vqvae_cpu" or "vqvae_full"."""
    return sweep_of(TABLES, name)
