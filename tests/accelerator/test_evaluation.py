"""Samples, the family's own evaluation and every evaluator on the accelerator, against the CPU's numbers."""

import jax
import numpy as np
import pytest

from gen.evaluation import EVALUATORS
from gen.training import program, recorder
from tests.accelerator import sides
from tests.accelerator.models import MODELS, built, config
from tests.helpers import gan_config, vae_config

RAW = {"features": "raw", "samples": 100}
EVALUATED = {
    "modes": lambda: gan_config(evaluators__modes__samples=100),
    "optimal_discriminator": lambda: gan_config(
        data__name="line", latents=1, evaluators__optimal_discriminator=True, evaluators__modes=False),
    "fid": lambda: config("gan", **{f"evaluators__fid__{k}": v for k, v in RAW.items()}),
    "kid": lambda: config("gan", **{f"evaluators__kid__{k}": v for k, v in RAW.items()}),
    "prdc": lambda: config("gan", **{f"evaluators__prdc__{k}": v for k, v in RAW.items()}),
    "memorization": lambda: config("gan", **{f"evaluators__memorization__{k}": v for k, v in RAW.items()}),
    "log_likelihood": lambda: config("vae", evaluators__log_likelihood__samples=50,
                                     evaluators__log_likelihood__examples=20),
    "annealed_log_likelihood": lambda: vae_config(evaluators__annealed_log_likelihood__examples=4,
                                                  evaluators__annealed_log_likelihood__steps=20),
    "latents": lambda: config("vae", evaluators__latents__samples=50),
    "codebook": lambda: config("vqvae", evaluators__codebook=True),
    "polygons": lambda: config("gan", data__name="polygons", evaluators__polygons__samples=50),
    "mig": lambda: shapes("mig", samples=50, examples=200),
    "sap": lambda: shapes("sap", examples=200),
    "dci": lambda: shapes("dci", examples=200),
    "factor_score": lambda: shapes("factor_score", votes=50),
}
"""Evaluator to a config that has it; its classifiers and clocks are tested elsewhere."""

COUNTS = {"modes", "prdc", "polygons", "dci", "factor_score", "sap", "memorization"}
"""Those that count or compare: an example at a border makes a step."""


def shapes(evaluator, **options):
    chosen = {f"evaluators__{evaluator}__{option}": value for option, value in options.items()}
    return vae_config(data__name="shapes", latents=3, **chosen)


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
    assert EVALUATED.keys() | {"stacked_modes", "speed"} == EVALUATORS.keys()


@pytest.mark.parametrize("evaluator", EVALUATED)
def test_evaluators(evaluator):
    one = EVALUATED[evaluator]()

    def found():
        made, data, dataset = built(one)
        return recorder.evaluate(made, made.init(0, data), dataset, one)

    with sides.on_cpu():
        expected = found()
    with sides.on_device():
        values = found()
    bound = 5e-2 if evaluator in COUNTS else 1e-3
    sides.compare(f"evaluator {evaluator}", "highest", sides.difference(values, expected), bound)
