"""The GAN's update: who moves, on what, and how the options of the game relate to the plain game."""

from functools import cache, partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from gen import families
from gen.data import Spec
from gen.errors import UserError
from gen.families import gan
from gen.families.gan.game import Game, Hand, diversity
from gen.families.gan.players import build, conditioned
from gen.objectives.adversarial import ADVERSARIAL
from gen.objectives.penalties import PENALTIES
from gen.rng import stream
from gen.schema import complete

G_RATE, D_RATE = "generator_optimizer.learning_rate", "discriminator_optimizer.learning_rate"
POINTS, IMAGES = Spec((2,), 3, "real"), Spec((8, 8, 1), 3, "symmetric")
BATCH = 8


def config(**overrides) -> ConfigDict:
    """A tiny GAN on points; dotted keys are written with "__"."""
    base = {
        "family": "gan",
        "data": {"name": "ring"},
        "latents": 4,
        "generator": {"name": "mlp", "hidden": (6,)},
        "discriminator": {"name": "mlp", "hidden": (6,)},
        "loss": {"name": "non_saturating"},
        "generator_optimizer": {"name": "adam"},
        "discriminator_optimizer": {"name": "adam"},
        "train": {"steps": 4, "batch_size": BATCH, "log_every": 1, "evaluate_every": 0, "sample_every": 0,
                  "checkpoint_every": 0},
    }
    return complete(ConfigDict(base), {key.replace("__", "."): value for key, value in overrides.items()})


def batch_of(spec, n, seed=0):
    key = jax.random.key(seed)
    return {"x": jax.random.uniform(key, (n, *spec.shape)), "label": jnp.arange(n) % 3}


@cache
def compiled(spec, items):
    family = families.make(config(**dict(items)), spec)
    return family, jax.jit(family.init), jax.jit(family.update), jax.jit(family.evaluate)


def play(steps=1, spec=POINTS, batch=None, hypers=None, **overrides):
    """Returns (state before, state after, metrics of the last step) of a few steps on one batch.

    `hypers` are set in the state, so that they need no new program.
    """
    family, init, update, _ = compiled(spec, tuple(sorted(overrides.items())))
    batch = batch_of(spec, BATCH * family.batches) if batch is None else batch
    state = init(jax.random.key(0), batch)
    first = state = state.replace(hypers=state.hypers | {k: jnp.float32(v) for k, v in (hypers or {}).items()})
    for i in range(steps):
        state, metrics = update(state, batch, jax.random.key(i))
    return first, state, metrics


def same(a, b, tolerance=0.0):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def finite(tree):
    return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(tree))


def moved(before, after, player):
    return any((a != b).any() for a, b in zip(
        jax.tree.leaves(before.params[player]), jax.tree.leaves(after.params[player]), strict=True))


GAMES = [(loss, {"simultaneous": True, "unrolled_steps": 1, "packing": 2, "joint_batches": True})
         for loss in ADVERSARIAL] + [("minimax", {}), ("wasserstein", {"critic_steps": 2})]


@pytest.mark.slow
@pytest.mark.parametrize("loss, moves", GAMES)
def test_every_loss_with_every_penalty_and_update_rule_takes_a_step(loss, moves):
    names = PENALTIES.keys() - {"consistency"}  # which is of images
    every = {f"penalties__{name}__weight": 0.1 for name in names}
    tiny = {"generator__hidden": (), "discriminator__hidden": (2,)}
    before, after, metrics = play(loss__name=loss, **every, **tiny, **moves)
    assert finite(after.params) and finite(metrics)
    assert moved(before, after, "generator") and moved(before, after, "discriminator")
    assert names <= metrics.keys()


