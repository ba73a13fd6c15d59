"""Several devices: the training of one, up to rounding, for all families, with or without a split state."""

import math
import re
from functools import partial

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import gen
from gen.data import load
from gen.errors import UserError
from gen.storage.checkpoints import steps
from gen.training import loop, program, replicas, sharding
from tests.families.test_microbatches import MODELS
from tests.helpers import CONFIGS, assert_close, gan_config, stop_after, vae_config
from tests.test_accelerators import CONVOLUTIONAL

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


@pytest.mark.slow
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


BATCH = {"train__batch_size": 64}
IWAE = {"samples": 3, "objective__name": "iwae"}
LADDER = {"hierarchy__name": "ladder", "hierarchy__latents": (3,), "hierarchy__hidden": (5,)}
PLAYED = {"critic_steps": 3, "packing": 2, "train__microbatches": 2, "joint_batches": True, "minibatch_stddev": 4,
          "unrolled_steps": 1}


@pytest.mark.slow
@pytest.mark.parametrize("make, options", [
    *((MODELS[name], {}) for name in MODELS),
    (gan_config, {"critic_steps": 5}), (gan_config, PLAYED),
    (gan_config, {"critic_steps": 1, "packing": 2, "joint_packs": False}),
    (gan_config, CONVOLUTIONAL["gan"] | {"critic_steps": 3}),
    (vae_config, IWAE), (vae_config, IWAE | LADDER), (vae_config, CONVOLUTIONAL["vae"] | IWAE),
    (vae_config, IWAE | {"train__microbatches": 4}),
    (vae_config, IWAE | {"conditional": True, "posterior__name": "iaf"}),
], ids=[*MODELS, "gan-5", "gan-played", "gan-packs", "gan-convolutions", "vae-3", "ladder-3", "vae-convolutions",
        "vae-parts", "iaf"])
def test_each_device_multiplies_its_share_of_every_batch(make, options):
    """Sizes of the matrix products in the compiled program: numbers would not show a device that computes all rows."""
    of_one, of_two = (products(make(mesh__data=devices, **BATCH, **options)) for devices in (1, 2))
    assert of_one and 2 * of_two == of_one


def products(config) -> int:
    """Multiplications in the matrix products of a step, on each device."""
    dataset = load(config.data)
    mesh = sharding.mesh(config)
    made = program.make(config, dataset.spec, mesh)
    everywhere = sharding.state_sharding(mesh, (), False)
    placed = partial(jax.tree.map, lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=everywhere))
    rows = config.train.batch_size * made.family.batches
    raw = {name: jax.ShapeDtypeStruct((rows, *values.shape[1:]), values.dtype)
           for name, values in dataset.train.items()}
    lowered = jax.jit(made.step).lower(placed(program.abstract_state(made, dataset.spec)), placed(raw))
    return sum(map(multiplications, dots(lowered.compile().as_text())))


def dots(text: str):
    """(shape of the result, shape of the left factor, its contracted axes) of every product in XLA's text."""
    shape, shapes = r"\w+\[([\d,]*)\]", {}
    for line in text.splitlines():
        if found := re.match(rf"\s*(?:ROOT )?%?([\w.\-]+) = {shape}", line):
            shapes[found[1]] = numbers(found[2])
            if product := re.search(rf" dot\((?:{shape}\S* )?%?([\w.\-]+),.*lhs_contracting_dims={{([\d,]*)}}", line):
                yield shapes[found[1]], shapes[product[2]], numbers(product[3])


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in text.split(",") if n)


def multiplications(product) -> int:
    result, left, contracted = product
    return math.prod(result) * math.prod(left[axis] for axis in contracted)


@pytest.mark.slow
def test_replicas_and_data_share_the_devices(alone):
    configs = [gan_config(train__log_every=STEPS, mesh__data=2, seed=seed) for seed in (0, 1)]
    whole, states, _ = trained(configs)
    kernel = jax.tree.leaves(whole.params)[0]
    assert len(kernel.sharding.device_set) == 4
    assert kernel.addressable_shards[0].data.shape == (1, *kernel.shape[1:])
    assert_close(alone["gan"][0], states[0])


@pytest.mark.slow
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
    ({"mesh__data": -1}, "config.mesh.data = -1: must be at least 0"),
    ({"mesh__data": 3}, "config.mesh.data=3 does not divide config.train.batch_size=16"),
])
def test_a_mesh_that_cannot_be_is_one_line(overrides, message):
    with pytest.raises(UserError, match=message):
        sharding.mesh(vae_config(**overrides))
