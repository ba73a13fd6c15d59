"""Every experiment file: its variants resolve, and its smoke variant trains, samples and evaluates."""

import importlib.util

import numpy as np
import pytest

import gen
from gen import config as configs
from gen.data import images
from gen.schema import complete
from gen.training import loop
from tests.environment import ROOT

EXPERIMENTS = sorted((ROOT / "experiments").glob("*/*.py"))
NAMES = [f"{path.parent.name}/{path.stem}" for path in EXPERIMENTS]


def variants(path):
    """The names of the experiment's variants: those that its `choose` is given."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    choices = {}
    module.choose = lambda name, variants: choices.update(variants) or variants[""]
    module.get_config()
    return choices.keys()


@pytest.mark.parametrize("path", EXPERIMENTS, ids=NAMES)
def test_every_variant_resolves_and_the_docstring_has_its_command(path):
    names = variants(path)
    assert {"", "smoke"} <= names
    for name in names:
        complete(configs.load(f"{path}:{name}" if name else str(path)), {})
    assert f"--config=experiments/{path.parent.name}/{path.name}" in path.read_text()


@pytest.mark.parametrize("path", EXPERIMENTS, ids=NAMES)
def test_smoke(path, tmp_path, request):
    config = complete(configs.load(f"{path}:smoke"), {})
    if config.data.name in images.SHAPES:
        request.getfixturevalue("prepared")(config.data.name)
    assert loop.train(config, tmp_path) == "finished"
    run = gen.load(tmp_path)
    assert run.step == config.train.steps
    assert np.isfinite(run.sample(5)).all()
    assert (tmp_path / "samples.gif").exists() == (config.train.sample_every > 0)