@pytest.mark.slow
@pytest.mark.parametrize("simultaneous", [True, False])
def test_the_generators_move_does_not_change_the_discriminators(simultaneous):
    """Whatever the generator's learning rate, the discriminator's step is the same; none moves at rate 0."""
    runs = [play(simultaneous=simultaneous, hypers={G_RATE: rate}) for rate in (0.0, 0.1)]
    same(runs[0][1].params["discriminator"], runs[1][1].params["discriminator"])
    assert not moved(*runs[0][:2], "generator") and moved(*runs[1][:2], "generator")


def test_simultaneous_players_move_from_the_same_point():
    """The generator's step does not see the discriminator's; alternating, it does."""
    def step(simultaneous, rate):
        return play(simultaneous=simultaneous, hypers={D_RATE: rate})[1].params["generator"]

    same(step(True, 0.0), step(True, 0.1))
    same(step(True, 0.0), step(False, 0.0), 1e-6)
    with pytest.raises(AssertionError):
        same(step(False, 0.0), step(False, 0.1), 1e-6)


@pytest.mark.slow
def test_the_updates_descend_their_own_objectives():
    """With SGD, (before - after) / rate is the gradient of each side of the loss on the step's own batch."""
    rate, sgd = 0.1, {f"{p}_optimizer__name": "sgd" for p in ("generator", "discriminator")}
    before, after, metrics = play(simultaneous=True, **sgd, hypers={G_RATE: rate, D_RATE: rate})
    for player in ("generator", "discriminator"):
        step = jax.tree.map(lambda a, b: (a - b) / rate, before.params[player], after.params[player])
        norm = np.sqrt(sum(np.square(leaf).sum() for leaf in jax.tree.leaves(step)))
        np.testing.assert_allclose(norm, metrics[f"{player}_gradient_norm"], rtol=1e-3)


@pytest.mark.slow
def test_lazy_penalties_have_the_same_mean():
    """Every k-th step times k: over k steps the penalty of a discriminator that does not move adds up to k of them."""
    def penalties(every):
        return [float(play(n, penalties__r1__every=every, hypers={D_RATE: 0.0})[2]["r1"]) for n in (1, 2, 3, 4)]

    always, lazy = penalties(1), penalties(2)
    np.testing.assert_allclose(lazy, [2 * always[0], 0, 2 * always[2], 0], rtol=1e-5)


@pytest.mark.slow
def test_a_scheduled_penalty_is_one_of_smaller_weight():
    """Halving every step, weight 3 is 1.5 at step 1."""
    path = "schedules__penalties__r1__weight"
    scheduled = {f"{path}__name": "exponential", f"{path}__half_life": 1}
    batch, params = batch_of(POINTS, BATCH), []
    for weight, options in ((3.0, scheduled), (1.5, {})):
        _, init, update, _ = compiled(POINTS, tuple(sorted({"penalties__r1__every": 1, **options}.items())))
        state = init(jax.random.key(0), batch).replace(step=jnp.int32(1))
        state.hypers["penalties.r1.weight"] = jnp.float32(weight)
        params.append(update(state, batch, jax.random.key(0))[0].params["discriminator"])
    same(*params, 1e-6)


@pytest.mark.slow
def test_moving_average_forgets_half_in_its_half_life():
    """One step of 16 images, two packs of 8, at a half-life of 16 images: the mean of before and after."""
    before, after, _ = play(ema_half_life=16.0, packing=2)
    middle = jax.tree.map(lambda a, b: (a + b) / 2, before.params["generator"], after.params["generator"])
    same(after.ema["generator"], middle, 1e-6)


@pytest.mark.parametrize("critic_steps, packing", [(1, 1), (3, 1), (2, 2)])
def test_examples_consumed(critic_steps, packing):
    family = gan.make(config(critic_steps=critic_steps, packing=packing), POINTS)
    assert family.batches == critic_steps * packing


