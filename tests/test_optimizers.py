"""Optimizers against their update rules, and limits on gradients."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gen import optimizers
from gen.errors import UserError

PARAMS, GRADS = jnp.float32([1.0, -2.0]), jnp.float32([0.5, -3.0])


def first_step(part, learning_rate=0.1):
    config, hypers = {"optimizer": part}, {"optimizer.learning_rate": jnp.float32(learning_rate)}
    state = optimizers.init(config, "optimizer", PARAMS)
    return optimizers.move(config, "optimizer", hypers, GRADS, state, PARAMS)[0]


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
    config, zero, found = {"optimizer": {**part, "learning_rate": 1.0}}, jnp.zeros(()), []
    state = optimizers.init(config, "optimizer", zero)
    for gradient in gradients:
        moved, state, _ = optimizers.move(config, "optimizer", {}, jnp.float32(gradient), state, zero)
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
    config = {"optimizer": {"name": "normalized_adam", "learning_rate": 1.0}}
    after = params = {"a": jnp.zeros(2), "b": jnp.zeros(3)}
    state = optimizers.init(config, "optimizer", params)
    first, second = np.float32([3.0, 4.0]), np.float32([0.0, 1.0])
    for g in (first, second):
        grads = {"a": jnp.asarray(1000 * g), "b": jnp.asarray([g[0], g[1], 0.0])}
        before, (after, state, _) = after, optimizers.move(config, "optimizer", {}, grads, state, after)
    units = np.stack([first / 5, second])
    m = (0.9 * 0.1 * units[0] + 0.1 * units[1]) / (1 - 0.9**2)
    v = (0.999 * 0.001 * units[0] ** 2 + 0.001 * units[1] ** 2) / (1 - 0.999**2)
    for name in "ab":
        np.testing.assert_allclose((after[name] - before[name])[:2], -m / np.sqrt(v), rtol=1e-4)


def test_adamax_is_that_of_torch():
    """torch.optim.Adamax: m corrected, over u = max(b2 u, |g| + eps)."""
    gradients, b1, b2, eps = np.array([0.5, -2.0, 1e-4, 0.3]), 0.8, 0.9, 1e-3
    found = steps_of({"name": "adamax", "b1": b1, "b2": b2, "eps": eps}, gradients)
    m = u = 0.0
    for t, (g, step) in enumerate(zip(gradients, found, strict=True), start=1):
        m, u = b1 * m + (1 - b1) * g, max(b2 * u, abs(g) + eps)
        assert step == pytest.approx(-m / (1 - b1**t) / u, rel=1e-5)


def test_weight_decay_of_kernels_leaves_biases_and_norms():
    params = {"kernel": jnp.full((2, 3), 2.0), "bias": jnp.full((4, 3), 2.0), "scale": jnp.full(3, 2.0)}  # 4 layers'
    still = jax.tree.map(jnp.zeros_like, params)
    moved = {}
    for kind in optimizers.KINDS:
        config = {"optimizer": {"name": "adamw", "learning_rate": 0.1, "weight_decay": 0.5, "decayed": kind}}
        state = optimizers.init(config, "optimizer", params)
        after = optimizers.move(config, "optimizer", {}, still, state, params)[0]
        moved[kind] = {name: float(after[name].ravel()[0]) for name in params}
    decayed, kept = pytest.approx(2.0 * (1 - 0.05)), 2.0
    assert moved["all"] == {"kernel": decayed, "bias": decayed, "scale": decayed}
    assert moved["kernels"] == {"kernel": decayed, "bias": kept, "scale": kept}
    with pytest.raises(UserError, match="Unknown kind of parameters"):
        optimizers.init({"optimizer": {"name": "adamw", "decayed": "kernel"}}, "optimizer", params)


def limited(grads, **limits):
    """What a step of gradient descent at rate 1 takes of these gradients, and whether it is skipped."""
    config = {"optimizer": {"name": "sgd", "learning_rate": 1.0} | limits}
    params = jax.tree.map(jnp.zeros_like, grads)
    state = optimizers.init(config, "optimizer", params)
    hypers = optimizers.hypers(config | {"optimizer": dict.fromkeys(optimizers.COMMON, 0.0) | config["optimizer"]},
                               "optimizer")
    assert {f"optimizer.{limit}" for limit in limits} | {"optimizer.learning_rate"} == hypers.keys()
    moved, _, metrics = jax.jit(lambda grads: optimizers.move(config, "optimizer", hypers, grads, state, params))(grads)
    return jax.tree.map(jnp.negative, moved), metrics


def test_gradients_are_held_within_a_norm_or_a_value_as_by_optax():
    grads = {"a": jnp.float32([3.0, -4.0]), "b": jnp.float32([[12.0]])}
    for limit, theirs in (("clip_norm", optax.clip_by_global_norm), ("clip_value", optax.clip)):
        for most in (0.5, 3.5, 100.0):
            expected, _ = theirs(most).update(grads, theirs(most).init(grads))
            found, metrics = limited(grads, **{limit: most})
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found, expected)
            assert metrics == {}
    both = limited(grads, clip_value=4.0, clip_norm=1.0)[0]
    np.testing.assert_allclose(both["b"], 4 / np.sqrt(9 + 16 + 16), rtol=1e-6)
    assert not limited(jax.tree.map(jnp.zeros_like, grads), clip_norm=1.0)[0]["a"].any()


@pytest.mark.parametrize("size, skipped", [(1.0, 0.0), (2.0, 1.0), (jnp.nan, 1.0), (jnp.inf, 1.0)])
def test_an_update_of_too_large_a_gradient_is_left_out_whole(size, skipped):
    """Norm 5 * size against the threshold 10: neither parameters nor moments move; the next update does."""
    config = {"optimizer": {"name": "adam", "learning_rate": 0.1, "skip_norm": 10.0, "clip_norm": 1.0}}
    first = optimizers.init(config, "optimizer", PARAMS)
    grads = size * jnp.float32([3.0, 4.0])
    params, state, metrics = optimizers.move(config, "optimizer", {}, grads, first, PARAMS)
    assert metrics == {"skipped_updates": skipped}
    assert bool((params == PARAMS).all()) == bool(skipped) and int(state[0].count) == 1 - skipped
    again, _, metrics = optimizers.move(config, "optimizer", {}, jnp.float32([3.0, 4.0]), state, params)
    assert metrics["skipped_updates"] == 0 and jnp.isfinite(again).all() and (again != params).all()


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_every_float_of_an_optimizer_may_be_an_array(name):
    """The same steps with all floats traced, as where they have a schedule."""
    options = {key: option.default for key, option in inspect.signature(optimizers.OPTIMIZERS[name]).parameters.items()}
    config = {"optimizer": {"name": name} | options | ({"momentum": 0.5} if name == "sgd" else {})}
    floats = {key: value for key, value in config["optimizer"].items() if isinstance(value, float)}
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    state = optimizers.init(config, "optimizer", params)

    def twice(hypers):
        moved, after, _ = optimizers.move(config, "optimizer", hypers, params, state, params)
        return optimizers.move(config, "optimizer", hypers, moved, after, moved)[0]

    traced = jax.jit(twice)({f"optimizer.{key}": jnp.float32(value) for key, value in floats.items()})
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), traced, twice({}))
