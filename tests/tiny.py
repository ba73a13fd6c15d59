"""An experiment with sweeps for whole-process tests: a VAE on digits, or a GAN, that trains in a second.

The environment variable GEN_TESTS_PAUSE makes every evaluation last so many seconds longer, to be interrupted.
GEN_TESTS_PARTS says what parts of evaluations are computed (`gen.evaluation.shared`): "lacking" fails, a number sleeps.
"""

import os
import time

from gen.config import product, sweep
from gen.errors import UserError, lookup
from gen.evaluation.shared import WORK
from gen.training.recorder import Recorder
from tests.helpers import gan_config, vae_config

if "GEN_TESTS_PAUSE" in os.environ:
    quick = Recorder.evaluate

    def evaluate(self, *args):
        time.sleep(float(os.environ["GEN_TESTS_PAUSE"]))
        return quick(self, *args)

    Recorder.evaluate = evaluate

if "GEN_TESTS_PARTS" in os.environ:
    def told(name, function):
        def parts(*args, **options):
            if os.environ["GEN_TESTS_PARTS"] == "lacking":
                raise UserError("not here")
            part = function(*args, **options)

            def one(i):
                print(f"Part {i} of {name}.", flush=True)
                time.sleep(float(os.environ["GEN_TESTS_PARTS"]))
                return part(i)

            return one

        return parts

    WORK.update({name: told(name, function) for name, function in WORK.items()})

EVALUATED = {
    "evaluators__log_likelihood__samples": 20, "evaluators__log_likelihood__examples": 33,
    "evaluators__log_likelihood__rows": 100, "evaluators__prdc__features": "raw", "evaluators__prdc__samples": 1_300,
    "train__steps": 4}
"""Evaluators whose parts processes share: 7 of the one, 3 of the other."""


def get_config(variant: str = ""):
    """Variant `slow` evaluates and saves after every dispatch; `gan` is the GAN; `evaluated` has `EVALUATED`."""
    if variant == "gan":
        return gan_config()
    if variant == "evaluated":
        return vae_config(**EVALUATED)
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
