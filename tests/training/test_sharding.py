"""Several devices: the training of one, up to rounding, for all families, with or without a split state."""

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import gen
from gen.data import load
from gen.errors import UserError
from gen.training import loop, program, replicas, sharding
from gen.training.checkpoints import steps
from tests.helpers import CONFIGS, assert_close, gan_config, stop_after, vae_config

STEPS = 4
FAMILIES = pytest.mark.parametrize("family", CONFIGS)


def trained(configs):
    """The states after a few steps of runs that train together, and their metrics."""
    dataset = load(configs[0].data)
    mesh = sharding.mesh(configs[0], len(configs))
    made = program.make(configs[0], dataset.spec, mesh)
    pack = replicas.pack(made, mesh, len(configs))
    state = pack.join([replicas.initial(made, config, dataset.train) for config in configs])
    state, metrics = pack.train(state, pack.place(dataset.train), STEPS)
    return state, pack.split(state), pack.fetch(metrics)


@pytest.fixture(scope="module")
def alone():
    """By family, (state, metrics) on one device."""
    results = {}
    for family, make in CONFIGS.items():
        _, states, metrics = trained([make(train__log_every=STEPS)])
        results[family] = states[0], metrics[0]
    return results


@FAMILIES
@pytest.mark.parametrize("devices, fsdp", [(2, False), (8, False), (8, True)])
def test_any_number_of_devices_trains_alike(alone, family, devices, fsdp):
    config = CONFIGS[family](train__log_every=STEPS, mesh__data=devices, mesh__fsdp=str(fsdp).lower())
    whole, states, metrics = trained([config])
    assert_close(alone[family][0], states[0])
    for name, values in metrics[0].items():
        np.testing.assert_allclose(values, alone[family][1][name], rtol=1e-3, atol=1e-4, err_msg=name)
    kernels = [leaf for leaf in jax.tree.leaves(whole.params) if leaf.shape == (8, 8)]
    for kernel in kernels or jax.tree.leaves(whole.params):
        assert len(kernel.sharding.device_set) == devices
        split = sharding.spec(kernel.shape, devices) != P() and fsdp
        assert (kernel.addressable_shards[0].data.size < kernel.size) == split


def test_replicas_and_data_share_the_devices(alone):
    configs = [gan_config(train__log_every=STEPS, mesh__data=2, seed=seed) for seed in (0, 1)]
    whole, states, _ = trained(configs)
    kernel = jax.tree.leaves(whole.params)[0]
    assert len(kernel.sharding.device_set) == 4
    assert kernel.addressable_shards[0].data.shape == (1, *kernel.shape[1:])
    assert_close(alone["gan"][0], states[0])


def test_a_run_goes_on_with_another_number_of_devices(tmp_path):
    for mesh in ({"mesh__data": 8}, {"mesh__data": 2, "mesh__fsdp": "true"}):
        config = vae_config(train__checkpoint_every=2, **mesh)
        assert loop.train(config, tmp_path / "elastic", stop_after(2)) == "stopped"
    assert steps(tmp_path / "elastic" / "checkpoints")[-1] == 8
    assert loop.train(vae_config(train__checkpoint_every=2), tmp_path / "elastic") == "finished"
    assert loop.train(vae_config(), tmp_path / "alone") == "finished"
    assert_close(gen.load(tmp_path / "elastic").state, gen.load(tmp_path / "alone").state)


def test_the_largest_dimension_that_is_divided_is_split():
    assert sharding.spec((784, 200), 8) == P("data", None)
    assert sharding.spec((3, 3, 64, 128), 8) == P(None, None, None, "data")
    assert sharding.spec((50, 7), 8) == P()
    assert sharding.spec((), 8) == P()
    assert sharding.spec((784, 200), 0) == P()


@pytest.mark.parametrize("overrides, replicas, cpu, shape", [
    ({"mesh__data": 0}, 1, False, (1, 8)),
    ({"mesh__data": 0, "train__batch_size": 20}, 1, False, (1, 5)),
    ({"mesh__data": 0}, 10, True, (5, 1)),
    ({"mesh__data": 0}, 4, False, (4, 2)),
    ({"mesh__data": 2}, 3, False, (3, 2)),
    ({"mesh__data": 2}, 12, True, (4, 2)),
    ({"mesh__data": 0}, 4, True, (4, 1)),
    ({"mesh__data": 0}, 1, True, (1, 1)),
])
def test_the_mesh_takes_the_devices_there_are(overrides, replicas, cpu, shape):
    assert sharding.extent(vae_config(**overrides), replicas, 8, cpu) == shape


@pytest.mark.parametrize("overrides, message", [
    ({"mesh__data": 9}, "config.mesh.data=9: there are 8 devices"),
    ({"mesh__data": -1}, "config.mesh.data=-1: there are 8 devices"),
    ({"mesh__data": 3}, "config.mesh.data=3 does not divide config.train.batch_size=16"),
])
def test_a_mesh_that_cannot_be_is_one_line(overrides, message):
    with pytest.raises(UserError, match=message):
        sharding.mesh(vae_config(**overrides))
