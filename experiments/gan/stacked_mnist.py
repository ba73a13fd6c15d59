"""Stacked MNIST with the small networks of Unrolled GAN: 1,000 modes, a discriminator smaller than the generator.

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train_classifier.py --dataset=mnist
    python scripts/train.py --config=experiments/gan/stacked_mnist.py               DCGAN, D = 1/4 G
    python scripts/train.py --config=experiments/gan/stacked_mnist.py:packing2      PacDCGAN2; packing4
    python scripts/train.py --config=experiments/gan/stacked_mnist.py:half          D = 1/2 G; half_packing2, _packing4
    python scripts/train.py --config=experiments/gan/stacked_mnist.py:rpgan         relativistic pairs with R1 and R2
    python scripts/train.py --config=experiments/gan/stacked_mnist.py:cpu_rpgan     reduced; cpu, cpu_packing2, ...

Published numbers (Lin et al. 2018, Table 3), and how `cpu` differs, are in `TABLES`:

    python scripts/reproduce.py --table=stacked_mnist --protocol=cpu      and stacked_mnist_half

The default is the protocol of the released code: 500,000 alternating steps of batch 128, kernels N(0, 0.02), a pass of
the generator for each z of a pack, samples normalised by their own batch. `rpgan` is not of that paper; its
discriminator has no batch norm.
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

CPU = {
    "simultaneous": True, "joint_packs": True, "generator_statistics": "averaged",
    **{f"{player}.{option}": value for player in ("generator", "discriminator")
       for option, value in {"kernel_init": "glorot_uniform", "batch_norm_momentum": 0.99}.items()},
    "generator_optimizer.learning_rate": 1e-3, "discriminator_optimizer.learning_rate": 2e-3,
    "train.steps": 10_000, "train.batch_size": 64, "train.log_every": 100, "train.evaluate_every": 2_500,
    "train.sample_every": 2_500, "train.checkpoint_every": 2_500,
}
NETWORK = {"kernel_init": "normal", "batch_norm_momentum": 0.9}
METHODS = {
    "packing2": {"packing": 2}, "packing4": {"packing": 4}, "half": {"discriminator.width": 4},
    "half_packing2": {"discriminator.width": 4, "packing": 2},
    "half_packing4": {"discriminator.width": 4, "packing": 4},
    "rpgan": {
        "loss.name": "relativistic_paired", "penalties": {"r1": {"weight": 0.5}, "r2": {"weight": 0.5}},
        "discriminator.batch_norm": False, "discriminator.kernel_init": "glorot_uniform",
    },
}
SMOKE = METHODS["rpgan"] | {
    "data": {"name": "digits", "range": "symmetric"}, "packing": 2, "generator.width": 1, "evaluators": {},
    "train.batch_size": 8, "train.steps": 2, "train.log_every": 1, "train.evaluate_every": 2, "train.sample_every": 2,
    "train.checkpoint_every": 2,
}
METRICS = {
    "modes_lenet_25600": Metric("modes / 1000"), "reverse_kl_lenet_25600": Metric("KL (nats)"),
    "modes5_lenet_25600": Metric("modes with 5 hits"), "effective_modes_lenet_25600": Metric("1000 exp(-KL)"),
}
ROWS = {"DCGAN": {"packing": 1}, "PacDCGAN2": {"packing": 2}, "PacDCGAN4": {"packing": 4}}
COMMON = {
    "source": "Lin et al. 2018, Table 3 (seen), 50 trials; ± as printed there",
    "metrics": METRICS,
    "seeds": {"cpu": 3, "full": 50},
    "protocols": {"cpu": "cpu", "full": ""},
    "differences": {
        "cpu": "10,000 steps of batch 64 in place of 500,000 of 128; learning rates 10 times as large; both players "
               "move at once; Glorot's initial values; the generator makes a pack in one pass and draws with running "
               "statistics, of batch norms with momentum 0.99, not 0.9; and as in full.",
        "full": "the classifier that reads the digits is ours; 3x3 convolutions that do not enlarge begin normal with "
                "standard deviation 0.02, there cut off at two of them; samples are normalised by the evaluator's "
                "batches, there by 128.",
    },
    "omitted": {"cpu": ("PacDCGAN4",)},
}
RPGAN = "RpGAN + R1 + R2 (another paper's)"
TABLES = {
    "stacked_mnist": Table(
        title="Stacked MNIST, discriminator a quarter of the generator",
        rows=ROWS | {RPGAN: {
            "loss.name": "relativistic_paired", "penalties.r1.weight": 0.5, "penalties.r2.weight": 0.5,
            "discriminator.batch_norm": False,
        }},
        published={
            "DCGAN": {"modes_lenet_25600": (78.5, 17.56), "reverse_kl_lenet_25600": (5.21, 0.19)},
            "PacDCGAN2": {"modes_lenet_25600": (484.5, 32.99), "reverse_kl_lenet_25600": (2.61, 0.22)},
            "PacDCGAN4": {"modes_lenet_25600": (667.4, 29.00), "reverse_kl_lenet_25600": (1.81, 0.15)},
        },
        **COMMON | {"omitted": COMMON["omitted"] | {"full": (RPGAN,)}},
    ),
    "stacked_mnist_half": Table(
        title="Stacked MNIST, discriminator half of the generator",
        rows={name: row | {"discriminator.width": 4} for name, row in ROWS.items()},
        published={
            "DCGAN": {"modes_lenet_25600": (487.7, 34.59), "reverse_kl_lenet_25600": (2.24, 0.15)},
            "PacDCGAN2": {"modes_lenet_25600": (840.7, 15.92), "reverse_kl_lenet_25600": (1.00, 0.05)},
            "PacDCGAN4": {"modes_lenet_25600": (820.2, 25.50), "reverse_kl_lenet_25600": (1.15, 0.14)},
        },
        **COMMON,
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variants are the methods above, each also as `cpu_<method>`, `cpu` and `smoke`."""
    full = ConfigDict({
        "family": "gan",
        "data": {"name": "stacked_mnist", "range": "symmetric"},
        "latents": 256,
        "packing": 1,
        "simultaneous": False,
        "joint_packs": False,
        "generator_statistics": "batch",
        "generator": {"name": "unrolled", "width": 8} | NETWORK,
        "discriminator": {"name": "unrolled", "width": 2, "batch_norm": True} | NETWORK,
        "loss": {"name": "non_saturating"},
        "penalties": {},
        "generator_optimizer": {"name": "adam", "learning_rate": 1e-4, "b1": 0.5, "b2": 0.99},
        "discriminator_optimizer": {"name": "adam", "learning_rate": 2e-4, "b1": 0.5, "b2": 0.99},
        "evaluators": {"stacked_modes": {"samples": 25_600}},
        "train": {
            "steps": 500_000, "batch_size": 128, "log_every": 1_000, "evaluate_every": 20_000, "sample_every": 20_000,
            "checkpoint_every": 20_000,
        },
    })
    reduced = {f"cpu_{name}": CPU | method for name, method in METHODS.items()}
    return choose(variant, {"": full, "cpu": CPU, "smoke": SMOKE} | METHODS | reduced)


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of a table with one of its protocols: "stacked_mnist_cpu", "stacked_mnist_half_full", ..."""
    return sweep_of(TABLES, name)
