"""The comparison of families: every model of a data set trains for the same number of FLOPs."""

import numpy as np
import pytest

from gen.config import module
from gen.data import Spec
from gen.schema import complete
from gen.tables.points import EXPERIMENTS
from gen.training import program
from gen.training.cost import step_flops

FAMILIES = module(EXPERIMENTS / "comparison" / "families.py")
MODELS = [(data, model) for data in ("ring", "mnist") for model in FAMILIES.STEP_FLOPS[FAMILIES.kind(data)]]


@pytest.mark.slow
@pytest.mark.parametrize("data, model", MODELS)
def test_a_run_takes_its_budget(data, model):
    config = complete(FAMILIES.get_config(f"{data}_{model}_cpu"), {})
    image = data == "mnist"
    spec = Spec((28, 28, 1), 10, config.data.range) if image else Spec((2,), 0, "real")
    examples = {"x": np.zeros((256, *spec.shape), np.uint8 if image else np.float32), "label": np.zeros(256, np.int32)}
    flops = step_flops(program.make(config, spec), config, spec, examples if image else {"x": examples["x"]})
    assert flops * config.train.steps == pytest.approx(FAMILIES.BUDGETS["cpu"][data], rel=0.1)
