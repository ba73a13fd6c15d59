"""An experiment with sweeps for whole-process tests: a VAE on digits, or a GAN, that trains in a second.

The environment variable GEN_TESTS_PAUSE makes every evaluation last so many seconds longer, to be interrupted.
"""

import os
import time

from gen.config import product, sweep
from gen.errors import lookup
from gen.training.recorder import Recorder
from tests.helpers import gan_config, vae_config

if "GEN_TESTS_PAUSE" in os.environ:
    quick = Recorder.evaluate

    def evaluate(self, *args):
        time.sleep(float(os.environ["GEN_TESTS_PAUSE"]))
        return quick(self, *args)

    Recorder.evaluate = evaluate


def get_config(variant: str = ""):
    """Variant `slow` evaluates and saves after every dispatch; `gan` is the GAN."""
    if variant == "gan":
        return gan_config()
    return vae_config(**{"train__evaluate_every": 2, "train__checkpoint_every": 2} if variant == "slow" else {})


def get_sweep(name: str = "") -> list[dict]:
    return lookup({
        "": product([sweep("optimizer.learning_rate", (1e-3, 1e-2)), sweep("seed", range(6))]),
        "two": sweep("seed", range(2)),
        "sizes": product([sweep("latents", (2, 3)), sweep("seed", range(2))]),
        "twice": sweep("latents", (2, 2)),
        "typo": sweep("latnets", (2, 3)),
        "diverging": sweep("optimizer.learning_rate", (1e-3, 1e30, 1e-2)),
    }, name, "sweep")
