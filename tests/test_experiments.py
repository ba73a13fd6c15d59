"""Every experiment file: its variants resolve, and its smoke variant trains, samples and evaluates."""

import importlib.util

import numpy as np
import pytest

from gen import config as configs
from gen.config import check_train
from gen.config.trees import flatten
from gen.data import images, load
from gen.schema import complete
from gen.training import program, recorder
from tests.environment import ROOT

EXPERIMENTS = sorted(path for path in (ROOT / "experiments").glob("*/*.py") if path.parent.name != "lecture")
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


@pytest.mark.slow
@pytest.mark.parametrize("path", EXPERIMENTS, ids=NAMES)
def test_every_variant_resolves_and_the_docstring_has_its_command(path):
    names = variants(path)
    assert {"", "smoke"} <= names
    for name in names:
        complete(configs.load(f"{path}:{name}" if name else str(path)), {})
    assert f"--config=experiments/{path.parent.name}/{path.name}" in path.read_text()


SMOKES = [(path, name) for path in EXPERIMENTS for name in variants(path) if name.startswith("smoke")]


@pytest.mark.slow
@pytest.mark.parametrize("path, variant", SMOKES, ids=[f"{path.parent.name}/{path.stem}:{name}"
                                                       for path, name in SMOKES])
def test_the_smoke_form_trains_evaluates_and_samples(path, variant, request):
    """All that depends on the experiment; tests of the loop and of the scripts run whole experiments."""
    config = complete(configs.load(f"{path}:{variant}"), {})
    if config.data.name in images.SHAPES:
        request.getfixturevalue("prepared")(config.data.name)
    dataset = load(config.data)
    check_train(config, len(dataset.train["x"]))
    made, data = program.make(config, dataset.spec), program.on_device(dataset.train)
    state, metrics = made.train(made.init(config.seed, data), data, config.train.log_every)
    assert state.step == config.train.log_every
    results = program.means(metrics) | recorder.evaluate(made, state, dataset, config)
    assert not np.isnan(list(results.values())).any() and np.isfinite(program.draw(made, state, state.key, 5)).all()


RELEASED = {
    "gan/stacked_mnist": {
        "simultaneous": False, "joint_packs": False, "joint_batches": False, "generator_statistics": "batch",
        "generator.kernel_init": "normal", "discriminator.kernel_init": "normal",
        "generator.batch_norm_momentum": 0.9, "discriminator.batch_norm_momentum": 0.9,
    },
    **dict.fromkeys(("gan/pacgan_ring", "gan/pacgan_grid"), {
        "simultaneous": True, "joint_packs": False, "generator_statistics": "averaged", "ema_half_life": 0.0,
        "generator.kernel_init": "normal", "generator.batch_norm_momentum": 0.95, "generator.batch_norm_epsilon": 1e-4,
    }),
    "vae/vamp": {
        "data.train_examples": 50_000, "schedules.kl_weight.name": "stairs",
        "schedules.kl_weight.steps": 50_000, "schedules.kl_weight.count": 100, "optimizer.name": "normalized_adam",
        "encoder.kernel_init": "kaiming_normal", "decoder.kernel_init": "kaiming_normal",
        "posterior.kernel_init": "kaiming_normal", "posterior.log_variance_bounds": (-6.0, 2.0),
    },
    "vae/vqvae_cifar10": {
        "data.train_examples": 40_000, "encoder.stem_relu": True, "encoder.block_bias": True,
        "decoder.block_bias": True,
    },
}
"""Where the released code of a paper decides what the full protocol is."""


@pytest.mark.parametrize("name", RELEASED)
def test_full_protocols_are_those_of_the_released_code(name):
    config = flatten(complete(configs.load(str(ROOT / "experiments" / f"{name}.py")), {}))
    assert {key: config[key] for key in RELEASED[name]} == RELEASED[name]
