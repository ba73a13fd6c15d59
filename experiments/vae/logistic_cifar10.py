"""A VAE with a discretised logistic likelihood on CIFAR-10, in bits per dimension.

    python scripts/prepare_data.py --dataset=cifar10
    python scripts/train.py --config=experiments/vae/logistic_cifar10.py

One layer of 128 latents, residual networks, the likelihood of Kingma et al. 2016, eq. 16;
`--config.likelihood.name=discretized_logistic_mixture` is another. No published row:
hierarchies of that paper and later ones reach other numbers. For scale, a uniform distribution on the 256 levels has
8 bits. `:cpu` has 32 channels and 6,000 steps of 64 images.
"""

from ml_collections import ConfigDict

from gen.config import variant as choose


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; `cpu` is for two cores, `smoke` a run of seconds."""
    full = ConfigDict({
        "family": "vae",
        "data": {"name": "cifar10", "range": "symmetric"},
        "latents": 128,
        "encoder": {"name": "resnet_vae", "width": 128},
        "decoder": {"name": "resnet_vae", "width": 128},
        "likelihood": {"name": "discretized_logistic"},
        "objective": {"name": "elbo"},
        "optimizer": {"name": "adam", "learning_rate": 3e-4},
        "evaluators": {"log_likelihood": {"samples": 100, "examples": 500, "rows": 500}},
        "train": {
            "steps": 100_000, "batch_size": 128, "log_every": 100, "evaluate_every": 10_000, "sample_every": 5_000,
            "checkpoint_every": 5_000, "best": "min bits_per_dim",
        },
    })
    cpu = {
        "encoder.width": 32, "decoder.width": 32, "train.steps": 6_000, "train.evaluate_every": 3_000,
        "train.sample_every": 1_000, "train.checkpoint_every": 500, "train.batch_size": 64,
    }
    smoke = {
        "data.train_examples": 200, "data.test_examples": 50, "latents": 4, "encoder.width": 8,
        "encoder.inner": 4, "encoder.blocks": 1, "decoder.width": 8, "decoder.inner": 4, "decoder.blocks": 1,
        "evaluators": {"log_likelihood": {"samples": 5, "examples": 10, "rows": 50}}, "train.batch_size": 16,
        "train.steps": 4, "train.log_every": 2, "train.evaluate_every": 4, "train.sample_every": 4,
        "train.checkpoint_every": 4,
    }
    return choose(variant, {"": full, "cpu": cpu, "smoke": smoke})
