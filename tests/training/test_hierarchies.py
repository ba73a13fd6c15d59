"""Hierarchies of latents that are maps train as every model does: stopped and gone on, packed, shared, in bfloat16."""

import jax
import numpy as np
import pytest

import gen
from gen.data import load
from gen.networks import loops
from gen.training import loop, program, replicas, sharding
from tests.helpers import assert_close, assert_same_bits, hierarchy_config, stop_after

SGD = {"optimizer__name": "sgd", "optimizer__learning_rate": 1e-3, "train__steps": 4, "train__checkpoint_every": 2}
SMALL = {
    "convolutional_ladder": {},
    "very_deep": {"hierarchy__name": "very_deep", "hierarchy__up": ("8x3", "8d8", "1"),
                  "hierarchy__down": ("1", "8m1", "8x2"), "hierarchy__width": 8},  # with loops both ways
}


def small(name, **overrides):
    """A config with one of the hierarchies."""
    return hierarchy_config(**SMALL[name], **SGD | overrides)


@pytest.mark.slow
def test_stopped_and_gone_on_has_the_same_bits_and_a_pack_the_same_numbers(tmp_path):
    configs = [small("convolutional_ladder", optimizer__learning_rate=rate) for rate in (1e-3, 2e-3)]
    assert replicas.groups(configs, most=8) == [[0, 1]]
    loop.train(configs[0], tmp_path / "whole")
    loop.train(configs[0], tmp_path / "parts", stop_after(1))
    loop.train(configs[0], tmp_path / "parts")
    loop.train_together(configs, [tmp_path / "a", tmp_path / "b"])
    whole, parts, packed, other = (gen.load(tmp_path / name).state for name in ("whole", "parts", "a", "b"))
    assert_same_bits(whole, parts)
    assert_close(whole, packed)
    assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (packed.params, other.params)), strict=True))


def trained(config):
    """The parameters before and after two steps."""
    dataset = load(config.data)
    mesh = sharding.mesh(config)
    made = program.make(config, dataset.spec, mesh)
    pack = replicas.pack(made, mesh, 1)
    before = replicas.initial(made, config, dataset.train)
    start = jax.tree.map(np.array, before.params)
    state, _ = pack.train(pack.join([before]), pack.place(dataset.train), 2)
    return start, jax.device_get(pack.split(state)[0].params)


def flat(start, end):
    """All that the steps changed, as one vector."""
    return np.concatenate([np.ravel(b - a) for a, b in zip(*map(jax.tree.leaves, (start, end)), strict=True)])


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_steps_on_eight_devices_and_in_bfloat16_are_those_of_one_in_float32(name, monkeypatch):
    """To rounding, and to the accuracy of bfloat16."""
    monkeypatch.setattr(loops, "LOOPED", 3)
    start, alone = trained(small(name))
    assert_close(alone, trained(small(name, mesh__data=8, mesh__fsdp=True))[1])
    exact, rounded = flat(start, alone), flat(*trained(small(name, precision="bfloat16")))
    assert 1e-4 < np.linalg.norm(rounded - exact) / np.linalg.norm(exact) < 0.1
