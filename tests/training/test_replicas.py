"""Runs that train together: which may, and that each is the run it would be alone."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gen
from gen.data import load
from gen.storage.checkpoints import steps
from gen.training import loop, program, recorder, replicas, sharding
from gen.training.writers import read_metrics
from tests.helpers import CONFIGS, assert_close, assert_same_bits, gan_config, leaves, stop_after, vae_config

RATES = {"vae": "optimizer__learning_rate", "gan": "discriminator_optimizer__learning_rate",
         "diffusion": "optimizer__learning_rate"}


def points(family):
    """Two seeds, and another learning rate of the second."""
    make = CONFIGS[family]
    return [make(seed=0), make(seed=1), make(seed=1, **{RATES[family]: 3e-3})]


def assert_same_run(a, b):
    assert_close(gen.load(a).state, gen.load(b).state)
    for row, other in zip(*(read_metrics(folder / "metrics.jsonl") for folder in (a, b)), strict=True):
        assert row.keys() - {"images_per_s"} == other.keys() - {"images_per_s"}
        np.testing.assert_allclose(row.get("kl", 0), other.get("kl", 0), rtol=1e-3)


@pytest.fixture(scope="module", params=CONFIGS)
def packed(request, tmp_path_factory):
    """The points of a family and the folders of their runs, trained together."""
    configs = points(request.param)
    folders = [tmp_path_factory.mktemp(request.param) for _ in configs]
    assert loop.train_together(configs, folders) == ["finished"] * len(configs)
    return configs, folders


@pytest.mark.slow
def test_each_is_the_run_it_would_be_alone(packed, tmp_path):
    configs, folders = packed
    for i in (0, 2):
        alone = tmp_path / str(i)
        assert loop.train(configs[i], alone) == "finished"
        assert_same_run(alone, folders[i])
        assert {p.name for p in alone.iterdir() if "tfevents" not in p.name} == {
            p.name for p in folders[i].iterdir() if "tfevents" not in p.name}
    states = [leaves(gen.load(folder).state) for folder in folders[1:3]]
    assert any(not np.array_equal(states[0][path], states[1][path]) for path in states[0] if "params" in path)


@pytest.mark.slow
@pytest.mark.parametrize("packed", ["gan"], indirect=True)
def test_stopped_and_gone_on_ends_with_the_same_bits(packed, tmp_path):
    configs, folders = packed
    again = [tmp_path / str(i) for i in range(len(configs))]
    assert loop.train_together(configs, again, stop_after(3)) == ["stopped"] * len(configs)
    assert [steps(folder / "checkpoints")[-1] for folder in again] == [6] * len(configs)
    assert loop.train_together(configs, again) == ["finished"] * len(configs)
    for folder, other in zip(folders, again, strict=True):
        assert_same_bits(gen.load(folder).state, gen.load(other).state)


@pytest.mark.slow
@pytest.mark.parametrize("packed", ["vae"], indirect=True)
def test_runs_at_different_steps_and_finished_ones_go_on(packed, tmp_path):
    configs, folders = packed
    again = [tmp_path / str(i) for i in range(len(configs))]
    loop.train_together(configs, again, stop_after(4))
    shutil.rmtree(again[1] / "checkpoints" / "8")
    shutil.rmtree(again[2])
    shutil.copytree(folders[2], again[2])
    assert loop.train_together(configs, again) == ["finished"] * len(configs)
    for folder, other in zip(folders, again, strict=True):
        assert_same_run(folder, other)


@pytest.mark.slow
def test_a_vmapped_step_is_the_step_of_each():
    """The form for accelerators, which a CPU does not choose."""
    configs = points("gan")
    dataset = load(configs[0].data)
    made = program.make(configs[0], dataset.spec)
    data = program.on_device(dataset.train)
    states = [replicas.initial(made, config, dataset.train) for config in configs]
    joined = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    together, _ = jax.jit(jax.vmap(lambda state: made.train(state, data, 4)))(joined)
    for i, state in enumerate(states):
        assert_close(jax.tree.map(lambda leaf, i=i: leaf[i], together), made.train(state, data, 4)[0])


@pytest.mark.slow
def test_replicas_are_sharded_over_the_devices():
    configs = [*points("vae"), vae_config(seed=2)]
    dataset = load(configs[0].data)
    mesh = sharding.mesh(configs[0], len(configs))
    made = program.make(configs[0], dataset.spec, mesh)
    pack = replicas.pack(made, mesh, len(configs))
    state = pack.join([replicas.initial(made, config, dataset.train) for config in configs])
    state, metrics = pack.train(state, pack.place(dataset.train), 2)
    kernel = jax.tree.leaves(state.params)[0]
    assert len({shard.device for shard in kernel.addressable_shards}) == len(configs)
    assert {shard.data.shape[0] for shard in kernel.addressable_shards} == {1}
    assert len(pack.fetch(metrics)) == len(pack.split(state)) == len(configs)


@pytest.mark.slow
def test_one_that_diverges_does_not_end_the_others(tmp_path):
    configs = [vae_config(), vae_config(optimizer__learning_rate=1e30)]
    outcomes = loop.train_together(configs, [tmp_path / "a", tmp_path / "b"])
    assert outcomes[0] == "finished"
    assert isinstance(outcomes[1], recorder.Diverged) and str(tmp_path / "b") in str(outcomes[1])
    assert (tmp_path / "a" / "DONE").exists() and not (tmp_path / "b" / "DONE").exists()


def test_groups_differ_in_leaves_of_the_state_alone():
    configs = [
        vae_config(seed=0), vae_config(seed=1), vae_config(latents=3), vae_config(optimizer__learning_rate=0.1),
        vae_config(latents=3, seed=5), vae_config(objective__beta=4.0), vae_config(objective__beta=0.0),
        vae_config(train__steps=14), vae_config(seed=9),
    ]
    assert replicas.groups(configs, most=8) == [[0, 1, 3, 5, 8], [2, 4], [6], [7]]
    assert replicas.groups(configs, most=2) == [[0, 1], [2, 4], [3, 5], [6], [7], [8]]


def test_a_term_that_is_off_is_another_program():
    gans = [gan_config(ema_half_life=0.0), gan_config(), gan_config(ema_half_life=50.0), gan_config(packing=2)]
    assert replicas.groups(gans, most=8) == [[0], [1, 2], [3]]
    vaes = [vae_config(kl_weight=weight) for weight in (0.5, 1.0, 2.0, 1.0)]
    assert replicas.groups(vaes, most=8) == [[0, 2], [1, 3]]


def test_a_run_compiles_its_training_once(tmp_path, monkeypatch):
    """From the first dispatch on its state is committed to a device, as the program leaves it."""
    programs, alone = [], replicas._alone
    monkeypatch.setattr(replicas, "_alone", lambda made, mesh: programs.append(made.train) or alone(made, mesh))
    config = vae_config()
    assert config.train.steps > config.train.log_every
    loop.train(config, tmp_path)
    assert [train._cache_size() for train in programs] == [1]
