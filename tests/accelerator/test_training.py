"""Training on the accelerator against the CPU's numbers: updates, penalties, packs, meshes, checkpoints, memory."""

import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gen
from gen.config import to_json
from gen.networks import ENCODERS
from gen.objectives.penalties import PENALTIES
from gen.precision import exact
from gen.training import loop, program, replicas, sharding
from tests.accelerator import sides
from tests.accelerator.models import MODELS, built, config
from tests.environment import ROOT, environment
from tests.helpers import stop_after

BOUNDS = {"float32": 1e-4, "tensorfloat32": 3e-2, "bfloat16": 0.05}
"""By the config's precision: of the difference of what three updates changed, relative to its norm."""

STEPS = 3

DISCRIMINATORS = {
    "dcgan": {"width": 4, "batch_norm": False},
    "resnet": {"width": 4, "depth": 2},
    "r3gan": {"width": 8, "depth": 1},
}
REAL_AND_FAKE = np.random.default_rng(0).standard_normal((2, 2, 8, 8, 3), np.float32)


def trained(made, data):
    """The state before and after the updates, and the metrics of the last one."""
    before = made.init(0, data)
    after, metrics = made.train(jax.tree.map(jnp.copy, before), data, STEPS)
    return before, after, jax.tree.map(lambda values: values[STEPS - 1], metrics)


def change(before, after):
    """What training changed of parameters and statistics."""
    return jax.tree.map(jnp.subtract, (after.params, after.variables), (before.params, before.variables))


@functools.cache
def reference(family):
    with sides.on_cpu():
        made, data, _ = built(config(family))
        return jax.device_get(trained(made, data))


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("family", MODELS)
def test_three_updates(family, precision):
    before, after, metrics = reference(family)
    with sides.on_device():
        made, data, _ = built(config(family, precision=precision))
        start, end, found = jax.device_get(trained(made, data))
    sides.compare(f"{family}: init", precision, sides.difference(start.params, before.params), 1e-5)
    sides.compare(f"{family}: change by 3 updates", precision,
                  sides.difference(change(start, end), change(before, after)), BOUNDS[precision])
    sides.compare(f"{family}: metrics", precision, sides.difference(found, metrics), BOUNDS[precision])


@functools.cache
def discriminator(network):
    """(module, parameters on the host); no branch of it is 0, as some are at first."""
    module = ENCODERS[network](**DISCRIMINATORS[network])
    with sides.on_cpu():
        params = jax.jit(functools.partial(module.init, train=True))(jax.random.key(1), REAL_AND_FAKE[0])["params"]
        keys = iter(jax.random.split(jax.random.key(3), len(jax.tree.leaves(params))))
        return module, jax.device_get(jax.tree.map(
            lambda leaf: leaf + 0.1 * jax.random.normal(next(keys), leaf.shape), params))


@pytest.mark.parametrize("network", DISCRIMINATORS)
def test_the_gradients_of_penalties(network):
    module, params = discriminator(network)
    penalties = [name for name in PENALTIES if name != "lecam"]

    def mean(params, penalty):
        def discriminate(x):
            return module.apply({"params": params}, x, train=False).reshape(len(x), -1).sum(-1)

        return PENALTIES[penalty](discriminate, *jnp.asarray(REAL_AND_FAKE), jax.random.key(2)).mean()

    @exact
    def gradients():
        return jax.device_get(jax.jit(lambda params: {
            penalty: jax.grad(mean)(params, penalty) for penalty in penalties})(params))

    with sides.on_cpu():
        expected = gradients()
    with sides.on_device():
        found = gradients()
    for penalty in penalties:
        sides.compare(f"{penalty} of {network}: second-order gradient", "float32",
                      sides.difference(found[penalty], expected[penalty]), 1e-4)


