"""A GAN on the real line against the best discriminator there is (Goodfellow et al. 2014, section 4 and figure 1).

    python scripts/train.py --config=experiments/gan/one_d.py             five steps of D to one of G
    python scripts/train.py --config=experiments/gan/one_d.py:one_step    one to one, G five times as fast
    python scripts/train.py --config=experiments/gan/one_d.py:fixed       G stays as it began
    python scripts/evaluate.py --workdir=runs/gan/one_d/default           numbers, and a picture in evaluations/

Two Gaussians, one latent, so that the generator's density is known: every evaluation has, by quadrature, the value of
the game at the best discriminator, 2 JSD - log 4 (`optimal_value`), at the trained one (`value`), their `gap`, and
`jsd`. The claim is theorem 1 of the paper, which has no table: the optimal value goes to -log 4 = -1.386 as the
densities become one. Reached after 5,000 steps, in nats (seed 0):

                 optimal value    value     gap       jsd
    default      -1.386           -1.386    0.0006    0.0002
    one_step     -1.325           -1.387    0.062     0.031     the discriminator cannot follow
    fixed        -0.407           -0.415    0.008     0.490
"""

from ml_collections import ConfigDict

from gen.config import variant as choose


def get_config(variant: str = "") -> ConfigDict:
    """The experiment; variants `fixed` and `one_step` as above, and `smoke`, a run of seconds."""
    optimizer = {"name": "adam", "b1": 0.0, "b2": 0.99}
    full = ConfigDict({
        "family": "gan",
        "data": {"name": "line", "modes": 2, "spacing": 2.0, "std": 0.5},
        "latents": 1,
        "critic_steps": 5,
        "generator": {"name": "mlp", "hidden": (64, 64), "activation": "tanh"},
        "discriminator": {"name": "mlp", "hidden": (64, 64), "activation": "tanh"},
        "loss": {"name": "non_saturating"},
        "generator_optimizer": optimizer | {"learning_rate": 2e-4},
        "discriminator_optimizer": optimizer | {"learning_rate": 1e-3},
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
    return choose(variant, {
        "": full,
        "one_step": {"critic_steps": 1, "generator_optimizer.learning_rate": 1e-3},
        "fixed": {"generator_optimizer.learning_rate": 0.0},
        "smoke": smoke,
    })
