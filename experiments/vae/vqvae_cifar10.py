"""VQ-VAE on CIFAR-10 in the protocol of Sonnet's example, with an autoregressive prior over the codes.

    python scripts/prepare_data.py --dataset=cifar10
    python scripts/train.py --config=experiments/vae/vqvae_cifar10.py

Batch 32, 10,000 updates of Adam 3e-4; 128 channels, two residual blocks of 32; 512 codes of 64 numbers on a grid of 8
x 8, learned by moving averages of decay 0.99; loss: mean square over the data's variance, plus 0.25 times the
commitment. The example logs the loss and the perplexity of the codes, exp of the entropy of their frequencies in a
batch.

Differences: images in [0, 1], which the loss's scale cancels but for the commitment; the codebook begins at encodings
of training images; the PixelCNN learns beside the autoencoder. `:cpu` has 32 channels, a PixelCNN of 32 and 4,000
updates.
"""

from ml_collections import ConfigDict

from gen.config import variant as choose


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; `cpu` is for two cores, `smoke` a run of seconds."""
    full = ConfigDict({
        "family": "vqvae",
        "data": {"name": "cifar10", "range": "unit"},
        "codes": 512,
        "code_size": 64,
        "encoder": {"name": "residual"},
        "decoder": {"name": "residual"},
        "prior": {"name": "pixelcnn"},
        "optimizer": {"name": "adam", "learning_rate": 3e-4},
        "prior_optimizer": {"name": "adam", "learning_rate": 1e-3},
        "train": {
            "steps": 10_000, "batch_size": 32, "log_every": 100, "evaluate_every": 2_000, "sample_every": 2_000,
            "checkpoint_every": 2_000, "best": "min reconstruction_error",
        },
    })
    cpu = {
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
