"""Steps of the generator and what the discriminator is shown: more fakes, the best of them, adaptive augmentation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gen
from gen import families
from gen.augment import augmented
from gen.data import Spec
from gen.errors import UserError
from gen.families.gan import adaptive
from gen.families.gan.game import AVERAGES
from gen.families.gan.players import Generator, build
from gen.objectives.adversarial import mean_of_best
from gen.rng import stream
from gen.training import loop
from tests.helpers import assert_close, assert_same_bits, gan_config, stop_after

POINTS, IMAGES, KEY = Spec((2,), 8, "real"), Spec((8, 8, 1), 10, "symmetric"), jax.random.key(0)
PLAIN = {"penalties__r1": False, "critic_steps": 1, "ema_half_life": 0.0, "generator__batch_norm": False}
ON_DIGITS = {"data__name": "digits", "data__range": "symmetric", "evaluators__modes": False}
SHIFT = {"augment__translation": True}


def batch_of(spec, n):
    return {"x": jax.random.uniform(KEY, (n, *spec.shape)), "label": jnp.arange(n) % spec.classes}


def played(config, spec=POINTS, steps=1, n=16):
    """The family and the states and metrics of a few steps on one batch."""
    family = families.make(config, spec)
    batch, update = batch_of(spec, n * family.batches), jax.jit(family.update)
    states, metrics = [jax.jit(family.init)(KEY, batch)], []
    for i in range(steps):
        state, found = update(states[-1], batch, jax.random.key(i))
        states.append(state)
        metrics.append(found)
    return family, states, metrics


@pytest.mark.slow
@pytest.mark.parametrize("options, n", [({"generator_batches": 2}, 32), ({"fresh_latents": True}, 16),
                                        ({"generator_batches": 3, "packing": 2, "joint_packs": False}, 96)])
def test_the_generators_step_is_on_latents_of_its_own(options, n):
    """Its gradient is that of the loss of these fakes; the discriminator moves as without them."""
    sgd = {f"{player}_optimizer__name": "sgd" for player in ("generator", "discriminator")}
    family, (before, after), (metrics,) = played(gan_config(**PLAIN, **sgd, **options))
    _, (_, usual), (plain,) = played(gan_config(**PLAIN, **sgd, **{
        key: value for key, value in options.items() if "pack" in key}))
    assert_close(after.params["discriminator"], usual.params["discriminator"])
    assert float(metrics["generator_loss"]) != float(plain["generator_loss"])
    players = build(gan_config(**PLAIN, **options), POINTS)
    last = jax.random.split(stream(jax.random.key(0), "critic"), 1)[0]
    z = players.draw_latents(stream(stream(last, "generator's step"), "latents"), n)

    def loss(params):
        fake = players.pack(players.generate(params, {}, z, None)[0])
        logits = players.judge(after.params["discriminator"], {}, fake, None)[0].logits
        return jax.nn.softplus(-logits).mean()

    value, grads = jax.value_and_grad(loss)(before.params["generator"])
    np.testing.assert_allclose(metrics["generator_loss"], value, rtol=1e-5)
    assert_close(after.params["generator"], jax.tree.map(lambda p, g: p - 1e-3 * g, before.params["generator"], grads))


@pytest.mark.slow
def test_twice_the_fakes_with_batch_norm_penalties_labels_and_microbatches():
    options = {"generator_batches": 2, "conditioning__name": "projection", "train__microbatches": 2}
    for loss in ("non_saturating", "relativistic_paired"):
        _, states, metrics = played(gan_config(**options, loss__name=loss), steps=2)
        assert all(np.isfinite(value) for value in metrics[-1].values())
        assert not np.array_equal(*(jax.tree.leaves(state.params["generator"])[0] for state in states[1:]))


def test_the_best_are_those_of_the_highest_logits():
    """torch.topk(logits, int(fraction * n)).values, in the order that belongs to them."""
    logits, values = jnp.float32([3.0, -1.0, 0.5, 9.0]), jnp.float32([1.0, 2.0, 4.0, 8.0])
    for fraction, expected in ((1.0, 15 / 4), (0.75, 13 / 3), (0.5, 4.5), (0.49, 8.0), (0.01, 8.0)):
        assert mean_of_best(values, logits, jnp.float32(fraction)) == pytest.approx(expected)
    gradient = jax.grad(lambda logits: mean_of_best(-logits, logits, 0.5))(logits)
    np.testing.assert_allclose(gradient, [-0.5, 0, 0, -0.5])


@pytest.mark.slow
def test_the_part_that_the_generator_learns_from_may_fall():
    """Half of them after one step: the loss of those is the lower one of the non-saturating loss."""
    path = "schedules__generator_best"
    falling = {f"{path}__name": "exponential", f"{path}__half_life": 1, "generator_best": 1.0}
    _, _, of_all = played(gan_config(**PLAIN), steps=2)
    _, states, best = played(gan_config(**PLAIN, **falling), steps=2)
    np.testing.assert_allclose(best[0]["generator_loss"], of_all[0]["generator_loss"], rtol=1e-6)
    assert best[1]["generator_loss"] < of_all[1]["generator_loss"]
    assert states[-1].hypers["generator_best"] == 1


@pytest.mark.slow
def test_a_probability_of_augmentation_is_of_each_image():
    x = jax.random.uniform(KEY, (2_000, 4, 4, 1), minval=0.1)
    found = augmented(x, KEY, {"cutout": {"ratio": 0.5}}, "symmetric", jnp.float32(0.3))
    always = augmented(x, KEY, {"cutout": {"ratio": 0.5}}, "symmetric")
    changed, cut = (np.asarray((y != x).any((1, 2, 3))) for y in (found, always))
    assert abs(changed.mean() / cut.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 2_000) / cut.mean()
    np.testing.assert_array_equal(found[changed], always[changed])
    np.testing.assert_array_equal(augmented(x, KEY, {"cutout": {"ratio": 0.5}}, "symmetric", jnp.float32(1.0)), always)
    np.testing.assert_array_equal(augmented(x, KEY, {"cutout": {"ratio": 0.5}}, "symmetric", jnp.float32(0.0)), x)


def steered(signs, every, target, images, batch_size, initial):
    """The probability after each step by StyleGAN2-ADA's released rule, with StyleGAN's sum over `every` batches."""
    p, found = initial, []
    for step, _ in enumerate(signs, start=1):
        if step % every == 0:
            p += np.sign(np.mean(signs[step - every:step]) - target) * batch_size * every / images
        p = min(max(p, 0.0), 1.0)
        found.append(p)
    return found


@pytest.mark.parametrize("packing", [1, 2])
def test_the_controller_moves_as_in_the_released_code(packing):
    """By the real examples that were shown, of which a pack has several."""
    config = gan_config(**SHIFT, **ON_DIGITS, ada__target=0.25, ada__images=256, ada__every=3, ada__initial=0.9,
                        critic_steps=1, packing=packing)
    state = jax.eval_shape(lambda: families.make(config, IMAGES).init(KEY, batch_of(IMAGES, 16 * packing)))
    state = state.replace(step=jnp.int32(0), hypers={"ada.target": jnp.float32(0.25)},
                          variables=adaptive.initial(config))
    signs = [0.5, 0.25, 0.5, 1, 1, 1, -1, 0.5, 0, 0, 0, 0, 0.2, 0.3, 0.1, -0.5, 0, 1]
    found = []
    for sign in signs:
        state = state.replace(variables=adaptive.noted(config, state, {"real_sign": jnp.float32(sign)}))
        after, metrics = adaptive.adjusted(config, state)
        state = state.replace(step=state.step + 1, variables=after)
        found.append(float(metrics["augment_probability"]))
    np.testing.assert_allclose(found, steered(signs, 3, 0.25, 256, 16 * packing, 0.9), rtol=1e-6)
    assert max(found) == 1.0 and min(found) < 0.6


@pytest.mark.slow
def test_a_run_with_a_controller_and_averages_resumes_exactly(tmp_path):
    """Every two steps the probability moves by 0.1: 2 * 2 batches of 16 images of 640."""
    options = {**SHIFT, **ON_DIGITS, "ada__target": 1e-9, "ada__images": 640, "ada__every": 2,
               "penalties__lecam__start": 2, "penalties__consistency__weight": 10.0, "discriminator__hidden": (),
               "loss__name": "hinge"}
    config = gan_config(**options)
    loop.train(config, tmp_path / "whole")
    loop.train(config, tmp_path / "parts", stop_after(3))
    loop.train(config, tmp_path / "parts")
    state = gen.load(tmp_path / "whole").state
    assert_same_bits(state, gen.load(tmp_path / "parts").state)
    steps = 10 * float(state.variables[adaptive.ENTRY]["probability"])
    assert steps == pytest.approx(round(steps)) and state.variables[AVERAGES].real != 0


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["non_saturating", "least_squares", "relativistic_paired"])
def test_the_controller_follows_how_many_real_examples_are_called_real(loss):
    """By the loss's own threshold: 1/2 for least squares, and none that a constant in the logits could move."""
    config = gan_config(**SHIFT, **ON_DIGITS, ada__target=0.6, loss__name=loss, critic_steps=1)
    family, batch = families.make(config, IMAGES), batch_of(IMAGES, 16)
    _, metrics = jax.jit(family.update)(jax.jit(family.init)(KEY, batch), batch, KEY)
    np.testing.assert_allclose(metrics["real_sign"], 2 * metrics["real_accuracy"] - 1, atol=1e-6)


