"""The VampPrior against the standard normal prior on statically binarised MNIST: Tomczak & Welling 2018.

    python scripts/prepare_data.py --dataset=mnist
    python scripts/train.py --config=experiments/vae/vamp.py
    python scripts/train.py --config=experiments/vae/vamp.py:standard

Gated 784-300-300-40 and back, 500 pseudo-inputs, batch 100, Adam 5e-4, KL warm-up over 100 epochs. Test log-
likelihood with 5,000 samples: VAE with VampPrior -85.57, as quoted by later work.

Differences: binarised once with a fixed seed, not Larochelle's draw; all 60,000 training images; 500 epochs without
early stopping; pseudo-inputs begin at training images. `:cpu` and `:cpu_standard` have 25 epochs with a warm-up of 5,
at 1e-3, 200 pseudo-inputs, and 500 samples of the likelihood.
"""

from ml_collections import ConfigDict

from gen.config import variant as choose

EPOCH = 600


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; `cpu*` is for two cores, `smoke` a run of seconds."""
    network = {"name": "gated_mlp", "hidden": (300, 300)}
    full = ConfigDict({
        "family": "vae",
        "data": {"name": "mnist", "range": "unit", "binarize": "static"},
        "latents": 40,
        "kl_warmup": 100 * EPOCH,
        "encoder": network,
        "decoder": network,
        "prior": {"name": "vamp", "components": 500},
        "likelihood": {"name": "bernoulli"},
        "objective": {"name": "elbo"},
        "optimizer": {"name": "adam", "learning_rate": 5e-4},
        "evaluators": {"log_likelihood": {"samples": 5_000}, "latents": {}},
        "train": {
            "steps": 500 * EPOCH, "batch_size": 100, "log_every": EPOCH, "evaluate_every": 500 * EPOCH,
            "sample_every": 10 * EPOCH, "checkpoint_every": 10 * EPOCH,
        },
    })
    cpu = {
        "kl_warmup": 5 * EPOCH, "optimizer.learning_rate": 1e-3, "prior.components": 200,
        "evaluators": {"log_likelihood": {"samples": 500}, "latents": {}}, "train.steps": 25 * EPOCH,
        "train.log_every": EPOCH // 5, "train.evaluate_every": 25 * EPOCH, "train.sample_every": 5 * EPOCH,
        "train.checkpoint_every": EPOCH,
    }
    standard = {"prior.name": "standard_normal"}
    reduced = {name: value for name, value in cpu.items() if not name.startswith("prior.")} | standard
    smoke = {
        "data.train_examples": 500, "data.test_examples": 200,
        "encoder.hidden": (16,), "decoder.hidden": (16,), "prior.components": 5,
        "evaluators": {"log_likelihood": {"samples": 10, "examples": 20}, "latents": {"examples": 50, "samples": 20}},
        "train.steps": 20, "train.log_every": 10, "train.evaluate_every": 20, "train.sample_every": 20,
        "train.checkpoint_every": 20,
    }
    return choose(variant, {"": full, "standard": standard, "cpu": cpu, "cpu_standard": reduced, "smoke": smoke})
