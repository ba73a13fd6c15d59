"""Optimizers against their update rules, schedules against their formulas."""

import jax.numpy as jnp
import numpy as np
import pytest

from gen.training import optimizers

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