@pytest.mark.slow
def test_critic_steps_are_moves_of_the_discriminator_alone():
    before, after, _ = play(critic_steps=3, hypers={G_RATE: 0.0})
    counts = {p: [leaf for leaf in jax.tree.leaves(after.opt_state[p]) if leaf.ndim == 0 and leaf.dtype == jnp.int32]
              for p in after.params}
    assert [int(c) for c in counts["discriminator"]] == [3] and [int(c) for c in counts["generator"]] == [1]
    assert not moved(before, after, "generator")


@pytest.mark.slow
def test_packing_shows_rows_of_the_batch_side_by_side():
    family = gan.make(config(packing=2), POINTS)
    state = family.init(jax.random.key(0), batch_of(POINTS, 4))
    kernel = state.params["discriminator"]["encoder"]["MLP_0"]["Dense_0"]["kernel"]
    assert kernel.shape == (4, 6)
    x = batch_of(POINTS, 4)["x"]
    same(build(config(), POINTS).pack(x), x)
    players = build(config(packing=2), POINTS)
    same(players.pack_with_next(x)[3], jnp.concatenate([x[3], x[0]]))
    np.testing.assert_array_equal(players.pack(jnp.arange(8.0).reshape(4, 2)), [[0, 1, 2, 3], [4, 5, 6, 7]])
    image = build(config(packing=2), IMAGES).pack(jnp.stack([jnp.zeros((8, 8, 1)), jnp.ones((8, 8, 1))]))
    assert image.shape == (1, 8, 8, 2) and (image[..., 0] == 0).all() and (image[..., 1] == 1).all()


@pytest.mark.slow
def test_unrolling_foresees_the_discriminators_next_steps():
    """With SGD and one unrolled step, the generator's value is that against the discriminator a step later."""
    options, rates = {"discriminator_optimizer__name": "sgd", "simultaneous": True}, {D_RATE: 0.5, G_RATE: 0.0}
    stepped = play(**options, hypers=rates)[1]
    foreseen = play(**options, hypers=rates, unrolled_steps=1)[2]["generator_loss"]
    _, init, update, _ = compiled(POINTS, tuple(sorted(options.items())))
    batch = batch_of(POINTS, BATCH)
    start = init(jax.random.key(0), batch)
    later = start.replace(params=start.params | {"discriminator": stepped.params["discriminator"]})
    np.testing.assert_allclose(foreseen, update(later, batch, jax.random.key(0))[1]["generator_loss"], rtol=1e-5)


@pytest.mark.slow
def test_unrolled_steps_of_no_length_are_the_plain_game():
    still = {D_RATE: 0.0}
    same(play(unrolled_steps=3, hypers=still)[1].params, play(hypers=still)[1].params, 1e-6)


def test_the_generators_gradient_goes_through_unrolled_steps():
    """By finite differences in the generator's own value along a fake example."""
    settings = config(unrolled_steps=2, discriminator_optimizer__name="sgd",
                      discriminator_optimizer__learning_rate=0.3, discriminator__activation="tanh")
    players = build(settings, POINTS)
    game, family = Game(settings, players), gan.make(settings, POINTS)
    state = family.init(jax.random.key(0), batch_of(POINTS, BATCH))
    fake = jax.random.normal(jax.random.key(5), (BATCH, 2))
    hand = Hand(batch_of(POINTS, BATCH)["x"], fake, None, jnp.zeros((BATCH, 0)))

    @jax.jit
    def value(fake):
        return game.generator_value(fake, state, hand, jax.random.key(1))[0]

    direction = jax.random.normal(jax.random.key(6), fake.shape)
    slope = (jax.grad(value)(fake) * direction).sum()
    difference = (value(fake + 1e-2 * direction) - value(fake - 1e-2 * direction)) / 2e-2
    np.testing.assert_allclose(slope, difference, rtol=2e-2)


