"""PacGAN on eight Gaussians on a ring: the discriminator sees m samples at once (Lin et al. 2018, Table 1).

    python scripts/train.py --config=experiments/gan/pacgan_ring.py                  GAN
    python scripts/train.py --config=experiments/gan/pacgan_ring.py:packing2         PacGAN2; packing3, packing4
    python scripts/train.py --config=experiments/gan/pacgan_ring.py:r1               GAN with R1, not in the paper
    python scripts/train.py --config=experiments/gan/pacgan_ring.py:cpu_packing2     reduced; cpu, cpu_r1, ...

Published numbers, and how `cpu` differs, are in `TABLES`:

    python scripts/reproduce.py --table=pacgan_ring --protocol=cpu

The default is the protocol of the released code: 400,000 simultaneous steps of batch 100, batch norm with momentum 0.95
and epsilon 1e-4, a pass of the generator for each z of a pack.
"""

from typing import Any

from ml_collections import ConfigDict

from gen.config import variant as choose
from gen.tables import Metric, Table, sweep_of

CPU = {
    "joint_packs": True, "generator.batch_norm_momentum": 0.99, "generator.batch_norm_epsilon": 1e-5,
    "generator.hidden": (128,) * 4, "discriminator.hidden": (64,) * 3, "generator_optimizer.learning_rate": 5e-4,
    "discriminator_optimizer.learning_rate": 5e-4, "generator_optimizer.b1": 0.5, "discriminator_optimizer.b1": 0.5,
    "schedules.learning_rate.name": "linear", "schedules.learning_rate.steps": 20_000,
    "schedules.learning_rate.final": 0.0, "train.steps": 20_000, "train.log_every": 200,
    "train.evaluate_every": 2_000, "train.sample_every": 2_000, "train.checkpoint_every": 10_000,
}
SMOKE = {
    "generator.hidden": (16,), "discriminator.hidden": (8,), "packing": 2, "train.steps": 20, "train.log_every": 5,
    "train.evaluate_every": 10, "train.sample_every": 10, "train.checkpoint_every": 10,
}
TABLES = {
    "pacgan_ring": Table(
        title="PacGAN on a ring of 8 Gaussians",
        source="Lin et al. 2018, Table 1 (seen), mean ± standard error of 10 trials",
        rows={"GAN": {"packing": 1}, **{f"PacGAN{m}": {"packing": m} for m in (2, 3, 4)}},
        metrics={
            "modes": Metric("modes / 8", digits=1), "high_quality": Metric("high quality (%)", 100, digits=1),
            "reverse_kl": Metric("reverse KL (nats)"),
        },
        published={
            "GAN": {"modes": (6.3, 0.5), "high_quality": (98.2, 0.2), "reverse_kl": (0.45, 0.09)},
            "PacGAN2": {"modes": (7.9, 0.1), "high_quality": (95.6, 2.0), "reverse_kl": (0.07, 0.03)},
            "PacGAN3": {"modes": (7.8, 0.1), "high_quality": (97.7, 0.3), "reverse_kl": (0.10, 0.02)},
            "PacGAN4": {"modes": (7.8, 0.1), "high_quality": (95.9, 1.4), "reverse_kl": (0.07, 0.02)},
        },
        seeds={"cpu": 10, "full": 10},
        protocols={"cpu": "cpu", "full": ""},
        differences={
            "cpu": "20,000 steps in place of 400,000; generator 4 x 128 and discriminator 3 x 64 maxout units in place "
                   "of 4 x 400 and 3 x 200; Adam with beta_1 0.5, not 0.8, and a learning rate that falls on a line "
                   "from 5e-4 to 0, not 1e-4; batch norm with momentum 0.99 and epsilon 1e-5, all of a step in one "
                   "pass of the generator; and as in full.",
            "full": "packs are drawn afresh at every step, there 100,000 of them once; running statistics are of the "
                    "variance, there of the standard deviation; Adam adds eps after correcting its moments, there "
                    "before; every evaluation has 2,500 samples of its own, there always the same z.",
        },
        omitted={"cpu": ("PacGAN3",)},
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variants `packing2` to `packing4`, `r1`, each also as `cpu_packing2`, `cpu`, `smoke`."""
    optimizer = {"name": "adam", "learning_rate": 1e-4, "b1": 0.8, "b2": 0.999}
    full = ConfigDict({
        "family": "gan",
        "data": {"name": "ring", "modes": 8, "radius": 1.0, "std": 0.01},
        "latents": 2,
        "packing": 1,
        "simultaneous": True,
        "joint_packs": False,
        "generator": {
            "name": "mlp", "hidden": (400,) * 4, "batch_norm": True, "batch_norm_momentum": 0.95,
            "batch_norm_epsilon": 1e-4, "kernel_init": "normal",
        },
        "discriminator": {"name": "maxout", "hidden": (200,) * 3, "pieces": 5, "kernel_init": "normal"},
        "loss": {"name": "non_saturating"},
        "penalties": {},
        "schedules": {},
        "generator_optimizer": optimizer,
        "discriminator_optimizer": optimizer,
        "evaluators": {"modes": {"samples": 2_500}},
        "train": {
            "steps": 400_000, "batch_size": 100, "log_every": 1_000, "evaluate_every": 10_000,
            "sample_every": 10_000, "checkpoint_every": 50_000,
        },
    })
    methods = {f"packing{m}": {"packing": m} for m in (2, 3, 4)} | {"r1": {"penalties": {"r1": {"weight": 0.05}}}}
    reduced = {f"cpu_{name}": CPU | method for name, method in methods.items()}
    return choose(variant, {"": full, "cpu": CPU, "smoke": SMOKE} | methods | reduced)


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of a table with one of its protocols: "pacgan_ring_cpu" or "pacgan_ring_full"."""
    return sweep_of(TABLES, name)
