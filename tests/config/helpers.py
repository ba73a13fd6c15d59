"""What the tests of configs share: a small schema with an experiment that it completes, and any trees of plain data."""

import flax.linen as nn
import jax.numpy as jnp
import pytest
from hypothesis import strategies as st
from ml_collections import ConfigDict

from gen.config import Part, flatten, resolve
from gen.errors import UserError


class MLP(nn.Module):
    out: int
    width: int = 8
    widths: tuple[int, ...] = (500, 200)
    activation: str = "relu"
    dtype: object = jnp.float32


class Conv(nn.Module):
    out: int
    depth: int
    width: int = 16
    widths: tuple[float, ...] = (1.0,)
    activation: bool = True
    dropout: float | None = None
    scale: float = 1


def r1(discriminate, real, gamma: float = 10): ...


def adam(learning_rate: "float" = 1e-3, b1=0.9, clip=None, nesterov=False):
    if learning_rate <= 0:
        raise ValueError("learning_rate must be positive,\ngot 0 or less")
    return learning_rate, b1, clip, nesterov


SCHEMA = {
    "": {"seed": 0, "family": str, "evaluators": ()},
    "encoder": Part({"mlp": MLP, "conv": Conv}, "encoder", supplied=frozenset({"out"})),
    "optimizer": Part({"adam": adam}, "optimizer"),
    "augment": Part({"flip": lambda p=0.5: p}, "augmentation", optional=True),
    "penalties": Part(
        {"r1": r1, "gp": r1}, "penalty", supplied=frozenset({"discriminate", "real"}), many=True, common={"weight": 1.0}
    ),
    "train": {"steps": int, "batch_size": 8, "log_every": 10, "eval_every": 0},
}


def experiment() -> ConfigDict:
    return ConfigDict(
        {
            "family": "vae",
            "encoder": {"name": "mlp", "width": 4, "widths": [3, 2]},
            "optimizer": {"name": "adam", "learning_rate": 1},
            "train": {"steps": 100},
        }
    )


def resolved(**overrides) -> dict:
    return flatten(resolve(experiment(), {k.replace("__", "."): v for k, v in overrides.items()}, SCHEMA))


def message(function, *args, **kwargs) -> str:
    with pytest.raises(UserError) as error:
        function(*args, **kwargs)
    text = str(error.value)
    assert text.splitlines() == [text] and text.isprintable()
    return text


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63) + 1, 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)  # fmt: skip
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="."), min_size=1, max_size=4)
TREES = st.dictionaries(NAMES, st.recursive(VALUES, lambda tree: st.dictionaries(NAMES, tree, max_size=3)), max_size=4)
