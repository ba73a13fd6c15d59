"""Moving averages of every family: what they weigh, what draws with them, how they begin."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gen
from gen import families
from gen.config import unflatten
from gen.data import Spec
from gen.families.added import STATISTICS
from gen.families.common import moving_average
from gen.schema import complete
from gen.training import loop
from tests.helpers import assert_close, assert_same_bits, diffusion_config, gan_config, stop_after, vae_config

SPEC, KEY = Spec((8, 8, 1), 10, "unit"), jax.random.key(0)
BASE = {"family": "vae", "data": {"name": "digits"}, "optimizer": {"name": "adam", "learning_rate": 0.1},
        "train": {"steps": 4, "batch_size": 16, "log_every": 1, "evaluate_every": 0, "sample_every": 0,
                  "checkpoint_every": 0}}
NETWORK = {"name": "mlp", "hidden": (6,), "batch_norm": True}
CONFIGS = {
    "vae": {"latents": 2, "encoder": NETWORK, "decoder": NETWORK, "likelihood": {"name": "bernoulli"},
            "objective": {"name": "elbo"}},
    "vaegan": {"family": "vaegan", "latents": 2, "encoder": NETWORK, "decoder": NETWORK, "discriminator": NETWORK,
               "likelihood": {"name": "bernoulli"}},
    "vqvae": {"family": "vqvae", "codes": 8, "code_size": 4, "encoder": {"name": "residual", "width": 4},
              "decoder": {"name": "residual", "width": 4}, "prior": {"name": "pixelcnn", "width": 4},
              "prior_optimizer": {"name": "adam", "learning_rate": 0.1}},
}


def config_of(name, **overrides):
    return complete(unflatten(gen.config.flatten(BASE | CONFIGS[name])),
                    {key.replace("__", "."): value for key, value in overrides.items()})


def batch(seed=0):
    return {"x": jax.random.uniform(jax.random.key(seed), (16, 8, 8, 1)), "label": jnp.arange(16) % 10}


def played(config, steps=1, spec=SPEC, data=None):
    """The family, compiled, and the states before and after each step."""
    family, data = families.make(config, spec), data or batch()
    update = jax.jit(family.update)
    states = [jax.jit(family.init)(KEY, data)]
    for i in range(steps):
        states.append(update(states[-1], data, jax.random.key(i))[0])
    return family, states


def middle(a, b):
    return jax.tree.map(lambda a, b: (a + b) / 2, a, b)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_a_step_of_a_half_life_is_half_way_and_the_average_draws(name):
    """16 images at a half-life of 16, with the statistics of batch norm; what is evaluated and drawn is the average."""
    family, (before, after) = played(config_of(name, ema_half_life=16.0))
    plain, (_, unaveraged) = played(config_of(name))
    assert_close(after.replace(ema={}, hypers={}), unaveraged.replace(hypers={}))
    parts = before.params.keys() - {"discriminator"}
    assert parts <= after.ema.keys() and before.ema.keys() == after.ema.keys()
    for part in parts:
        assert_close(after.ema[part], middle(before.params[part], after.params[part]))
        if statistics := after.variables.get(part, {}).get(STATISTICS):
            assert_close(after.ema[f"{part}_statistics"], middle(before.variables[part][STATISTICS], statistics))
    variables = {part: held | {STATISTICS: after.ema.get(f"{part}_statistics", held.get(STATISTICS, {}))}
                 for part, held in after.variables.items()}
    drawn = after.replace(params=after.params | {part: after.ema[part] for part in parts}, ema={}, variables=variables)
    seen = {"evaluate": (batch(1), KEY)} | ({"sample": (KEY, 3)} if name != "vqvae" else {})  # whose prior is slow
    for function, arguments in seen.items():
        found, theirs = getattr(family, function)(after, *arguments), getattr(plain, function)(drawn, *arguments)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, theirs)
    again, other = (made.methods["reconstruct"](state, batch(1)["x"]) for made, state in (
        (family, after), (plain, after)))
    assert bool((again != other).any())


@pytest.mark.slow
def test_the_ramp_up_bounds_the_half_life_by_what_was_shown():
    """At 0.5 of the images shown: 0 at step 0, then 8, 16, ... up to 20, each of 16 images a step."""
    _, states = played(config_of("vae", ema_half_life=20.0, ema_rampup=0.5), 4)
    average = states[0].params["encoder"]
    for step, half_life in enumerate((0.0, 8.0, 16.0, 20.0)):
        average = moving_average(average, states[step + 1].params["encoder"], 16, half_life)
        assert_close(states[step + 1].ema["encoder"], average)
    assert_close(states[1].ema["encoder"], states[1].params["encoder"])
    for make, spec, part in ((gan_config, Spec((2,), 8, "real"), "generator"), (diffusion_config, SPEC, "denoiser")):
        data = {"x": jax.random.normal(KEY, (32, *spec.shape)), "label": jnp.arange(32) % 8}
        config = make(ema_half_life=100.0, ema_rampup=0.05)
        _, (first, second, third) = played(config, 2, spec, data)
        assert_close(second.ema[part], second.params[part])
        images = 32 if make is diffusion_config else 16  # of two batches of the critic the generator answers one
        assert_close(third.ema[part], moving_average(second.params[part], third.params[part], images, 0.05 * images))
        assert first.hypers["ema_rampup"] == jnp.float32(0.05)


@pytest.mark.slow
def test_an_update_that_is_skipped_moves_no_average():
    for make, spec in ((vae_config, SPEC), (diffusion_config, SPEC)):
        data = {"x": jnp.ones((16, 8, 8, 1)), "label": jnp.arange(16) % 10}
        _, (before, after) = played(make(ema_half_life=16.0, optimizer__skip_norm=1e-9), 1, spec, data)
        assert_same_bits((before.params, before.ema), (after.params, after.ema))
        assert after.step == 1


@pytest.mark.slow
def test_a_run_with_an_average_resumes_exactly(tmp_path):
    config = vae_config(encoder__batch_norm=True, ema_half_life=100.0, ema_rampup=0.1, optimizer__clip_norm=1.0)
    loop.train(config, tmp_path / "whole")
    loop.train(config, tmp_path / "parts", stop_after(3))
    loop.train(config, tmp_path / "parts")
    whole, parts = (gen.load(tmp_path / name) for name in ("whole", "parts"))
    assert_same_bits(whole.state, parts.state)
    assert "encoder_statistics" in whole.state.ema and whole.sample(2).shape == (2, 8, 8, 1)
