"""Minibatch standard deviation, where it enters and over whom; what a game's config is warned of and refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import logging

from gen import commands
from gen.data import Spec
from gen.errors import UserError
from gen.families import cautions
from gen.families.gan.players import build, with_minibatch_deviation
from gen.networks import ENCODERS, blocks
from gen.objectives.penalties import PENALTIES
from gen.schema import complete
from gen.training import loop
from tests.helpers import gan_config

KEY, POINTS = jax.random.key(0), Spec((2,), 0, "real")
PLAIN = {"width": 2, "batch_norm": False}
SMALL = {"dcgan": PLAIN, "infogan": PLAIN | {"hidden": 4}, "unrolled": PLAIN, "resnet": {"width": 2},
         "deep_conv": PLAIN, "r3gan": {"width": 4, "depth": 1, "groups": 2}, "mlp": {"hidden": (4, 3)},
         "maxout": {"hidden": (4, 3), "pieces": 2}}
"""Without batch norm, which would take away what is the same for the whole batch; other networks have none."""


def config(**overrides):
    return complete(gan_config(), overrides)


@pytest.mark.parametrize("group, expected", [
    (2, [0.43387067, 0.43387067, 0.40857306, 0.40857306]), (4, [0.59275371] * 4), (8, [0.59275371] * 4)])
def test_deviation_is_that_of_the_released_layer(group, expected):
    """Values of MinibatchStdLayer of stylegan2-ada-pytorch on the same maps; its groups of 2 are rows 0, 2 and 1, 3."""
    x = np.cos(np.arange(48.0, dtype=np.float32) ** 2).reshape(4, 2, 2, 3)
    y = with_minibatch_deviation(jnp.asarray(x[[0, 2, 1, 3]]), group)
    assert y.shape == (4, 2, 2, 4)
    np.testing.assert_array_equal(y[..., :3], x[[0, 2, 1, 3]])
    np.testing.assert_allclose(y[..., 3], np.broadcast_to(np.reshape(expected, (4, 1, 1)), (4, 2, 2)), rtol=1e-4)


@pytest.mark.slow
def test_rows_beyond_the_last_group_are_one():
    """Seven rows in groups of four: four, then three; none is compared with itself alone."""
    x = jax.random.normal(KEY, (7, 5))
    found = with_minibatch_deviation(x, 4)[:, -1]
    expected = [np.sqrt(np.asarray(part).var(0) + 1e-8).mean() for part in (x[:4], x[4:])]
    np.testing.assert_allclose(found, np.repeat(expected, (4, 3)), rtol=1e-5)


@pytest.mark.parametrize("joint", [False, True])
def test_groups_never_mix_real_and_fake(joint):
    """A collapsed generator's rows have no deviation, whether or not they share a batch with real ones."""
    chosen = config(**{"minibatch_stddev": 4, "joint_batches": joint, "discriminator.hidden": ()})
    players = build(chosen, POINTS)
    real, fake = jax.random.normal(KEY, (8, 2)), jnp.ones((8, 2))
    params = {"logits": {"kernel": jnp.array([[0.0], [0.0], [1.0]]), "bias": jnp.zeros(1)}}
    of_real, of_fake, _ = players.judge_both(params, {}, real, fake, None)
    expected = np.repeat([np.sqrt(np.asarray(part).var(0)).mean() for part in (real[:4], real[4:])], 4)
    np.testing.assert_allclose(of_real.logits, expected, rtol=1e-4)
    np.testing.assert_allclose(of_fake.logits, 1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENCODERS)
def test_the_statistic_enters_where_it_can_interact(name):
    """Not after the last layer, where it adds the same to every logit: f(x1) - f(x2) depends on it."""
    encoder, x = ENCODERS[name](**SMALL.get(name, {"width": 2})), jax.random.normal(KEY, (5, 8, 8, 1))

    def apply(variables, level):
        def statistic(h):
            return blocks.join(h, jnp.full((len(h), 1), level))

        if variables is None:
            return encoder.init(KEY, x, train=True, statistic=statistic)
        h = encoder.apply(variables, x, train=True, statistic=statistic, mutable=["batch_stats"])[0]
        return h @ jnp.arange(1.0, h.shape[-1] + 1)

    shapes = jax.eval_shape(lambda: apply(None, 0.0))
    drawn = jax.tree.map(lambda leaf: 0.3 * jax.random.normal(KEY, leaf.shape), shapes)
    low, high = jax.jit(jax.vmap(apply, (None, 0)))(drawn, jnp.array([0.0, 3.0]))
    assert abs((low[0] - low[1]) - (high[0] - high[1])) > 1e-3 * abs(low[0] - low[1])


