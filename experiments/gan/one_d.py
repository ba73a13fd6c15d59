"""A GAN on the real line against the best discriminator there is (Goodfellow et al. 2014, section 4 and figure 1).

    python scripts/train.py --config=experiments/gan/one_d.py             both players
    python scripts/train.py --config=experiments/gan/one_d.py:fixed       the generator stays as it began
    python scripts/evaluate.py --workdir=runs/gan/one_d/default           numbers, and a picture in evaluations/

Two Gaussians, one latent, so that the generator's density is known: every evaluation has, by quadrature, the value of
the game at the best discriminator, 2 JSD - log 4 (`optimal_value`), at the trained one (`value`), their `gap`, and
`jsd`. With `fixed` the gap closes; when both play, the optimal value goes to -log 4 = -1.386 and both densities
become one. The claim is theorem 1 of the paper; it has no table.
"""

from ml_collections import ConfigDict

from gen.config import variant as choose


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variants `fixed`, a generator that does not learn, and `smoke`, a run of seconds."""
    optimizer = {"name": "adam", "learning_rate": 1e-3, "b1": 0.0, "b2": 0.99}
    full = ConfigDict({
        "family": "gan",
        "data": {"name": "line", "modes": 2, "spacing": 3.0, "std": 0.5},
        "latents": 1,
        "critic_steps": 1,
        "generator": {"name": "mlp", "hidden": (64, 64), "activation": "tanh"},
        "discriminator": {"name": "mlp", "hidden": (64, 64), "activation": "tanh"},
        "loss": {"name": "non_saturating"},
        "generator_optimizer": optimizer,
        "discriminator_optimizer": optimizer,
        "evaluators": {"optimal_discriminator": {}},
        "train": {
            "steps": 5_000, "batch_size": 512, "log_every": 100, "evaluate_every": 500, "sample_every": 500,
            "checkpoint_every": 5_000,
        },
    })
    smoke = {
        "data.examples": 1_000, "data.test_examples": 100, "train.batch_size": 16, "train.steps": 4,
        "train.log_every": 2, "train.evaluate_every": 4, "train.sample_every": 4, "train.checkpoint_every": 4,
    }
    return choose(variant, {"": full, "fixed": {"generator_optimizer.learning_rate": 0.0}, "smoke": smoke})
