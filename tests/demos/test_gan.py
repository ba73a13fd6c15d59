"""The GAN of the demo: gradients by hand against JAX on the same weights, Adam, the count of modes, and its claim."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.data.mixtures import ring_means
from gen.evaluation.modes import coverage
from gen.networks import DECODERS, ENCODERS
from gen.networks.layers import Dense
from gen.objectives.adversarial import ADVERSARIAL
from gen.objectives.penalties import r1
from gen.optimizers import adam

STEPS = """const game = new m.Game({...m.DEFAULTS, ...a[0]});
for (let i = 0; i < a[1]; i++) game.step();
const real = m.ring(game.random, 32), z = game.random.normals(64), made = m.forward(game.generator, z);
const ofD = m.discriminatorGradients(game.discriminator, real, made.at(-1), game.settings);
const ofG = m.answer(game.discriminator, real, made.at(-1), game.settings), gradients = m.zeros(game.generator);
m.addGradients(gradients, game.generator, made, m.backward(game.generator, made, ofG.toFake));
return {real, z, fake: made.at(-1), generator: game.generator, discriminator: game.discriminator, ofD, ofG,
  gradients}"""
MODULES = "gan mlp random"


def parameters(layers, head: str):
    """What the page has of an MLP as the parameters of Flax, its last layer under the name `head`."""
    dense = [{"kernel": np.reshape(layer["weights"], (layer.get("inputs", -1), len(layer["bias"]))),
              "bias": np.asarray(layer["bias"])} for layer in layers]
    return {"MLP_0": {f"Dense_{i}": layer for i, layer in enumerate(dense[:-1])}}, dense[-1]


def flat(layers) -> np.ndarray:
    return np.concatenate([np.ravel(layer[name]) for layer in layers for name in ("weights", "bias")])


def flattened(parameters) -> np.ndarray:
    hidden, last = parameters
    layers = [hidden["MLP_0"][f"Dense_{i}"] for i in range(len(hidden["MLP_0"]))] + [last]
    return np.concatenate([np.ravel(layer[name]) for layer in layers for name in ("kernel", "bias")])


def discriminate(params, x):
    """The library's encoder with a linear head."""
    encoder, head = params
    h = ENCODERS["mlp"](hidden=(48, 48)).apply({"params": encoder}, x, train=False)
    return Dense(1).apply({"params": head}, h)[:, 0]


def generate(params, z):
    hidden, output = params
    return DECODERS["mlp"](shape=(2,), hidden=(48, 48)).apply({"params": hidden | {"output": output}}, z, train=False)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["non_saturating", "relativistic_paired"])
@pytest.mark.parametrize("packing", [1, 4])
def test_gradients_of_the_losses_and_of_r1_are_jaxs_on_the_same_weights(call, loss, packing):
    found = call(MODULES, STEPS, {"loss": loss, "packing": packing, "r1": 0.3}, 40)
    with jax.enable_x64(True):
        real, fake = (jnp.asarray(found[name]).reshape(-1, packing * 2) for name in ("real", "fake"))
        d, g = (parameters(found[name], name) for name in ("discriminator", "generator"))
        adversarial = ADVERSARIAL[loss]()

        def value(d):
            penalty = r1(lambda x: discriminate(d, x), real, fake, jax.random.key(0)).mean()
            loss = adversarial.discriminator(discriminate(d, real), discriminate(d, fake)).mean()
            return loss + 0.3 * penalty, penalty

        def answer(g):
            fake = generate(g, jnp.asarray(found["z"]).reshape(-1, 2)).reshape(real.shape)
            return adversarial.generator(discriminate(d, real), discriminate(d, fake)).mean()

        (total, penalty), of_d = jax.value_and_grad(value, has_aux=True)(d)
        of_g = jax.value_and_grad(answer)(g)
    total, penalty, of_generator = float(total), float(penalty), float(of_g[0])
    assert (found["ofD"]["loss"] + 0.3 * penalty, found["ofD"]["penalty"]) == pytest.approx((total, penalty), rel=1e-5)
    assert found["ofG"]["loss"] == pytest.approx(of_generator, rel=1e-5) and penalty > 1e-3
    for here, there in ((found["ofD"]["gradients"], of_d), (found["gradients"], of_g[1])):
        exact = flattened(there)
        np.testing.assert_allclose(flat(here), exact, atol=1e-5 * np.abs(exact).max())