@pytest.mark.parametrize("family", ["gan", "vae"])
def test_a_pack_is_its_lone_runs(family):
    configs = [config(family, seed=seed) for seed in range(4)]
    with sides.on_device():
        made, data, dataset = built(configs[0])
        states = [replicas.initial(made, one, dataset.train) for one in configs]
        lone = jax.device_get([made.train(jax.tree.map(jnp.copy, state), data, STEPS)[0] for state in states])
        mesh = jax.make_mesh((1, 1), ("replica", "data"), devices=[sides.device()],
                             axis_types=(jax.sharding.AxisType.Auto,) * 2)
        pack = replicas.pack(made, mesh, len(configs))
        together, _ = pack.train(pack.join(states), pack.place(dataset.train), STEPS)
        packed = jax.device_get(pack.split(together))
    moved = [change(jax.device_get(before), after) for before, after in zip(states, lone, strict=True)]
    found = [change(jax.device_get(before), after) for before, after in zip(states, packed, strict=True)]
    sides.compare(f"{family}: a pack of 4 against lone runs", "float32", sides.difference(found, moved), 1e-4)


@pytest.mark.parametrize("fsdp", [False, True], ids=["data", "fsdp"])
@pytest.mark.parametrize("family", ["gan", "vae"])
def test_a_mesh_trains_as_one_device(family, fsdp):
    devices = jax.device_count() if sides.STANDS_IN else len(jax.devices(sides.device().platform))
    devices = max(n for n in (1, 2, 4, 8) if n <= devices)
    if devices == 1:
        pytest.skip("there is one device")
    one = config(family, mesh__data=devices, mesh__fsdp=fsdp)
    with sides.on_device():
        _, data, dataset = built(one)
        mesh = sharding.mesh(one)
        made = program.make(one, dataset.spec, mesh)
        pack = replicas.pack(made, mesh, 1)
        start = replicas.initial(made, one, dataset.train)
        before = jax.device_get(start)
        after, _ = pack.train(pack.join([start]), pack.place(dataset.train), STEPS)
        (after,) = jax.device_get(pack.split(after))
    expected = reference(family)
    sides.compare(f"{family}: {devices} devices{', fsdp' if fsdp else ''}", "float32",
                  sides.difference(change(before, after), change(*expected[:2])), 1e-4)


def cpu_train(folder, one) -> None:
    """Trains the run in a process that has CPUs alone."""
    code = ("import sys; from gen import config; from gen.training import loop; "
            "loop.train(config.from_json(sys.argv[1]), sys.argv[2])")
    subprocess.run([sys.executable, "-c", code, to_json(one), str(folder)], cwd=ROOT, check=True, capture_output=True,
                   env=environment() | {"JAX_PLATFORMS": "cpu"})


def test_saved_on_either_side_a_run_goes_on_on_the_other(tmp_path):
    one = config("gan")
    cpu_train(tmp_path / "cpu", one)
    with sides.on_device():
        loop.train(one, tmp_path / "there", stop_after(1))
        half = config("gan", train__steps=3)
        cpu_train(tmp_path / "back", half)
        (tmp_path / "back/DONE").unlink()
        cpu_train(tmp_path / "there", one)
        loop.train(one, tmp_path / "back")
        expected, *found = (jax.device_get(gen.load(tmp_path / name).state) for name in ("cpu", "there", "back"))
        before = jax.device_get(replicas.initial(built(one)[0], one, built(one)[2].train))
    for label, state in zip(("saved there, ended on the CPU", "saved on the CPU, ended there"), found, strict=True):
        assert state.step == expected.step == 6
        sides.compare(f"gan: {label}", "float32",
                      sides.difference(state.params, expected.params, change(before, expected)[0]), 1e-3)


def test_the_memory_that_a_dry_run_states_is_what_the_allocator_gives():
    """In a process of its own: a peak stays. Its state is made on the CPU, and no convolution is tried out there."""
    ran = subprocess.run([sys.executable, "-m", "tests.accelerator.memory"], cwd=ROOT, capture_output=True, text=True,
                         env=environment() | {"XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_gpu_autotune_level=0"})
    assert ran.returncode == 0, ran.stderr
    stated, peak = map(int, ran.stdout.split())
    assert stated > 0
    if not peak:
        pytest.skip(f"{sides.name()} does not count its memory")
    sides.compare("gan: stated memory against the allocator's peak", "float32", abs(stated / peak - 1), 0.3)
