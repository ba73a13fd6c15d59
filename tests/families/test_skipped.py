"""An update that `skip_norm` leaves out: what is no parameter stays as well, and so do the averages of its parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen import families
from gen.data import Spec
from gen.families import added
from gen.schema import complete
from tests.families.test_gan_styles import STYLES
from tests.helpers import gan_config, vae_config, vqvae_config

KEY = jax.random.key(0)
LENIENT, STRICT = 1e6, 1e-9


def stepped(config, spec, x):
    """The family, its state after a step on x, and the state before."""
    family = families.make(config, spec)
    before = jax.jit(family.init)(KEY, {"x": jnp.nan_to_num(x)})
    after, metrics = jax.jit(family.update)(before, {"x": x}, KEY)
    return before, after, metrics


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def broken(*shape):
    """Examples one of which is not a number."""
    return jax.random.uniform(KEY, shape).at[0].set(jnp.nan)


@pytest.mark.slow
def test_statistics_of_batch_norms_stay_numbers():
    config = vae_config(encoder__batch_norm=True, optimizer__skip_norm=LENIENT)
    spec = Spec((8, 8, 1), 0, "unit")
    before, after, metrics = stepped(config, spec, broken(16, 8, 8, 1))
    assert metrics["skipped_updates"] == 1 and jax.tree.leaves(before.variables)
    same(after.variables, before.variables)
    before, after, metrics = stepped(config, spec, jax.random.uniform(KEY, (16, 8, 8, 1)))
    assert metrics["skipped_updates"] == 0
    assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (before.variables, after.variables)), strict=True))


@pytest.mark.slow
def test_a_codebook_stays_with_its_autoencoder():
    config = vqvae_config(optimizer__skip_norm=STRICT)
    before, after, metrics = stepped(config, Spec((8, 8, 1), 10, "unit"), jax.random.uniform(KEY, (16, 8, 8, 1)))
    assert metrics["skipped_updates"] == 1
    same(after.variables, before.variables)
    moved = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), after.params["prior"], before.params["prior"])
    assert max(jax.tree.leaves(moved)) > 0


@pytest.mark.slow
def test_a_discriminator_and_what_follows_its_logits_stay():
    config = gan_config(discriminator_optimizer__skip_norm=LENIENT, penalties__lecam__weight=0.1,
                        discriminator__batch_norm=True, loss__name="boundary_equilibrium", critic_steps=1)
    before, after, metrics = stepped(config, Spec((2,), 0, "real"), broken(16, 2))
    assert metrics["discriminator_skipped_updates"] == 1
    for name in before.variables.keys() - {"generator"}:
        same(after.variables[name], before.variables[name])
    same(after.hypers, before.hypers)


@pytest.mark.slow
def test_a_generator_and_the_average_of_its_path_lengths_stay():
    config = complete(gan_config(), STYLES | {"path_length.weight": 2.0, "generator_optimizer.skip_norm": STRICT})
    before, after, metrics = stepped(config, Spec((8, 8, 1), 0, "symmetric"), jax.random.uniform(KEY, (8, 8, 8, 1)))
    assert metrics["generator_skipped_updates"] == 1 and metrics["path_length"] > 0
    same(after.variables, before.variables)


def test_which_metric_tells_of_an_average():
    yes, no = jnp.ones(()), jnp.zeros(())
    vqvae, vae = vqvae_config(), vae_config()
    both = {"skipped_updates": yes, "prior_skipped_updates": no}
    assert [added.skipped(vqvae, both, part) for part in ("encoder", "prior")] == [yes, no]
    assert added.skipped(vqvae, {"skipped_updates": yes}, "prior") is None
    assert added.skipped(vae, {"skipped_updates": yes}, "decoder_statistics") == yes
    assert added.skipped(vae, {}, "decoder") is None
    of_players = {"encoder_skipped_updates": yes, "decoder_skipped_updates": no}
    assert added.skipped(vae, of_players, "decoder_statistics") == no


@pytest.mark.slow
def test_averages_follow_what_moved():
    config = vqvae_config(optimizer__skip_norm=STRICT, ema_half_life=4.0)
    before, after, _ = stepped(config, Spec((8, 8, 1), 10, "unit"), jax.random.uniform(KEY, (16, 8, 8, 1)))
    same(after.ema["encoder"], before.ema["encoder"])
    kept = 0.5 ** (config.train.batch_size / 4)
    old, new = before.params["prior"], after.params["prior"]
    expected = jax.tree.map(lambda old, new: kept * old + (1 - kept) * new, old, new)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), after.ema["prior"], expected)
