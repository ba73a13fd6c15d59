"""VAE-GAN: each player has the gradient of its own loss alone, and it trains."""

import jax
import jax.numpy as jnp
import pytest
from ml_collections import ConfigDict

from gen.data import Spec, load
from gen.families import vaegan
from gen.schema import complete

KEY = jax.random.key(0)


def make(**optimizer):
    network = {"name": "mlp", "hidden": (32,)}
    config = complete(ConfigDict({
        "family": "vaegan", "data": {"name": "digits"}, "latents": 4, "encoder": network, "decoder": network,
        "discriminator": network | {"batch_norm": True}, "likelihood": {"name": "bernoulli"},
        "optimizer": optimizer,
        "train": {"steps": 10, "batch_size": 32, "log_every": 10, "evaluate_every": 0, "sample_every": 0,
                  "checkpoint_every": 0}}), {})
    return vaegan.make(config, Spec((8, 8, 1), 10, "unit"))


@pytest.fixture(scope="module")
def model():
    family = make(name="sgd", learning_rate=0.01)
    x = jnp.float32(load({"name": "digits"}).train["x"][:32]) / 255
    family = family._replace(update=jax.jit(family.update))
    return family, jax.jit(family.init)(KEY, {"x": x}), {"x": x}


def moved(family, state, batch, name):
    after = family.update(state, batch, KEY)[0]
    return jnp.concatenate([(a - b).ravel() for a, b in zip(
        jax.tree.leaves(after.params[name]), jax.tree.leaves(state.params[name]), strict=True)])


@pytest.mark.slow
def test_the_feature_weight_is_the_decoders_alone(model):
    family, state, batch = model
    heavy = state.replace(hypers=state.hypers | {"feature_weight": jnp.float32(1)})
    for name, differs in (("encoder", False), ("decoder", True), ("discriminator", False)):
        change = jnp.abs(moved(family, state, batch, name) - moved(family, heavy, batch, name)).max()
        assert (change > 1e-5) == differs, name


@pytest.mark.slow
def test_the_discriminator_has_the_gradient_of_its_own_loss(model):
    family, state, batch = model

    def loss(discriminator):
        params = state.params | {"discriminator": discriminator}
        return family.update(state.replace(params=params), batch, KEY)[1]["discriminator_loss"]

    gradient = jax.jit(jax.grad(loss))(state.params["discriminator"])
    expected = jnp.concatenate([-0.01 * v.ravel() for v in jax.tree.leaves(gradient)])
    assert jnp.abs(moved(family, state, batch, "discriminator") - expected).max() < 1e-5


@pytest.mark.slow
def test_the_evaluation_compares_features_with_the_statistics_of_training(model):
    """Those of each batch: the discriminator's running ones change nothing."""
    family, state, batch = model
    other = state.replace(variables=state.variables | {
        "discriminator": jax.tree.map(lambda leaf: 3 * leaf + 1, state.variables["discriminator"])})
    found = [family.evaluate(of, batch, KEY)["feature_error"] for of in (state, other)]
    assert jnp.array_equal(*found) and (found[0] > 0).all()


@pytest.mark.slow
def test_training_lowers_the_error_in_the_features_of_a_fixed_discriminator(model):
    _, _, batch = model
    family = make(name="adam", learning_rate=3e-3)

    def run(key):
        first = family.init(key, batch)
        first = first.replace(hypers=first.hypers | {"feature_weight": jnp.float32(1)})

        def step(state, key):
            after, metrics = family.update(state, batch, key)
            kept = {"discriminator": first.params["discriminator"]}
            return after.replace(params=after.params | kept), metrics

        last, metrics = jax.lax.scan(step, first, jax.random.split(key, 200))
        return metrics, family.evaluate(last, batch, key), family.sample(last, key, 3)

    metrics, evaluated, samples = jax.jit(run)(KEY)
    assert metrics["feature_error"][-10:].mean() < 0.7 * metrics["feature_error"][:10].mean()
    assert all(jnp.isfinite(v).all() for v in (metrics | evaluated).values())
    assert samples.shape == (3, 8, 8, 1)