def test_batch_norm_apart_and_together():
    """Apart, the real logits do not depend on the fake examples; together they do."""
    def logits(joint, spread):
        players = build(config(discriminator__batch_norm=True, joint_batches=joint), POINTS)
        x = batch_of(POINTS, BATCH)["x"]
        variables = players.discriminator.init(jax.random.key(0), x, train=True)
        params, statistics = variables["params"], {"batch_stats": variables["batch_stats"]}
        return players.judge_both(params, statistics, x, spread * x, None)[0].logits

    same(logits(False, 1.0), logits(False, 5.0))
    assert jnp.abs(logits(True, 1.0) - logits(True, 5.0)).max() > 1e-3


def test_passes_apart_normalise_each_z_of_a_pack_with_its_own_batch():
    """The first of all packs are as made alone, and the running statistics move by the mean of both passes'."""
    players = build(config(packing=2, joint_packs=False, generator__batch_norm=True), POINTS)
    z = players.draw_latents(jax.random.key(0), 2 * BATCH) + jnp.tile(jnp.array([0.0, 3.0]), BATCH)[:, None]
    variables = players.generator.init(jax.random.key(1), z, train=True)
    args = variables["params"], {"batch_stats": variables["batch_stats"]}
    fake, after = players.generate_packs(*args, z, None)
    alone = [players.generate(*args, z[i::2], None) for i in range(2)]
    for i, (expected, _) in enumerate(alone):
        np.testing.assert_allclose(fake[i::2], expected, rtol=1e-5, atol=1e-6)
    same(after, jax.tree.map(lambda a, b: (a + b) / 2, *(statistics for _, statistics in alone)), 1e-6)
    together = players._replace(joint_packs=True).generate_packs(*args, z, None)[0]
    assert jnp.abs(together - fake).max() > 1e-2


@pytest.mark.slow
def test_a_game_of_packs_made_apart_is_played():
    before, after, metrics = play(packing=2, joint_packs=False, generator__batch_norm=True,
                                  conditioning__name="projection")
    assert moved(before, after, "generator") and finite((after.params, metrics))


@pytest.mark.slow
def test_weight_clipping_bounds_the_discriminator_alone():
    _, after, _ = play(weight_clip=0.01, loss__name="wasserstein")
    assert max(jnp.abs(leaf).max() for leaf in jax.tree.leaves(after.params["discriminator"])) <= 0.01
    assert max(jnp.abs(leaf).max() for leaf in jax.tree.leaves(after.params["generator"])) > 0.01


@pytest.mark.slow
def test_instance_noise_is_shown_to_the_discriminator_and_fades():
    """At a linear schedule's end the noisy game is the plain one again."""
    noisy = {"instance_noise": 0.5, "schedules__instance_noise__name": "linear",
             "schedules__instance_noise__steps": 1}
    assert play(1, **noisy)[2]["real_logits"] != play(1)[2]["real_logits"]
    _, init, update, _ = compiled(POINTS, tuple(sorted(noisy.items())))
    plain = compiled(POINTS, ())[2]
    batch = batch_of(POINTS, BATCH)
    state = init(jax.random.key(0), batch).replace(step=jnp.int32(1))
    same(update(state, batch, jax.random.key(0))[0].params, plain(state, batch, jax.random.key(0))[0].params, 1e-6)


@pytest.mark.slow
def test_augmented_images_reach_the_discriminator():
    plain = play(spec=IMAGES)[2]
    augmented = play(spec=IMAGES, augment__translation__ratio=0.25, augment__cutout=True, augment__color=True)[2]
    assert finite(augmented) and augmented["real_logits"] != plain["real_logits"]