@pytest.mark.parametrize("overrides, said", [
    ({"ada__target": 0.6}, "config.ada.target=0.6: there is no augmentation; add one"),
    ({"augment_probability": 0.5}, "config.augment_probability=0.5: there is no augmentation"),
    ({**SHIFT, "ada__target": 0.6, "augment_probability": 0.5}, "config.augment_probability is not read with"),
    ({"label_embedding": 3}, "config.label_embedding=3: there are no labels"),
    ({"generator_best": 1.5}, "config.generator_best = 1.5: must be at least 0 and at most 1"),
])
def test_what_nothing_reads_is_refused(overrides, said):
    with pytest.raises(UserError) as error:
        gan_config(**overrides)
    assert said in str(error.value)


def test_consistency_is_of_images():
    with pytest.raises(UserError, match="config.penalties.consistency is of images"):
        build(gan_config(penalties__consistency=True), POINTS)


@pytest.mark.slow
def test_labels_are_embedded_and_multiplied():
    """R3GAN's: G sees z and E_G y; the logit is <U h, E_D y> and has no other term."""
    options = {"label_embedding": 3, "conditioning__name": "product", "conditioning__size": 5}
    config = gan_config(**PLAIN, **options)
    family, (_, state), _ = played(config)
    players = build(config, POINTS)
    assert isinstance(players.generator, Generator)
    generator, discriminator = state.params["generator"], state.params["discriminator"]
    assert generator["label_embedding"]["kernel"].shape == (8, 3)
    assert set(discriminator) == {"encoder", "features", "label_embedding"}
    assert discriminator["features"]["kernel"].shape == (8, 5) and set(discriminator["features"]) == {"kernel"}
    x, label = jax.random.normal(KEY, (6, 2)), jnp.arange(6)
    h = players.discriminator.encoder.apply({"params": discriminator["encoder"]}, x, train=False)
    expected = ((h @ discriminator["features"]["kernel"]) * discriminator["label_embedding"]["kernel"][:6]).sum(-1)
    np.testing.assert_allclose(family.methods["discriminate"](state, x, label), expected, rtol=1e-4, atol=1e-6)
    z = players.draw_latents(KEY, 6)
    shown = jnp.eye(8)[:6] @ generator["label_embedding"]["kernel"]
    by_hand = players.generator.decoder.apply({"params": generator["decoder"]}, z, shown, train=False)
    np.testing.assert_allclose(family.methods["decode"](state, z, label), by_hand, rtol=1e-4, atol=1e-6)
