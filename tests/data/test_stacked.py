import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from scipy import stats

from gen.data import decoder, indexer, load, stacked
from gen.data.batches import gather, indices_block
from gen.errors import UserError
from gen.schema import complete
from gen.training import program

N = 50


@pytest.fixture(autouse=True)
def numbered(monkeypatch):
    """MNIST whose pixels are the number of the image, 100 + number in the test images; labels are number % 10."""
    def mnist(train_examples=0, loading="auto"):
        number = np.arange(N)
        parts = [{"x": np.tile((number + start).astype(np.uint8)[:, None, None, None], (1, 28, 28, 1)),
                  "label": (number % 10).astype(np.int32)} for start in (0, 100)]
        parts[0] = {key: values[: train_examples or None] for key, values in parts[0].items()}
        return *parts, 10

    monkeypatch.setattr("gen.data.images.mnist", mnist)


@pytest.mark.slow
def test_stack_puts_three_digits_on_the_channels():
    number = jnp.arange(7, dtype=jnp.uint8)
    raw = {"x": jnp.tile(number[:, None, None, None], (1, 2, 2, 1)), "label": jnp.arange(7) + 1}
    found = stacked.stack(raw)
    assert found["x"].shape == (2, 2, 2, 3)
    np.testing.assert_array_equal(found["x"][:, 0, 1], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(found["label"], [123, 456])
    np.testing.assert_array_equal(stacked.stack(found)["x"], found["x"])


@pytest.mark.slow
def test_draws_are_a_pure_function_of_the_step():
    key = jax.random.key(0)
    block = stacked.draws(key, 3, 4, 5, 100)
    assert block.shape == (4, 15)
    np.testing.assert_array_equal(stacked.draws(key, 5, 1, 5, 100)[0], block[2])
    np.testing.assert_array_equal(jax.jit(lambda s: stacked.draws(key, s, 2, 5, 100))(jnp.int32(4)), block[1:3])
    assert len({tuple(row) for row in np.asarray(block).tolist()}) == 4


def test_draws_are_uniform_and_the_channels_independent():
    x = np.asarray(stacked.draws(jax.random.key(1), 0, 40, 500, 10)).reshape(-1, 3)
    triples = np.bincount(x @ [100, 10, 1], minlength=1_000)
    assert stats.chisquare(triples).pvalue > 1e-3
    batches = x.reshape(40, -1)
    assert stats.chisquare(np.bincount(10 * batches[:-1].ravel() + batches[1:].ravel(), minlength=100)).pvalue > 1e-3


@pytest.mark.slow
def test_on_the_fly_batches_are_stacked_when_decoded():
    config = {"name": "stacked_mnist", "range": "symmetric", "test_examples": 20}
    data = load(config)
    assert data.spec[:3] == ((28, 28, 3), 1_000, "symmetric")
    assert data.train["x"].shape == (N, 28, 28, 1) and data.test["x"].shape == (20, 28, 28, 3)
    indices = indexer(config)(jax.random.key(0), 0, 1, 8, N)[0]
    batch = jax.jit(decoder(config))(gather(jax.device_put(data.train), indices), jax.random.key(0))
    numbers = np.asarray(indices).reshape(8, 3)
    np.testing.assert_allclose(batch["x"][:, 5, 7], numbers / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(batch["label"], numbers % 10 @ [100, 10, 1])
    test = decoder(config)(jax.device_put(data.test), jax.random.key(0))
    np.testing.assert_allclose(test["x"], data.test["x"] / 127.5 - 1, atol=1e-6)


def test_fixed_triples():
    config = {"name": "stacked_mnist_fixed", "examples": 30, "test_examples": 20}
    data = load(config)
    assert data.spec[:3] == ((28, 28, 3), 1_000, "unit") and data.train["x"].shape == (30, 28, 28, 3)
    for part, start in ((data.train, 0), (data.test, 100)):
        numbers = part["x"][:, 0, 0].astype(int) - start
        assert numbers.min() >= 0 and numbers.max() < N
        np.testing.assert_array_equal(part["label"], numbers % 10 @ [100, 10, 1])
    again = load({**config, "examples": 40})
    np.testing.assert_array_equal(again.test["x"], data.test["x"])
    assert not np.array_equal(load({**config, "seed": 1}).train["x"], data.train["x"])
    assert indexer(config) is indices_block
    with pytest.raises(UserError, match="at least one example"):
        load({**config, "examples": 0})


@pytest.mark.slow
def test_training_steps_see_stacked_batches():
    """A GAN trains on it; the metrics do not depend on how the steps are divided into dispatches."""
    config = complete(ConfigDict({
        "family": "gan", "latents": 2, "data": {"name": "stacked_mnist", "range": "symmetric", "test_examples": 6},
        "generator": {"name": "mlp", "hidden": (4,)}, "discriminator": {"name": "mlp", "hidden": (4,)},
        "loss": {"name": "non_saturating"}, "generator_optimizer": {"name": "adam"},
        "discriminator_optimizer": {"name": "adam"},
        "train": {"steps": 4, "batch_size": 5, "log_every": 4, "evaluate_every": 4, "sample_every": 4,
                  "checkpoint_every": 4}}), {})
    dataset = load(config.data)
    made = program.make(config, dataset.spec)
    data = program.on_device(dataset.train)
    _, whole = made.train(made.init(0, data), data, 4)
    state, first = made.train(made.init(0, data), data, 3)
    _, last = made.train(state, data, 1)
    for name, values in whole.items():
        np.testing.assert_array_equal(np.append(first[name][:3], last[name][0]), values)
    state = made.init(0, data)
    assert made.evaluate(state, program.on_device(dataset.test))["real_logits"].shape == (6,)
    assert made.sample(state, jax.random.key(0), 2).shape == (2, 28, 28, 3)


def test_every_triple_is_as_frequent_as_its_digits_together():
    """Of 49 digits the nines are fewer: 999 is (4/49)^3 of the triples, as a count of draws says."""
    shares = np.array(load({"name": "stacked_mnist", "train_examples": 49, "test_examples": 20}).spec.label_frequencies)
    assert shares.shape == (1_000,) and shares.sum() == pytest.approx(1)
    assert shares[999] == pytest.approx((4 / 49) ** 3) and shares[905] == pytest.approx(4 * 5 * 5 / 49**3)
    drawn = np.asarray(stacked.draws(jax.random.key(2), 0, 40, 500, 49)).reshape(-1, 3) % 10 @ [100, 10, 1]
    assert stats.chisquare(np.bincount(drawn, minlength=1_000), shares * len(drawn)).pvalue > 1e-3
    assert load({"name": "stacked_mnist", "test_examples": 20}).spec.label_frequencies == ()