@pytest.mark.slow
@pytest.mark.parametrize("how, packing", [("concatenate", 2), ("projection", 1), ("auxiliary", 2)])
def test_conditional_games(how, packing):
    before, after, metrics = play(2, conditioning__name=how, packing=packing)
    assert finite(after.params) and ("class_loss" in metrics) == (how == "auxiliary")
    family = compiled(POINTS, tuple(sorted({"conditioning__name": how, "packing": packing}.items())))[0]
    draw = partial(family.sample, after, jax.random.key(3), 5)
    label = jnp.array([0, 1, 2, 1, 0])
    samples = draw(label=label)
    same(samples, draw(label=label))
    changed = np.abs(samples - draw(label=jnp.zeros(5, int))).max(1) > 1e-6
    np.testing.assert_array_equal(changed, label != 0)
    x = batch_of(POINTS, BATCH)["x"]
    logits = [family.methods["discriminate"](after, x, jnp.full(BATCH, k)) for k in (0, 1)]
    assert (how == "auxiliary") == np.allclose(*logits)


class Unconditional(nn.Module):
    """A network that takes no condition."""

    def __call__(self, x, *, train):
        return 2 * x


def test_networks_without_a_condition_play_unconditional_games_alone():
    x = jnp.ones((2, 3))
    same(conditioned(Unconditional(), x, None, train=True), 2 * x)
    with pytest.raises(UserError, match="Unconditional takes no labels"):
        conditioned(Unconditional(), x, x, train=True)


def test_labels_without_conditioning_are_refused():
    family = compiled(POINTS, ())[0]
    state = play()[1]
    with pytest.raises(UserError, match="without labels"):
        family.sample(state, jax.random.key(0), 2, label=jnp.zeros(2, int))
    with pytest.raises(UserError, match="needs labels"):
        gan.make(config(conditioning__name="projection"), Spec((2,), 0, "real"))


@pytest.mark.slow
def test_codes_are_recovered_from_the_samples():
    """After a few hundred steps Q tells the category better than chance: below log 3 nats."""
    options = {"codes__categorical": (3,), "codes__continuous": 1, "latents": 5, "codes__weight": 1.0,
               "generator_optimizer__learning_rate": 1e-2, "discriminator_optimizer__learning_rate": 1e-2}
    assert play(300, **options)[2]["code_loss"] < 0.7 * np.log(3)
    with pytest.raises(UserError, match="cannot hold"):
        gan.make(config(codes__categorical=(10,)), POINTS)


@pytest.mark.slow
def test_evaluation_is_per_example_and_diagnoses():
    family, init, _, evaluate = compiled(POINTS, ())
    batch = batch_of(POINTS, BATCH)
    metrics = evaluate(init(jax.random.key(0), batch), batch, jax.random.key(1))
    assert all(values.shape == (BATCH,) for values in metrics.values())
    assert set(np.unique(metrics["real_accuracy"])) <= {0.0, 1.0}


@pytest.mark.slow
@pytest.mark.parametrize("joint", [False, True])
def test_evaluation_judges_as_the_discriminator_plays(joint):
    """The logits of real examples are those of the step that shows the same batch, whatever the running statistics.

    Together with the fakes they depend on these, which the evaluation draws for itself.
    """
    options = {"discriminator__batch_norm": True, "joint_batches": joint}
    before, _, metrics = play(**options)
    family, _, _, evaluate = compiled(POINTS, tuple(sorted(options.items())))
    batch = batch_of(POINTS, BATCH)
    found = evaluate(before, batch, jax.random.key(1))
    if not joint:
        np.testing.assert_allclose(found["real_logits"].mean(), metrics["real_logits"], rtol=1e-5)
    shifted = before.replace(variables=before.variables | {
        "discriminator": jax.tree.map(lambda leaf: leaf + 2, before.variables["discriminator"])})
    same(found, evaluate(shifted, batch, jax.random.key(1)))
    same(family.methods["judge"](before, batch["x"], batch["x"]), 2 * (family.methods["judge"](
        shifted, batch["x"], batch["x"])[0],), 1e-6)


