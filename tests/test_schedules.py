"""Schedules against their formulas and optax; what they may be of; runs whose floats move."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

import gen
from gen import families, schedules
from gen.config import flatten
from gen.data import Spec, load
from gen.errors import UserError
from gen.schema import complete
from gen.training import loop, program, replicas, sharding
from tests.helpers import CONFIGS, assert_close, assert_same_bits, diffusion_config, gan_config, stop_after, vae_config

COSINE = {"schedules__learning_rate__name": "cosine", "schedules__learning_rate__steps": 8}


def factor(name, position, **options):
    return float(jax.jit(schedules.SCHEDULES[name], static_argnames=options)(jnp.int32(position), **options))


@pytest.mark.parametrize("name, options, position, expected", [
    ("linear", {"steps": 10, "final": 0.5}, 5, 0.75),
    ("linear", {"steps": 10, "final": 0.5}, 99, 0.5),
    ("linear", {"steps": 4, "initial": 2.0, "final": 6.0}, 1, 3.0),
    ("warm_up", {"steps": 10}, 3, 0.3),
    ("warm_up", {"steps": 10}, 11, 1.0),
    ("cosine", {"steps": 10, "final": 0.0}, 5, 0.5),
    ("cosine", {"steps": 10, "final": 0.2}, 10, 0.2),
    ("cosine", {"steps": 10, "initial": 0.0, "final": 1.0}, 2, 0.5 * (1 - np.cos(0.2 * np.pi))),
    ("exponential", {"half_life": 4}, 8, 0.25),
    ("stairs", {"steps": 6, "count": 3}, 3, 2 / 3),
    ("piecewise", {"knots": (2, 5), "factors": (1.0, 3.0, 0.5), "shapes": ("hold", "linear")}, 1, 1.0),
    ("piecewise", {"knots": (2, 5), "factors": (1.0, 3.0, 0.5), "shapes": ("hold", "linear")}, 2, 3.0),
    ("piecewise", {"knots": (2, 5), "factors": (1.0, 3.0, 0.5), "shapes": ("hold", "linear")}, 7, 0.5),
])
def test_schedules(name, options, position, expected):
    assert factor(name, position, **options) == pytest.approx(expected, rel=1e-6)


def test_stages_grow_threefold_and_fall_tenfold():
    ends = np.cumsum([5 * 3**i for i in range(8)])
    steps = (0, 4, 5, ends[1] - 1, ends[1], ends[6], 10**6)
    found = [schedules.stages(jnp.int32(step), unit=5, last=7) for step in steps]
    np.testing.assert_allclose(found, 10 ** (-np.array([0, 0, 1, 1, 2, 7, 7]) / 7), rtol=1e-5)
    assert schedules.stages(jnp.int32(0), unit=3_000, last=20) == 1
    assert schedules.stages(jnp.int32(2**31 - 2), unit=3_000, last=20) == pytest.approx(10 ** (-12 / 20))


def test_stairs_are_those_of_a_warm_up_by_epoch():
    """5 epochs of 3 steps: the weights 1/5, 2/5, ..., 1 of whole epochs, as epoch / warm-up in the VampPrior's code."""
    found = [schedules.stairs(jnp.int32(step), 15, 5) for step in range(18)]
    np.testing.assert_allclose(found, [min(1 + step // 3, 5) / 5 for step in range(18)], rtol=1e-6)


@pytest.mark.parametrize("shape, theirs", [
    ("cosine", optax.warmup_cosine_decay_schedule(0.0, 1.0, 5, 20, 0.1)),
    ("linear", optax.join_schedules([optax.linear_schedule(0.0, 1.0, 5), optax.linear_schedule(1.0, 0.1, 15)], [5])),
    ("hold", optax.join_schedules([optax.linear_schedule(0.0, 1.0, 5), optax.piecewise_constant_schedule(
        1.0, {15: 0.1})], [5])),
])
def test_chains_are_those_of_optax(shape, theirs):
    steps = jnp.arange(25)
    ours = jax.vmap(lambda step: schedules.piecewise(step, (5, 20), (0.0, 1.0, 0.1), ("linear", shape)))(steps)
    np.testing.assert_allclose(ours, jax.vmap(theirs)(steps), atol=1e-6)


def values(config, steps=(0, 3, 9), images=32):
    """The scheduled floats of a config at these steps, by key."""
    floats, flat = families.FLOATS[config.family], flatten(config)
    hypers = {key: jnp.float32(value) for key, value in flat.items() if isinstance(value, float)}
    return {key: [float(schedules.value(config, path, hypers[key], hypers, jnp.int32(step), images)) for step in steps]
            for key, path in schedules.targets(config, floats).items()}


def test_a_path_is_of_all_floats_that_end_with_it_and_the_longer_counts():
    config = gan_config(**COSINE, schedules__discriminator_optimizer__learning_rate__name="exponential",
                        schedules__discriminator_optimizer__learning_rate__half_life=3,
                        schedules__penalties__r1__weight__name="warm_up",
                        schedules__penalties__r1__weight__steps=6)
    half = 0.5 * (1 + np.cos(np.pi * 3 / 8))
    expected = {"generator_optimizer.learning_rate": [1e-3, half * 1e-3, 0],
                "discriminator_optimizer.learning_rate": [1e-3, 5e-4, 1.25e-4], "penalties.r1.weight": [0, 0.05, 0.1]}
    found = values(config)
    assert found.keys() == expected.keys()
    for key, wanted in expected.items():
        np.testing.assert_allclose(found[key], wanted, rtol=1e-5, atol=1e-9)


def test_absolute_values_and_a_clock_of_images():
    """beta2 from 0.9 to 0.99 in 96 images, 32 a step."""
    options = {"name": "linear", "steps": 96, "initial": 0.9, "final": 0.99, "absolute": True, "clock": "images"}
    config = vae_config(**{f"schedules__optimizer__b2__{key}": value for key, value in options.items()})
    np.testing.assert_allclose(values(config, (0, 1, 2, 50))["optimizer.b2"], [0.9, 0.93, 0.96, 0.99], rtol=1e-6)

def of_r3gan(images, base, final, total=2e7):
    """`cosine_decay_with_warmup` of R3GAN's released code, without warm-up."""
    return final if images > total else base + 0.5 * (1 - np.cos(np.pi * images / total)) * (final - base)


def test_r3gans_recipe_is_one_cosine_for_every_float():
    """The preset CIFAR10 of its train.py, in images: each float from its first to its last value in 2e7 of them."""
    ends = {"generator_optimizer.learning_rate": (2e-4, 5e-5), "discriminator_optimizer.learning_rate": (2e-4, 5e-5),
            "generator_optimizer.b2": (0.9, 0.99), "discriminator_optimizer.b2": (0.9, 0.99),
            "penalties.r1.weight": (0.025, 0.0025), "penalties.r2.weight": (0.025, 0.0025),
            "ema_half_life": (0.0, 5e6), "augment_probability": (0.0, 0.55)}
    own = {}
    for path in ("learning_rate", "b2", "r1.weight", "r2.weight", "ema_half_life", "augment_probability"):
        initial, final = next(pair for key, pair in ends.items() if key.endswith(path))
        own |= {f"schedules.{path}.{key}": value for key, value in {
            "name": "cosine", "steps": 20_000_000, "clock": "images", "absolute": True, "initial": initial,
            "final": final}.items()}
    config = complete(gan_config(penalties__r2=True, augment__translation=True), own)
    steps = (0, 1, 9_766, 19_531, 39_062, 39_063, 60_000)
    found = values(config, steps, images=512)
    assert found.keys() == ends.keys()
    for key, pair in ends.items():
        np.testing.assert_allclose(found[key], [of_r3gan(512 * step, *pair) for step in steps], rtol=2e-5,
                                   atol=1e-7 * max(pair))


@pytest.mark.parametrize("make, path, options, said", [
    (gan_config, "penalties.r2.weight", {}, "config.schedules.penalties.r2.weight: the config has no such number. Did"),
    (gan_config, "weigth", {}, "config.schedules.weigth: the config has no such number. Did you mean"),
    (gan_config, "critic_steps", {}, "config.critic_steps cannot be scheduled, as 2 is no float."),
    (gan_config, "data.std", {}, "config.data.std cannot be scheduled, as it is fixed when the program is made."),
    (gan_config, "instance_noise", {}, "config.instance_noise is 0, which leaves it out of the program: set it above"),
    (vae_config, "optimizer.b2", {"final": 1.2}, "takes config.optimizer.b2 to 1.1988, and it must be at least 0 and"),
    (vae_config, "kl_weight", {"clock": "epochs"}, "Unknown clock of config.schedules.kl_weight 'epochs'"),
    (vae_config, "kl_weight", {"name": "stairs", "count": 7}, "config.schedules.kl_weight.count = 7 must divide"),
    (vae_config, "kl_weight", {"name": "piecewise", "knots": (5, 2)}, "knots = (5, 2) must rise and have a shape each"),
    (vae_config, "kl_weight", {"name": "piecewise", "shapes": ("linear",)}, "1 shapes and 3 factors"),
    (vae_config, "kl_weight", {"name": "piecewise", "shapes": ("linear", "sine")}, "Unknown shape of config.schedules"),
    (vae_config, "kl_weight", {"name": "cosinus"}, "config.schedules.kl_weight: unknown schedule 'cosinus'. Did you"),
    (vae_config, "kl_weight", {"final": -1.0}, "takes config.kl_weight to -1, and it must be at least 0."),
])
def test_what_cannot_move_is_one_line(make, path, options, said):
    section = f"schedules__{path.replace('.', '__')}__"
    with pytest.raises(UserError) as error:
        make(**{f"{section}{key}": value for key, value in ({"name": "linear"} | options).items()})
    assert said in str(error.value) and "\n" not in str(error.value)


def test_an_override_exchanges_and_removes_a_schedule():
    config = gan_config(**COSINE)
    assert flatten(complete(config, {"schedules.learning_rate": "false"})["schedules"]) == {}
    other = complete(config, {"schedules.learning_rate.name": "linear"})["schedules"]["learning_rate"]
    assert (other.name, other.steps, other.initial, other.final) == ("linear", 8, 1.0, 0.0)


def test_a_schedule_is_of_a_float_by_its_key():
    none = "there is no schedule at config.schedules"
    for key, said in (("schedules.name", none), ("schedules", "is a section"),
                      ("schedules.learning_rate.steps", f"{none}.learning_rate; set")):
        with pytest.raises(UserError) as error:
            complete(gan_config(), {key: "3"})
        assert f"config.{key}" in str(error.value) and said in str(error.value)


OLD = [
    (gan_config, {"schedule": {"name": "constant"}}, {}),
    (gan_config, {"schedule": {"name": "linear", "steps": 9, "final": 0.1}},
     {"schedules__learning_rate__name": "linear", "schedules__learning_rate__steps": 9,
      "schedules__learning_rate__final": 0.1}),
    (gan_config, {"penalty_schedule": {"name": "exponential", "half_life": 4},
                  "instance_noise_schedule": {"name": "cosine", "steps": 5, "final": 0.0}, "instance_noise": 0.2},
     {"schedules__penalties__r1__weight__name": "exponential", "schedules__penalties__r1__weight__half_life": 4,
      "schedules__instance_noise__name": "cosine", "schedules__instance_noise__steps": 5, "instance_noise": 0.2}),
    (vae_config, {"kl_warmup": 0, "kl_warmup_stairs": 0}, {}),
    (vae_config, {"kl_warmup": 50, "kl_warmup_stairs": 0},
     {"schedules__kl_weight__name": "warm_up", "schedules__kl_weight__steps": 50}),
    (vae_config, {"kl_warmup": 50, "kl_warmup_stairs": 5},
     {"schedules__kl_weight__name": "stairs", "schedules__kl_weight__steps": 50, "schedules__kl_weight__count": 5}),
]


@pytest.mark.parametrize("make, old, now", OLD)
def test_keys_of_before_mean_what_they_meant(make, old, now):
    written = make().to_dict() | old
    del written["schedules"], written["ema_rampup"]
    if "kl_warmup" in old:
        del written["kl_weight"]
    assert complete(ConfigDict(written), {}) == make(**now)


MOVING = {
    "vae": {**COSINE, "schedules__kl_weight__name": "warm_up", "schedules__kl_weight__steps": 5,
            "schedules__optimizer__b1__name": "linear", "schedules__optimizer__b1__steps": 9},
    "gan": {**COSINE, "schedules__penalties__r1__weight__name": "cosine", "schedules__penalties__r1__weight__steps": 7,
            "schedules__penalties__r1__weight__final": 0.1, "schedules__ema_half_life__name": "linear",
            "schedules__ema_half_life__initial": 0.0, "schedules__ema_half_life__final": 1.0,
            "schedules__ema_half_life__steps": 200, "schedules__ema_half_life__clock": "images",
            "schedules__generator_optimizer__b2__name": "linear",
            "schedules__generator_optimizer__b2__initial": 0.9, "schedules__generator_optimizer__b2__final": 0.99,
            "schedules__generator_optimizer__b2__absolute": True},
    "diffusion": {**COSINE, "schedules__label_dropout__name": "linear", "schedules__label_dropout__steps": 7},
}


def test_a_step_is_that_of_a_run_whose_floats_are_those_of_then():
    """Step 3 with every float moving against one without schedules whose floats are set by hand."""
    config, plain = gan_config(**MOVING["gan"]), gan_config()
    spec, batch = Spec((2,), 8, "real"), {"x": jnp.cos(jnp.arange(64.0)).reshape(32, 2), "label": jnp.arange(32) % 8}
    moving, still = families.make(config, spec), families.make(plain, spec)
    state = jax.jit(moving.init)(jax.random.key(0), batch).replace(step=jnp.int32(3))
    now = {key: jnp.float32(value) for key, (value,) in values(config, (3,), images=32).items()}
    assert now["penalties.r1.weight"] == pytest.approx(0.1 * (0.1 + 0.45 * (1 + np.cos(3 * np.pi / 7))))
    assert now["ema_half_life"] == pytest.approx(100 * 96 / 200)
    by_hand = state.replace(hypers={key: now.get(key, value) for key, value in state.hypers.items()})
    after = jax.jit(moving.update)(state, batch, jax.random.key(1))[0]
    moments, b2 = after.opt_state["generator"][0], now["generator_optimizer.b2"]
    jax.tree.map(lambda m, v: np.testing.assert_allclose(v / (1 - b2), jnp.square(m / 0.1), rtol=1e-4),
                 moments.mu, moments.nu)
    expected = jax.jit(still.update)(by_hand, batch, jax.random.key(1))[0]
    assert_close(after.params["discriminator"], expected.params["discriminator"])
    assert after.hypers == state.hypers and float(expected.hypers["penalties.r1.weight"]) < 0.1


@pytest.mark.slow
def test_a_run_whose_floats_move_resumes_exactly_and_packs(tmp_path):
    """Stopped and gone on, the same bits; with another final value in one program, each the run it is alone."""
    options = MOVING["gan"] | {"train__steps": 8}
    configs = [gan_config(**options, schedules__learning_rate__final=final) for final in (0.25, 0.5, 0.0)]
    assert replicas.groups(configs, most=8) == [[0, 1], [2]]
    loop.train(configs[0], tmp_path / "whole")
    loop.train(configs[0], tmp_path / "parts", stop_after(2))
    loop.train(configs[0], tmp_path / "parts")
    loop.train_together(configs[:2], [tmp_path / "a", tmp_path / "b"])
    whole, parts, packed = (gen.load(tmp_path / name).state for name in ("whole", "parts", "a"))
    assert_same_bits(whole, parts)
    assert_close(whole, packed)
    rates = [float(gen.load(tmp_path / name).state.hypers["schedules.learning_rate.final"]) for name in "ab"]
    assert rates == [0.25, 0.5]


@pytest.mark.slow
def test_floats_move_on_devices_that_share_a_batch_and_a_state():
    config = gan_config(**MOVING["gan"], mesh__data=4, mesh__fsdp=True)
    dataset = load(config.data)
    ends = []
    for shared in (gan_config(**MOVING["gan"]), config):
        mesh = sharding.mesh(shared, 1)
        made = program.make(shared, dataset.spec, mesh)
        pack = replicas.pack(made, mesh, 1)
        state = pack.join([replicas.initial(made, shared, dataset.train)])
        ends.append(pack.split(pack.train(state, pack.place(dataset.train), 2)[0])[0])
    assert_close(*ends)


@pytest.mark.slow
def test_a_checkpoint_of_before_goes_on(tmp_path):
    """One whose state has no leaves of schedules, and whose config has the keys of then."""
    now = {"schedules__learning_rate__name": "linear", "schedules__learning_rate__steps": 9,
           "schedules__learning_rate__final": 0.1, "schedules__kl_weight__name": "warm_up",
           "schedules__kl_weight__steps": 5}
    config, old = vae_config(**now), tmp_path / "old"
    loop.train(config, tmp_path / "new")
    loop.train(config, old, stop_after(2))
    as_of_then(old, config)
    loop.train(config, old)
    assert_same_bits(gen.load(tmp_path / "new").state, gen.load(old).state)


def as_of_then(folder, config):
    """Rewrites a run's folder as it was before `schedules`."""
    from gen.storage.checkpoints import Checkpoints, restore, steps

    dataset = load(config.data)
    made = program.make(config, dataset.spec)
    (step, *_), there = steps(folder / "checkpoints")[::-1], folder / "checkpoints"
    state = restore(there, program.abstract_state(made, dataset.spec), step).state
    hypers = {key: leaf for key, leaf in state.hypers.items() if "schedules" not in key and key != "kl_weight"}
    shutil.rmtree(there)
    described = json.loads((folder / "config.json").read_text())
    for section in ("schedules", "kl_weight", "ema_half_life", "ema_rampup"):
        del described["config"][section]
    described["config"] |= {"schedule": {"name": "linear", "steps": 9, "final": 0.1}, "kl_warmup": 5,
                            "kl_warmup_stairs": 0}
    (folder / "config.json").write_text(json.dumps(described))
    with Checkpoints(there, 2, None, described) as checkpoints:
        checkpoints.save(step, state.replace(hypers=hypers))


def test_what_moves_is_of_every_family():
    assert {name: set(values(make(**MOVING[name]))) for name, make in CONFIGS.items()} == {
        "vae": {"optimizer.learning_rate", "kl_weight", "optimizer.b1"},
        "gan": {"generator_optimizer.learning_rate", "discriminator_optimizer.learning_rate", "penalties.r1.weight",
                "ema_half_life", "generator_optimizer.b2"},
        "diffusion": {"optimizer.learning_rate", "label_dropout"}}
    assert diffusion_config().schedules.to_dict() == {}
