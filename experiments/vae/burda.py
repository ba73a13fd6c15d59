"""Importance weighted autoencoders on dynamically binarised MNIST: Burda et al. 2016, Table 1.

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train.py --config=experiments/vae/burda.py:iwae5

Variants are named by objective and samples k: `elbo1`, `elbo5`, `elbo50` are the paper's VAE, `iwae5`, `iwae50` its
IWAE (k = 1 is the same bound); `dreg5`, `dreg50`, `stl5`, `stl50` are later estimators of IWAE's gradient; `cpu_`
before any of them is its reduced form.

784-200-200-50-200-200-784, tanh, Glorot initial values, output bias at the mean pixel, pixels binarised afresh at every
step and for the test; batch 20, Adam with eps 1e-4, 3^i passes at 1e-3 10^(-i/7), i = 0..7.

Test NLL in nats with 5,000 samples, as quoted by later work:

    k                      1      5      50
    VAE, one layer         86.76  86.47  86.35
    IWAE, one layer        86.76  85.54  84.78
    `:cpu_elbo1`, seed 0   89.13                 reached here, 22 active units

Two layers are in `burda_two_layers.py`. Differences: all 60,000 training images; `:cpu` sees 148 passes in place of
3,280, in batches of 100, at a learning rate that falls on a line from 1e-3 to 1e-4. Of the later estimators
nbip/IWAE reports, with 100 latents, IWAE 86.35 / 85.18 / 84.59 and DReG 86.08 / 84.90 / 84.32 (its README).
"""

from ml_collections import ConfigDict

from gen.config import variant as choose

PASS = 60_000 // 20
OBJECTIVES = {"elbo": "elbo", "iwae": "iwae", "dreg": "dreg", "stl": "stl_iwae"}


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; `cpu_*` is for two cores, `smoke` a run of seconds."""
    network = {"name": "mlp", "hidden": (200, 200), "activation": "tanh", "kernel_init": "glorot_uniform"}
    full = ConfigDict({
        "family": "vae",
        "data": {"name": "mnist", "range": "unit", "binarize": "dynamic"},
        "latents": 50,
        "samples": 1,
        "output_bias": "data_mean",
        "encoder": network,
        "decoder": network,
        "posterior": {"name": "normal", "kernel_init": "glorot_uniform"},
        "likelihood": {"name": "bernoulli"},
        "objective": {"name": "elbo"},
        "optimizer": {"name": "adam", "learning_rate": 1e-3, "eps": 1e-4},
        "schedule": {"name": "stages", "unit": PASS, "last": 7},
        "evaluators": {"log_likelihood": {"samples": 5_000}, "latents": {}},
        "train": {
            "steps": 3_280 * PASS, "batch_size": 20, "log_every": PASS, "evaluate_every": 1_640 * PASS,
            "sample_every": 82 * PASS, "checkpoint_every": 41 * PASS,
        },
    })
    cpu = {
        "schedule.name": "linear", "schedule.steps": 88_800, "schedule.final": 0.1, "train.steps": 88_800,
        "train.batch_size": 100, "train.log_every": 222, "train.evaluate_every": 88_800, "train.sample_every": 8_880,
        "train.checkpoint_every": 4_440,
    }
    smoke = {
        "data.train_examples": 500, "data.test_examples": 200,
        "encoder.hidden": (16,), "decoder.hidden": (16,), "samples": 2,
        "evaluators": {"log_likelihood": {"samples": 10, "examples": 20}, "latents": {"examples": 50, "samples": 20}},
        "train.steps": 20, "train.log_every": 10, "train.evaluate_every": 20, "train.sample_every": 20,
        "train.checkpoint_every": 20,
    }
    rows = {f"{name}{k}": {"objective.name": objective, "samples": k}
            for name, objective in OBJECTIVES.items() for k in (1, 5, 50)}
    reduced = {f"cpu_{name}": cpu | row for name, row in rows.items()}
    return choose(variant, {"": full, **rows, "cpu": cpu, **reduced, "smoke": smoke})
