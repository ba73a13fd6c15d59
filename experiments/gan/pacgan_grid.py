"""PacGAN on 25 Gaussians on a grid: the discriminator sees m samples at once (Lin et al. 2018, Table 1).

    python scripts/train.py --config=experiments/gan/pacgan_grid.py                  GAN
    python scripts/train.py --config=experiments/gan/pacgan_grid.py:packing2         PacGAN2; packing3, packing4
    python scripts/train.py --config=experiments/gan/pacgan_grid.py:r1               GAN with R1, not in the paper
    python scripts/train.py --config=experiments/gan/pacgan_grid.py:cpu_packing2     reduced; cpu, cpu_r1, ...

Published numbers, and how `cpu` differs, are in `TABLES`:

    python scripts/reproduce.py --table=pacgan_grid --protocol=cpu

The default is the protocol of the released code: 400,000 simultaneous steps of batch 100, batch norm with momentum 0.95
and epsilon 1e-4, a pass of the generator for each z of a pack.

`r1` is not in the paper: R1 with weight 0.2, a generator without batch norm, and samples of the average of its weights,
half-life 1,000 steps.
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
R1 = {
    "penalties.r1.weight": 0.2, "generator.batch_norm": False, "generator.kernel_init": "lecun_normal",
    "ema_half_life": 100_000.0,
}
CPU_R1 = R1 | {
    "generator_optimizer.learning_rate": 1e-3, "discriminator_optimizer.learning_rate": 3e-3,
    "schedules.learning_rate.steps": 25_000, "train.steps": 25_000, "train.log_every": 250,
    "train.evaluate_every": 2_500, "train.sample_every": 2_500, "train.checkpoint_every": 12_500,
}
SMOKE = {
    "generator.hidden": (16,), "discriminator.hidden": (8,), "packing": 2, "train.steps": 20, "train.log_every": 5,
    "train.evaluate_every": 10, "train.sample_every": 10, "train.checkpoint_every": 10,
}
TABLES = {
    "pacgan_grid": Table(
        title="PacGAN on a grid of 25 Gaussians",
        source="Lin et al. 2018, Table 1 (seen), mean ± standard error of 10 trials",
        rows={"GAN": {"packing": 1}, **{f"PacGAN{m}": {"packing": m} for m in (2, 3, 4)},
              "GAN with R1 (not the paper's)": CPU_R1},
        metrics={
            "modes": Metric("modes / 25", digits=1), "high_quality": Metric("high quality (%)", 100, digits=1),
            "reverse_kl": Metric("reverse KL (nats)"),
        },
        published={
            "GAN": {"modes": (17.3, 0.8), "high_quality": (94.8, 0.7), "reverse_kl": (0.70, 0.07)},
            "PacGAN2": {"modes": (23.8, 0.7), "high_quality": (91.3, 0.8), "reverse_kl": (0.13, 0.04)},
            "PacGAN3": {"modes": (24.6, 0.4), "high_quality": (94.2, 0.4), "reverse_kl": (0.06, 0.02)},
            "PacGAN4": {"modes": (24.8, 0.2), "high_quality": (93.6, 0.6), "reverse_kl": (0.04, 0.01)},
        },
        seeds={"cpu": 10, "full": 10},
        protocols={"cpu": "cpu", "full": ""},
        differences={
            "cpu": "20,000 steps in place of 400,000; generator 4 x 128 and discriminator 3 x 64 maxout units in place "
                   "of 4 x 400 and 3 x 200; Adam with beta_1 0.5, not 0.8, and a learning rate that falls on a line "
                   "from 5e-4 to 0, not 1e-4; batch norm with momentum 0.99 and epsilon 1e-5, all of a step in one "
                   "pass of the generator; and as in full. R1, weight 0.2, has a generator without batch norm whose "
                   "weights are averaged, 25,000 steps, and begins at 1e-3 (generator) and 3e-3 (discriminator).",
            "full": "packs are drawn afresh at every step, there 100,000 of them once; running statistics are of the "
                    "variance, there of the standard deviation; Adam adds eps after correcting its moments, there "
                    "before; every evaluation has 2,500 samples of its own, there always the same z.",
        },
        omitted={"cpu": ("PacGAN3",), "full": ("GAN with R1 (not the paper's)",)},
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variants `packing2` to `packing4`, `r1`, each also as `cpu_packing2`, `cpu`, `smoke`."""
    optimizer = {"name": "adam", "learning_rate": 1e-4, "b1": 0.8, "b2": 0.999}
    full = ConfigDict({
        "family": "gan",
        "data": {"name": "grid", "side": 5, "spacing": 2.0, "std": 0.05},
        "latents": 2,
        "packing": 1,
        "simultaneous": True,
        "joint_packs": False,
        "ema_half_life": 0.0,
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
    methods = {f"packing{m}": {"packing": m} for m in (2, 3, 4)} | {"r1": R1}
    reduced = {f"cpu_{name}": CPU | method for name, method in methods.items()} | {"cpu_r1": CPU | CPU_R1}
    return choose(variant, {"": full, "cpu": CPU, "smoke": SMOKE} | methods | reduced)


def get_sweep(name: str = "") -> list[dict[str, Any]]:
    """The runs of a table with one of its protocols: "pacgan_grid_cpu" or "pacgan_grid_full"."""
    return sweep_of(TABLES, name)
