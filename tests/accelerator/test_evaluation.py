"""Samples, the family's own evaluation and every evaluator on the accelerator, against the CPU's numbers."""

import functools

import jax
import numpy as np
import pytest

from gen.evaluation import EVALUATORS, classifier
from gen.evaluation.pretrained import dinov2, inception
from gen.evaluation.pretrained.networks import NETWORKS
from gen.training import program, recorder
from tests.accelerator import sides
from tests.accelerator.models import EVALUATED, MODELS, built, config

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
    sides.compare(f"{family}: share of sampled values that differ by 1e-3", "float32", float(differing.mean()), 1e-2)
    sides.compare(f"{family}: evaluation", "float32", sides.difference(others_metrics, metrics), 1e-3)


def test_every_evaluator_is_compared():
    compared = {name for model in EVALUATED.values() for name in model().evaluators}
    of_networks = {name for name in EVALUATORS if name.startswith(("inception_", "dinov2_"))}
    assert compared | of_networks | {"stacked_modes", "speed"} == EVALUATORS.keys()


def test_the_classifier_that_fid_and_stacked_modes_take():
    images = np.random.default_rng(0).random((100, 28, 28, 1), np.float32)
    with sides.on_cpu():
        variables = jax.device_get(jax.jit(functools.partial(classifier.LeNet(10).init, train=False))(
            jax.random.key(0), images))
    model = classifier.Classifier(variables, 1.0, (28, 28, 1), 10)
    with sides.on_cpu():
        expected = classifier.outputs(model, images)
    with sides.on_device():
        found = classifier.outputs(model, images)
    sides.compare("classifier: features and logits", "float32", sides.difference(found, expected), 1e-5)


@pytest.mark.parametrize("name,side", [("inception", inception.SIDE), ("dinov2_vitb14", dinov2.SIDE)])
def test_the_networks_that_inceptions_and_dinov2s_scores_take(name, side):
    network, rng = NETWORKS[name], np.random.default_rng(0)
    tensors = {key: np.float32(rng.normal(size=shape) / max(np.prod(shape[1:]), 1.0) ** 0.5)
               for key, shape in network.published.shapes().items()}
    tensors |= {key: 1 + np.abs(values) for key, values in tensors.items() if key.endswith("running_var")}
    images = np.float32(rng.normal(size=(4, side, side, 3)))

    @jax.default_matmul_precision("float32")
    def found():
        return jax.device_get(jax.jit(network.outputs)(network.published.converted(tensors), images))

    with sides.on_cpu():
        expected = found()
    with sides.on_device():
        values = found()
    sides.compare(f"{name}: outputs", "float32", sides.difference(values, expected), 1e-4)


@pytest.mark.parametrize("model", EVALUATED)
def test_evaluators(model):
    one = EVALUATED[model]()

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
        sides.compare(f"evaluator {name}", "float32", sides.difference(values[name], expected[name]), bound)
