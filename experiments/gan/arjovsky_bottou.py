"""The vanishing gradient: a discriminator trained against a fixed generator (Arjovsky & Bottou 2017, figures 2 and 3).

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train.py --config=experiments/gan/arjovsky_bottou.py

The generator, a DCGAN at its initial values, has learning rate 0. Every dispatch logs the norm of its gradient
through log(1 - D), `generator_gradient_saturating`, which falls by orders of magnitude as the discriminator learns,
and through -log D, `generator_gradient_non_saturating`, which does not. In the paper the generator had been trained
for 1, 10 or 25 epochs before, and the discriminator starts anew. The default is 4,700 steps of batch 64, five epochs;
`cpu` differs in: 1,000 steps, width 16 in place of 64. The figure:

    python scripts/plot.py --runs=runs/gan/arjovsky_bottou/default --log --together --out=arjovsky_bottou.png
        --metrics=generator_gradient_saturating,generator_gradient_non_saturating
"""

from ml_collections import ConfigDict

from gen.config import variant as choose


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variants `cpu` and `smoke`."""
    full = ConfigDict({
        "family": "gan",
        "data": {"name": "mnist", "range": "symmetric"},
        "latents": 100,
        "generator": {"name": "dcgan", "width": 64},
        "discriminator": {"name": "dcgan", "width": 64},
        "loss": {"name": "minimax"},
        "generator_optimizer": {"name": "sgd", "learning_rate": 0.0},
        "discriminator_optimizer": {"name": "adam", "learning_rate": 2e-4, "b1": 0.5},
        "train": {
            "steps": 4_700, "batch_size": 64, "log_every": 20, "evaluate_every": 0, "sample_every": 0,
            "checkpoint_every": 0,
        },
    })
    cpu = {"generator.width": 16, "discriminator.width": 16, "train.steps": 1_000, "train.log_every": 5}
    smoke = {
        "data": {"name": "digits", "range": "symmetric"}, "generator.width": 2, "discriminator.width": 2,
        "train.batch_size": 16,
        "train.steps": 2, "train.log_every": 1, "train.checkpoint_every": 2,
    }
    return choose(variant, {"": full, "cpu": cpu, "smoke": smoke})
