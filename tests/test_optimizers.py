"""Optimizers against their update rules, schedules against their formulas."""

import jax.numpy as jnp
import numpy as np
import pytest

from gen import optimizers

PARAMS, GRADS = jnp.float32([1.0, -2.0]), jnp.float32([0.5, -3.0])


def first_step(part, learning_rate=0.1):
    state = optimizers.transformation(part, 0.0).init(PARAMS)
    return optimizers.descend(part, jnp.float32(learning_rate), GRADS, state, PARAMS)[0]


def test_first_step_of_each_optimizer():
    adam = {"name": "adam", "learning_rate": 9.0, "b1": 0.5, "b2": 0.9, "eps": 0.0}
    np.testing.assert_allclose(first_step(adam), PARAMS - 0.1 * np.sign(GRADS), rtol=1e-6)
    np.testing.assert_allclose(first_step({"name": "sgd", "learning_rate": 9.0}), PARAMS - 0.1 * GRADS, rtol=1e-6)
    rms = {"name": "rmsprop", "learning_rate": 9.0, "decay": 0.75, "eps": 0.0}
    np.testing.assert_allclose(first_step(rms), PARAMS - 0.1 * GRADS / (0.5 * np.abs(GRADS)), rtol=1e-5)
    adamw = {"name": "adamw", "learning_rate": 9.0, "eps": 0.0, "weight_decay": 0.2}
    np.testing.assert_allclose(first_step(adamw), PARAMS - 0.1 * (np.sign(GRADS) + 0.2 * PARAMS), rtol=1e-5)


def steps_of(part, gradients):
    """What each of these gradients of one parameter, at 0 throughout, moves it by at learning rate 1."""
    found, state = [], optimizers.transformation(part, 0.0).init(jnp.zeros(()))
    for gradient in gradients:
        moved, state = optimizers.descend(part, jnp.float32(1.0), jnp.float32(gradient), state, jnp.zeros(()))
        found.append(float(moved))
    return np.array(found)


def test_rmsprop_has_eps_outside_the_root():
    """v = (1 - decay^t) g^2: a gradient of 1e-5 moves by 1e-5 / (1e-5 + 1e-8) in the end, as one of any size."""
    found = steps_of({"name": "rmsprop"}, [1e-5] * 200)
    expected = -1e-5 / (1e-5 * np.sqrt(1 - 0.9 ** np.arange(1, 201)) + 1e-8)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert found[-1] == pytest.approx(-0.999, abs=1e-4)


def test_adams_moments_are_corrected_and_its_eps_is_outside_the_root():
    """A constant gradient moves by g / (|g| + eps) at every step; one alone decays as b1^t over sqrt(b2^t)."""
    np.testing.assert_allclose(steps_of({"name": "adam", "eps": 1e-4}, [3e-4] * 4), -0.75, rtol=1e-4)
    b1, b2, t = 0.8, 0.9, np.arange(1, 5)
    first = (1 - b1) * b1 ** (t - 1) / (1 - b1**t)
    second = (1 - b2) * b2 ** (t - 1) / (1 - b2**t)
    found = steps_of({"name": "adam", "b1": b1, "b2": b2, "eps": 0.0}, [2.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(found, -first / np.sqrt(second), rtol=1e-4)


def test_momentum_adds_up_undamped():
    np.testing.assert_allclose(steps_of({"name": "sgd", "momentum": 0.5}, [1.0, 1.0, 0.0]), [-1, -1.5, -0.75])


def test_normalized_adam_divides_each_tensor_by_its_own_norm():
    """The gradients of one tensor 1,000 times those of another: the second steps see what normalised ones give."""
    part, params = {"name": "normalized_adam"}, {"a": jnp.zeros(2), "b": jnp.zeros(3)}
    state, after = optimizers.transformation(part, 0.0).init(params), params
    first, second = np.float32([3.0, 4.0]), np.float32([0.0, 1.0])
    for g in (first, second):
        grads = {"a": jnp.asarray(1000 * g), "b": jnp.asarray([g[0], g[1], 0.0])}
        before, (after, state) = after, optimizers.descend(part, jnp.float32(1.0), grads, state, after)
    units = np.stack([first / 5, second])
    m = (0.9 * 0.1 * units[0] + 0.1 * units[1]) / (1 - 0.9**2)
    v = (0.999 * 0.001 * units[0] ** 2 + 0.001 * units[1] ** 2) / (1 - 0.999**2)
    for name in "ab":
        np.testing.assert_allclose((after[name] - before[name])[:2], -m / np.sqrt(v), rtol=1e-4)


@pytest.mark.parametrize("schedule, step, expected", [
    ({"name": "constant"}, 7, 1.0),
    ({"name": "linear", "steps": 10, "final": 0.5}, 5, 0.75),
    ({"name": "linear", "steps": 10, "final": 0.5}, 99, 0.5),
    ({"name": "cosine", "steps": 10, "final": 0.0}, 5, 0.5),
    ({"name": "cosine", "steps": 10, "final": 0.2}, 10, 0.2),
    ({"name": "exponential", "half_life": 4}, 8, 0.25),
])
def test_schedules(schedule, step, expected):
    assert float(optimizers.factor(schedule, jnp.int32(step))) == pytest.approx(expected)


def test_stages_grow_threefold_and_fall_tenfold():
    ends = np.cumsum([5 * 3**i for i in range(8)])
    steps = (0, 4, 5, ends[1] - 1, ends[1], ends[6], 10**6)
    found = [optimizers.stages(jnp.int32(step), unit=5, last=7) for step in steps]
    np.testing.assert_allclose(found, 10 ** (-np.array([0, 0, 1, 1, 2, 7, 7]) / 7), rtol=1e-5)