@pytest.mark.parametrize("batch, microbatches, group, fits", [
    (16, 1, 4, True), (16, 1, 7, False), (7, 1, 4, False), (16, 2, 8, True), (16, 4, 8, False), (16, 1, 1, False),
    (16, 1, 32, False), (16, 1, 0, True)])
def test_a_group_that_does_not_divide_the_batch_is_refused(batch, microbatches, group, fits):
    chosen = config(**{"minibatch_stddev": group, "train.batch_size": batch, "train.microbatches": microbatches})
    if fits:
        build(chosen, POINTS)
        return
    with pytest.raises(UserError, match=f"config.minibatch_stddev={group} must be 0, or at least 2 and a divisor of"):
        build(chosen, POINTS)


def test_a_group_below_0_is_refused():
    with pytest.raises(UserError, match="config.minibatch_stddev = -4: must be at least 0"):
        config(minibatch_stddev=-4)


WARNED = [
    ({"penalties.wgan_gp": True, "discriminator.batch_norm": True}, "config.discriminator.batch_norm=false"),
    ({"discriminator.batch_norm": True}, "config.penalties.r1 is of the gradient of each example"),
    ({"loss.name": "wasserstein", "penalties.r1": False}, "config.weight_clip=0.01"),
    ({"loss.name": "boundary_equilibrium"}, "set config.reconstruction.name"),
    ({"loss.name": "wasserstein", "penalties.r1": False, "penalties.lecam": True}, "needs a critic that is kept"),
]
SILENT = [
    {}, {"discriminator.batch_norm": True, "penalties.r1": False},
    {"discriminator.batch_norm": True, "penalties.r1": False, "penalties.lecam": True},
    {"loss.name": "wasserstein", "penalties.r1": False, "weight_clip": 0.01},
    {"loss.name": "wasserstein", "penalties.r1": False, "discriminator.spectral_norm": True},
    {"loss.name": "wasserstein"}, {"loss.name": "boundary_equilibrium", "reconstruction.name": "mlp"},
]


@pytest.mark.parametrize("overrides, said", WARNED)
def test_choices_that_undo_themselves_are_one_line(overrides, said):
    (line,) = cautions(config(**overrides))
    assert said in line and "\n" not in line


def test_a_penalty_of_ones_own_counts_as_one_of_gradients(monkeypatch):
    monkeypatch.setitem(PENALTIES, "mine", lambda discriminate, real, fake, key: 0.0)
    own = {"penalties.r1": False, "penalties.mine": True}
    assert cautions(config(**own, **{"loss.name": "wasserstein"})) == []
    (line,) = cautions(config(**own, **{"discriminator.batch_norm": True}))
    assert line.startswith("config.penalties.mine is of the gradient")


@pytest.mark.parametrize("overrides", SILENT)
def test_sound_choices_are_not_warned_of(overrides):
    assert cautions(config(**overrides)) == []


@pytest.mark.slow
def test_cautions_are_logged_when_a_run_begins_and_in_a_dry_run(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(logging, "warning", lambda text, *args: said.append(text % args))
    chosen = config(**{"loss.name": "wasserstein", "penalties.r1": False, "train.steps": 2, "train.log_every": 2,
                       "train.evaluate_every": 0, "train.checkpoint_every": 2, "evaluators.modes": False})
    commands.examine(chosen)
    assert sum("kept Lipschitz" in line for line in said) == 1
    loop.train(chosen, tmp_path / "run")
    assert sum("kept Lipschitz" in line for line in said) == 2


@pytest.mark.parametrize("name, fits", [("product", False), ("mapped", False), ("concatenate", True),
                                        ("projection", True)])
def test_an_autoencoder_whose_errors_labels_would_replace_is_refused(name, fits):
    chosen = config(**{"reconstruction.name": "mlp", "conditioning.name": name})
    labelled = POINTS._replace(classes=3)
    if fits:
        build(chosen, labelled)
        return
    with pytest.raises(UserError, match=f"config.conditioning.name='{name}' makes logits of features and labels"):
        build(chosen, labelled)
