"""What runs once is compiled in little time, with the values of the function itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.training.program import LARGEST, compiled_briefly


def one_draw(key, x):
    """A function small enough to be one program."""
    return {0: jax.random.normal(key, (3,)) + x}


def many_draws(key, unneeded):
    """Draws of one shape, more than LARGEST operations with what is around them, and one that nothing needs."""
    jnp.linalg.svd(unneeded)
    return {i: 0.5 * jax.random.normal(jax.random.fold_in(key, i), (3, 4)) + 1 for i in range(LARGEST // 2)}


@pytest.mark.parametrize("function", [one_draw, many_draws])
def test_the_values_are_those_of_the_function(function):
    arguments = jax.random.key(0), jnp.ones((3, 3))
    values = compiled_briefly(function)(*arguments)
    assert values.keys() == function(*arguments).keys()
    for i, value in function(*arguments).items():
        np.testing.assert_allclose(values[i], value, rtol=1e-6, err_msg=str(i))


def test_of_many_operations_each_form_is_compiled_once():
    """Half a thousand draws of one shape are a handful of programs; one program of them all takes minutes."""
    compiled = []

    def note(event, _, **__):
        compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        compiled_briefly(many_draws)(jax.random.key(1), jnp.ones((5, 5)))
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
    assert 0 < sum(event.endswith("backend_compile_duration") for event in compiled) < 30
