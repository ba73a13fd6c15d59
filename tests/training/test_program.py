"""The compiled functions of a run: partitions of the same steps, exactness of averages, what a step consumes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen import data
from gen.data import Spec
from gen.data.batches import gather, indices_at
from gen.errors import UserError
from gen.rng import stream
from gen.training import program
from tests.helpers import CONFIGS, assert_same_bits, gan_config


@pytest.fixture(scope="module", params=CONFIGS)
def made(request):
    config = CONFIGS[request.param]()
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.train.log_every = 6
    dataset = data.load(config.data)
    return program.make(config, dataset.spec), program.on_device(dataset.train), dataset, config


@pytest.mark.slow
def test_dispatches_of_1_and_of_k_steps_give_the_same_bits(made):
    functions, train, _, _ = made
    whole, history = functions.train(functions.init(0, train), train, 6)
    parts = functions.init(0, train)
    rows = []
    for n in (1, 1, 3, 1):
        parts, metrics = functions.train(parts, train, n)
        rows.append(jax.tree.map(lambda values, n=n: values[:n], metrics))
    assert_same_bits(whole, parts)
    for name, values in history.items():
        np.testing.assert_array_equal(values, np.concatenate([row[name] for row in rows]))


@pytest.mark.slow
def test_a_dispatch_is_the_steps_one_by_one(made):
    functions, train, _, config = made
    whole, _ = functions.train(functions.init(0, train), train, 3)
    state = functions.init(0, train)
    n = config.train.batch_size * functions.family.batches
    for step in range(3):
        state, _ = jax.jit(functions.step)(state, gather(train, indices_at(state.key, step, n, len(train["x"]))))
    assert int(state.step) == 3
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(state.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_jit_and_no_jit_agree(made):
    functions, train, _, config = made
    state = functions.init(0, train)
    raw = gather(train, jnp.arange(config.train.batch_size * functions.family.batches))
    compiled, compiled_metrics = jax.jit(functions.step)(state, raw)
    with jax.disable_jit():
        plain, plain_metrics = functions.step(state, raw)
    for name in compiled_metrics:
        np.testing.assert_allclose(compiled_metrics[name], plain_metrics[name], rtol=1e-4, atol=1e-6)
    # Adam's first step is the gradient's sign times the learning rate, so a parameter moves by at most that.
    for a, b in zip(jax.tree.leaves(compiled.params), jax.tree.leaves(plain.params), strict=True):
        assert np.max(np.abs(a - b)) <= 2.1e-3


@pytest.mark.slow
def test_seeds_differ_and_repeat(made):
    functions, train, _, _ = made
    first, again, other = (functions.train(functions.init(seed, train), train, 2)[0] for seed in (0, 0, 1))
    assert_same_bits(first, again)
    a, b = (jax.tree.leaves(state.params)[-1] for state in (first, other))
    assert not np.array_equal(a, b)


@pytest.mark.slow
def test_evaluation_has_one_value_per_example_whatever_the_batch_size(made):
    functions, train, dataset, _ = made
    state = functions.init(0, train)
    test = {name: values[:37] for name, values in dataset.test.items()}
    metrics = functions.evaluate(state, program.on_device(test))
    assert {values.shape for values in metrics.values()} == {(37,)}
    assert program.means({"m": np.float32([1, 2, 6])}) == {"m": 3.0}


@pytest.mark.slow
def test_the_last_batch_of_an_evaluation_is_filled_with_other_examples():
    """Batches of 16 of 17 examples: the last one is the 17th and the first 15, not 16 copies, whose spread is 0."""
    config = gan_config(discriminator__batch_norm=True)
    dataset = data.load(config.data)
    functions = program.make(config, dataset.spec)
    state = functions.init(0, program.on_device(dataset.train))
    test = {name: values[:17] for name, values in dataset.test.items()}
    found = functions.evaluate(state, program.on_device(test))
    last = gather(program.on_device(test), jnp.array([16, *range(15)]))
    expected = functions.family.evaluate(state, last, stream(state.key, "evaluate", 1))
    for name in found:
        np.testing.assert_allclose(found[name][-1], expected[name][0], rtol=1e-5, err_msg=name)
    assert found["diversity"][-1] < 10


def test_the_state_needs_no_data_to_be_described(made):
    functions, train, dataset, _ = made
    abstract, real = program.abstract_state(functions, dataset.spec), functions.init(0, train)
    assert jax.tree.structure(abstract) == jax.tree.structure(real)
    for a, b in zip(jax.tree.leaves(abstract), jax.tree.leaves(real), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)


def test_no_host_transfer_between_dispatches(made):
    functions, train, _, _ = made
    state, steps = functions.init(0, train), jnp.int32(2)
    state, _ = functions.train(state, train, steps)
    with jax.transfer_guard("disallow"):
        state, metrics = functions.train(state, train, steps)
        functions.train(state, train, steps)
    assert np.isfinite(metrics[next(iter(metrics))]).all()


@pytest.mark.slow
def test_drawn_samples_do_not_depend_on_how_many_follow(made):
    functions, train, dataset, _ = made
    state, key = functions.init(0, train), jax.random.key(1)
    many = program.draw(functions, state, key, 25, batch_size=10)
    assert many.shape == (25, *dataset.spec.shape)
    np.testing.assert_array_equal(program.draw(functions, state, key, 20, batch_size=10), many[:20])


@pytest.mark.parametrize("steps, batches, fits", [(2**28 - 1, 1, True), (2**28, 1, False), (2**25, 5, True),
                                                  (2**26, 5, False), (2**26, 4, False)])
def test_more_examples_than_are_counted_are_refused(steps, batches, fits):
    """16 a batch: positions in the order of the examples are uint32."""
    config = gan_config(train__steps=steps, train__batch_size=16, critic_steps=batches)
    made = program.make(config, Spec((2,), 0, "real"))
    if fits:
        program.check_length(made, config)
        return
    with pytest.raises(UserError, match=rf"steps={steps} times {16 * batches} examples a step is not below 2\*\*32"):
        program.check_length(made, config)