@pytest.mark.slow
def test_gradient_norms_through_both_losses():
    """Where all logits are l, the saturating gradient is exp(l) times the other (Arjovsky & Bottou 2017)."""
    family, init, _, evaluate = compiled(POINTS, ())
    batch = batch_of(POINTS, BATCH)
    state = init(jax.random.key(0), batch)
    state.params["discriminator"]["logits"] = {"kernel": jnp.full((6, 1), 1e-3), "bias": jnp.full((1,), -8.0)}
    metrics = evaluate(state, batch, jax.random.key(1))
    norms = jax.jit(family.diagnose)(state, batch, jax.random.key(1))
    saturating, non_saturating = (norms[f"generator_gradient_{name}"] for name in ("saturating", "non_saturating"))
    np.testing.assert_allclose(saturating / non_saturating, np.exp(-8), rtol=0.02)
    assert (metrics["fake_accuracy"] == 1).all() and (metrics["real_accuracy"] == 0).all()


@pytest.mark.slow
def test_the_diagnosis_is_of_the_games_own_gradient():
    """The norm through the loss that trains is that of the step that plays the same latents."""
    before, _, metrics = play(simultaneous=True)
    family = compiled(POINTS, (("simultaneous", True),))[0]
    (last,) = jax.random.split(stream(jax.random.key(0), "critic"), 1)
    norms = jax.jit(family.diagnose)(before, batch_of(POINTS, BATCH), last)
    np.testing.assert_allclose(
        norms["generator_gradient_non_saturating"], metrics["generator_gradient_norm"], rtol=1e-5)


def test_diversity_compares_the_spread():
    x = jax.random.normal(jax.random.key(0), (500, 2))
    np.testing.assert_allclose(diversity(x, 0.1 * x + 3), 0.1, rtol=1e-4)
    np.testing.assert_allclose(diversity(x, jnp.ones((500, 2))), 0, atol=1e-6)


@pytest.mark.slow
def test_replicas_with_their_own_hyperparameters_train_in_one_program():
    family, init, update, _ = compiled(POINTS, (("penalties__r1__every", 1),))
    batch = batch_of(POINTS, BATCH)
    states = jax.vmap(lambda seed: family.init(jax.random.key(seed), batch))(jnp.arange(3))
    states.hypers["penalties.r1.weight"] = jnp.array([0.1, 0.0, 10.0])
    together, _ = jax.jit(jax.vmap(family.update, (0, None, None)))(states, batch, jax.random.key(0))
    alone, _ = update(jax.tree.map(lambda leaf: leaf[2], states), batch, jax.random.key(0))
    same(jax.tree.map(lambda leaf: leaf[2], together.params), alone.params, 1e-5)


@pytest.mark.slow
def test_an_autoencoding_discriminator_and_its_balance():
    """A logit is minus the mean absolute error; k moves by rate (gamma E(x) - E(G(z))) (Berthelot et al. 2017)."""
    options = {"reconstruction__name": "mlp", "reconstruction__hidden": (5,)}
    before, after, metrics = play(loss__name="boundary_equilibrium", loss__gamma=0.75, loss__rate=0.1,
                                  loss__balance=0.5, **options)
    expected = 0.5 + 0.1 * (metrics["fake_logits"] - 0.75 * metrics["real_logits"])
    np.testing.assert_allclose(after.hypers["loss.balance"], expected, rtol=1e-5)
    np.testing.assert_allclose(
        metrics["discriminator_loss"], 0.5 * metrics["fake_logits"] - metrics["real_logits"], rtol=1e-5)
    assert moved(before, after, "generator") and moved(before, after, "discriminator")

    players = build(config(loss__name="boundary_equilibrium", **options), POINTS)
    x = batch_of(POINTS, 4)["x"]
    tree = players.discriminator.init(jax.random.key(0), x, train=False)
    judged = players.discriminator.apply(tree, x, train=False)
    zero = jax.tree.map(jnp.zeros_like, tree)
    np.testing.assert_allclose(players.discriminator.apply(zero, x, train=False).logits, -jnp.abs(x).mean(1), rtol=1e-6)
    assert judged.logits.shape == (4,) and (judged.logits < 0).all()
