"""Which loss with which penalty: the ablation of R3GAN on stacked MNIST (Huang et al. 2024, section 3).

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train_classifier.py --dataset=mnist
    python scripts/train.py --config=experiments/gan/r3gan_ablation.py               relativistic pairs, R1 and R2
    python scripts/train.py --config=experiments/gan/r3gan_ablation.py:gan_r1_r2     the same with the classic loss
    python scripts/train.py --config=experiments/gan/r3gan_ablation.py:rpgan_r1      R1 alone; gan_r1, rpgan, gan
    python scripts/train.py --config=experiments/gan/r3gan_ablation.py:cpu_gan_r1    reduced; cpu, cpu_gan_r1_r2, ...

The loss is softplus(-(D(x) - D(G(z)))) with gamma / 2 (R1 + R2) at every step and no normalisation layers. Their
numbers have not been seen here, so none are printed; nor has their gamma for this data: 1 is ours, as is the length of
100,000 steps. How `cpu` differs is in `TABLES`:

    python scripts/reproduce.py --table=r3gan_ablation --protocol=cpu

How gamma is chosen, and how too small and too great a one fail: docs/results.md, from

    python scripts/sweep.py --config=experiments/gan/r3gan_ablation.py:cpu --sweep=gamma --launcher=local
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

PENALTIES = {"": {}, "_r1": {"r1": {"weight": 0.5}}, "_r1_r2": {"r1": {"weight": 0.5}, "r2": {"weight": 0.5}}}
LOSSES = {"rpgan": "relativistic_paired", "gan": "non_saturating"}
METHODS = {
    f"{loss}{penalty}": {"loss.name": LOSSES[loss], "penalties": PENALTIES[penalty]}
    for loss in LOSSES for penalty in PENALTIES
}
GAMMAS = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0)
CPU = {
    "generator": {"name": "unrolled", "width": 8},
    "discriminator": {"name": "unrolled", "width": 2, "batch_norm": False}, "discriminator_bias": True,
    "generator_optimizer": {"name": "adam", "learning_rate": 1e-3, "b1": 0.5, "b2": 0.99},
    "discriminator_optimizer": {"name": "adam", "learning_rate": 2e-3, "b1": 0.5, "b2": 0.99},
    "train.steps": 5_000, "train.log_every": 100, "train.evaluate_every": 5_000, "train.sample_every": 1_000,
    "train.checkpoint_every": 500,
}
SMOKE = {
    "generator.width": 4, "discriminator.width": 4, "generator.depth": 1, "discriminator.depth": 1, "evaluators": {},
    "data": {"name": "digits", "range": "symmetric"}, "train.batch_size": 4, "train.steps": 2,
    "train.log_every": 1, "train.evaluate_every": 2, "train.sample_every": 2, "train.checkpoint_every": 2,
}
ROWS = {
    "RpGAN + R1 + R2": {}, "RpGAN + R1": {"penalties.r2": False},
    "RpGAN": {"penalties.r1": False, "penalties.r2": False},
}
TABLES = {
    "r3gan_ablation": Table(
        title="Losses and penalties on stacked MNIST",
        source="none: the numbers of Huang et al. 2024 have not been seen",
        rows=ROWS | {name.removeprefix("Rp"): row | {"loss.name": "non_saturating"} for name, row in ROWS.items()},
        metrics={
            "modes_lenet_25600": Metric("modes / 1000"), "reverse_kl_lenet_25600": Metric("KL (nats)"),
            "modes5_lenet_25600": Metric("modes with 5 hits"), "effective_modes_lenet_25600": Metric("1000 exp(-KL)"),
        },
        published={},
        seeds={"cpu": 3, "full": 3},
        protocols={"cpu": "cpu", "full": ""},
        differences={
            "cpu": "the small networks of stacked_mnist.py (batch norm in the generator, none in the discriminator, a "
                   "quarter of its size) in place of residual ones; 5,000 steps in place of 100,000; Adam 1e-3 and "
                   "2e-3 with beta_1 0.5.",
            "full": "gamma = 1 and 100,000 steps are ours; the paper's have not been seen.",
        },
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variants `rpgan` and `gan`, alone, with `_r1` and with `_r1_r2`, each also as `cpu_<method>`."""
    optimizer = {"name": "adam", "learning_rate": 2e-4, "b1": 0.0, "b2": 0.99}
    full = ConfigDict({
        "family": "gan",
        "data": {"name": "stacked_mnist", "range": "symmetric"},
        "latents": 64,
        "generator": {"name": "r3gan", "width": 32, "depth": 2},
        "discriminator": {"name": "r3gan", "width": 32, "depth": 2},
        "discriminator_bias": False,
        "loss": {"name": "relativistic_paired"},
        "penalties": PENALTIES["_r1_r2"],
        "generator_optimizer": optimizer,
        "discriminator_optimizer": optimizer,
        "ema_half_life": 50_000.0,
        "evaluators": {"stacked_modes": {"samples": 25_600}},
        "train": {
            "steps": 100_000, "batch_size": 64, "log_every": 500, "evaluate_every": 10_000, "sample_every": 5_000,
            "checkpoint_every": 10_000,
        },
    })
    reduced = {f"cpu_{name}": CPU | method for name, method in METHODS.items()}
    return choose(variant, {"": full, "cpu": CPU, "smoke": SMOKE} | METHODS | reduced)


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """`gamma`: eight weights of both penalties, two seeds; "r3gan_ablation_cpu", "..._full": the runs of the table."""
    if name == "gamma":
        return [{"penalties.r1.weight": gamma / 2, "penalties.r2.weight": gamma / 2, "seed": seed}
                for gamma in GAMMAS for seed in range(2)]
    return sweep_of(TABLES, name)
