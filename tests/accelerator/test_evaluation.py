"""Samples, the family's own evaluation and every evaluator on the accelerator, against the CPU's numbers."""

import jax
import numpy as np
import pytest

from gen.evaluation import EVALUATORS
from gen.training import program, recorder
from tests.accelerator import sides
from tests.accelerator.models import MODELS, built, config
from tests.helpers import gan_config, vae_config


def evaluators(**chosen):
    """Overrides that have these evaluators, each with its options, or none of them for False."""
    return {f"evaluators__{name}{f'__{key}' if key else ''}": value for name, options in chosen.items()
            for key, value in (options.items() if isinstance(options, dict) else [("", options)])}


RAW = {"features": "raw", "samples": 100}
MODELS_OF = {
    "ring": lambda: gan_config(**evaluators(modes={"samples": 100})),
    "line": lambda: gan_config(data__name="line", latents=1, **evaluators(modes=False, optimal_discriminator=True)),
    "digits": lambda: config("gan", **evaluators(fid=RAW, kid=RAW, prdc=RAW, memorization=RAW)),
    "polygons": lambda: config("gan", data__name="polygons", data__examples=100, data__test_examples=50,
                               **evaluators(polygons={"samples": 50})),
    "vae": lambda: config("vae", **evaluators(log_likelihood={"samples": 50, "examples": 20},
                                              latents={"samples": 50})),
    "small vae": lambda: vae_config(**evaluators(annealed_log_likelihood={"examples": 4, "steps": 20})),
    "vqvae": lambda: config("vqvae", **evaluators(codebook=True)),
    "shapes": lambda: vae_config(
        data__name="shapes", data__size=16, data__examples=50, data__test_examples=200, latents=3,
        **evaluators(mig={"samples": 50, "examples": 200}, sap={"examples": 200}, dci={"examples": 200},
                     factor_score={"votes": 50})),
}
"""Model to the config that evaluates it; classifiers and clocks are tested elsewhere."""

COUNTS = {"modes", "prdc", "polygons", "dci", "factor_score", "sap", "memorization"}
"""Those that count or compare: an example at a border makes a step."""


@pytest.mark.parametrize("family", MODELS)
def test_samples_and_the_familys_evaluation(family):
    def found():
        made, data, dataset = built(config(family))
        state = made.init(0, data)
        samples = program.draw(made, state, jax.random.key(1), 64)
        return samples, program.means(made.evaluate(state, program.on_device(dataset.test)))

    with sides.on_cpu():
        samples, metrics = found()
    with sides.on_device():
        others, others_metrics = found()
    differing = np.abs(others - samples) > 1e-3
    sides.compare(f"{family}: share of sampled values that differ by 1e-3", "highest", float(differing.mean()), 1e-2)
    sides.compare(f"{family}: evaluation", "highest", sides.difference(others_metrics, metrics), 1e-3)


def test_every_evaluator_is_compared():
    compared = {name for model in MODELS_OF.values() for name in model().evaluators}
    assert compared | {"stacked_modes", "speed"} == EVALUATORS.keys()


@pytest.mark.parametrize("model", MODELS_OF)
def test_evaluators(model):
    one = MODELS_OF[model]()

    def found():
        made, data, dataset = built(one)
        known = recorder.evaluations(made, made.init(0, data), dataset, one)
        return {name: known[name]() for name in one.evaluators}

    with sides.on_cpu():
        expected = found()
    with sides.on_device():
        values = found()
    for name in one.evaluators:
        bound = 5e-2 if name in COUNTS else 1e-3
        sides.compare(f"evaluator {name}", "highest", sides.difference(values[name], expected[name]), bound)