@pytest.mark.slow
def test_the_penaltys_gradient_is_no_part_of_the_losses(call):
    """What R1 adds to the gradient is that of the penalty alone, by differences of JAX's penalty along a direction."""
    body = STEPS.replace("game.settings)", "{...game.settings, r1: a[2]})", 1)
    with_r1, without = (call(MODULES, body, {}, 40, weight) for weight in (1.0, 0.0))
    added = flat(with_r1["ofD"]["gradients"]) - flat(without["ofD"]["gradients"])
    d = parameters(with_r1["discriminator"], "discriminator")
    real = jnp.asarray(with_r1["real"], jnp.float32).reshape(-1, 2)

    def penalty(d):
        return r1(lambda x: discriminate(d, x), real, real, jax.random.key(0)).mean()

    exact = flattened(jax.grad(penalty)(d))
    np.testing.assert_allclose(added, exact, atol=1e-5 * np.abs(exact).max())


def test_adam_is_the_librarys(call):
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=6), rng.normal(size=(5, 6))
    body = """const layers = [{weights: Float64Array.from(a[0]), bias: new Float64Array(1), inputs: 6, outputs: 1}];
    const adam = new m.Adam(layers, {rate: 0.01, b1: 0.9});
    for (const g of a[1]) adam.descend([{weights: g, bias: [0]}]); return layers[0].weights"""
    optimizer, value = adam(0.01, 0.9, 0.99), jnp.asarray(start)
    state = optimizer.init(value)
    for gradient in gradients:
        updates, state = optimizer.update(jnp.asarray(gradient), state)
        value = value + updates
    np.testing.assert_allclose(call("mlp", body, start.tolist(), gradients.tolist()), value, atol=1e-5)


def test_modes_are_counted_as_the_library_counts_them(call):
    points = np.random.default_rng(0).normal(size=(400, 2))
    found = call("gan", "m.coverage(a[0], 0.05)", points.ravel().tolist())
    exact = coverage(points, ring_means(8, 1.0), 0.05)
    assert (found["modes"], found["highQuality"]) == (exact.modes, pytest.approx(exact.high_quality))
    assert exact.modes > 0
    np.testing.assert_allclose(call("gan", "m.MEANS"), ring_means(8, 1.0).ravel(), atol=1e-12)


@pytest.mark.slow
def test_by_step_1500_the_settings_of_the_start_reach_7_modes_and_those_without_r1_fewer(call):
    body = """const game = new m.Game({...m.DEFAULTS, ...a[0]}), z = new m.Random(5).normals(2 * 1000);
    for (let i = 0; i < a[1]; i++) game.step();
    return {...m.coverage(game.sample(z)), first: game.sample(z)[0]}"""
    found = call(MODULES, body, {}, 1500)
    assert found["modes"] >= 7 and found["highQuality"] > 0.5, found
    assert call(MODULES, body, {"r1": 0, "b1G": 0.9, "b1D": 0.9}, 1000)["modes"] <= 3
    first, again, other = (call(MODULES, body, {"seed": seed}, 5)["first"] for seed in (1, 1, 2))
    assert first == again != other


def test_random_numbers_are_uniform_and_normal_and_belong_to_their_seed(call):
    body = """const r = new m.Random(a[0]);
    return {u: Array.from({length: 4000}, () => r.uniform()), n: r.normals(4000)}"""
    first, again, other = (call("random", body, seed) for seed in (1, 1, 2))
    assert first == again and first["u"][:10] != other["u"][:10]
    u, n = np.array(first["u"]), np.array(first["n"])
    assert (u.mean(), u.var()) == (pytest.approx(0.5, abs=0.02), pytest.approx(1 / 12, abs=0.004))
    assert (n.mean(), n.var()) == (pytest.approx(0, abs=0.07), pytest.approx(1, abs=0.09))
