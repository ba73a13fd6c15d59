"""Parts: each mistake is one line that says what and where; whatever resolves is complete plain data."""

import flax.linen as nn
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from gen.config import flatten, from_json, make, resolve, to_json
from gen.errors import UserError
from tests.config.helpers import MLP, SCHEMA, adam, experiment, message, resolved


def test_resolve_fills_in_every_default_of_the_signatures():
    assert resolved() == {
        "family": "vae", "seed": 0, "evaluators": (), "penalties": {},
        "encoder.name": "mlp", "encoder.width": 4, "encoder.widths": (3, 2), "encoder.activation": "relu",
        "optimizer.name": "adam", "optimizer.learning_rate": 1.0, "optimizer.b1": 0.9, "optimizer.clip": None,
        "optimizer.nesterov": False,
        "train.steps": 100, "train.batch_size": 8, "train.log_every": 10, "train.eval_every": 0,
    }  # fmt: skip
    assert type(resolved()["optimizer.learning_rate"]) is float


def test_resolve_locks_and_leaves_its_input_alone():
    before = experiment()
    config = resolve(before, {"train.steps": "7", "encoder.name": "conv", "encoder.depth": "2"}, SCHEMA)
    assert config.is_locked and before == experiment()
    with pytest.raises(AttributeError):
        config.train.stepz = 1
    assert resolve(config, {}, SCHEMA) == config


def test_another_name_keeps_the_options_of_the_same_type():
    flat = resolved(encoder__depth="2", encoder__name="conv")
    encoder = {k: v for k, v in flat.items() if k.startswith("encoder.")}
    assert encoder == {
        "encoder.name": "conv", "encoder.depth": 2, "encoder.width": 4, "encoder.widths": (3.0, 2.0),
        "encoder.activation": True, "encoder.dropout": None, "encoder.scale": 1.0,
    }  # fmt: skip
    assert type(encoder["encoder.widths"][0]) is float
    config = experiment()
    config.encoder.activation = "tanh"
    assert resolve(config, {"encoder.name": "conv", "encoder.depth": "2"}, SCHEMA).encoder.activation is True
    assert resolve(config, {"encoder.name": "mlp"}, SCHEMA).encoder.activation == "tanh"


def test_required_values():
    assert message(resolved, encoder__name="conv").startswith("config.encoder.depth: has no value")
    config = experiment()
    del config.train["steps"]
    assert "config.train.steps: has no value" in message(resolve, config, {}, SCHEMA)
    assert resolve(config, {"train.steps": "5"}, SCHEMA).train.steps == 5
    del config["encoder"]
    assert message(resolve, config, {}, SCHEMA) == (
        "config.encoder.name: is missing; choose one encoder. There are: conv, mlp."
    )


def test_optional_parts_come_into_being_by_name():
    assert "augment.name" not in resolved()
    assert resolved(augment__name="flip")["augment.p"] == 0.5
    assert resolved(augment__name="flip", augment__p="1")["augment.p"] == 1.0
    assert "config.augment: no such key" in message(resolved, augment__p="1")


def test_a_map_of_parts_is_open_and_checked():
    assert {k: v for k, v in resolved(penalties__r1__gamma="1").items() if "penalties" in k} == {
        "penalties.r1.gamma": 1.0, "penalties.r1.weight": 1.0,
    }  # fmt: skip
    assert resolved(penalties__r1="true")["penalties.r1.gamma"] == 10.0
    config = experiment()
    config.penalties = {"r1": {"gamma": 2}, "gp": {}}
    assert flatten(resolve(config, {"penalties.r1": "false"}, SCHEMA).penalties) == {"gp.gamma": 10.0, "gp.weight": 1.0}
    assert flatten(resolve(config, {"penalties.r1": False, "penalties.gp": False}, SCHEMA).penalties) == {}
    unknown = message(resolved, penalties__r2__gamma="1")
    assert unknown == "config.penalties.r2: unknown penalty 'r2'. Did you mean 'r1'? There are: gp, r1."
    for order in (1, -1):
        items = [("penalties.r1", "false"), ("penalties.r1.weight", "3")][::order]
        assert flatten(resolve(config, dict(items), SCHEMA).penalties.r1) == {"gamma": 10.0, "weight": 3.0}
    assert "config.penalties.r1: expected bool, got 'maybe'." in message(resolved, penalties__r1="maybe")
    assert "config.penalties.r1.real: no such key." in message(resolved, penalties__r1__real="1")


def test_mistakes_in_the_experiment_itself():
    def broken(key, value):
        config = experiment().to_dict()
        node = config
        for section in key.split(".")[:-1]:
            node = node[section]
        node[key.split(".")[-1]] = value
        return message(resolve, config, {}, SCHEMA)

    assert "config.encoder.widht: no such key. Did you mean 'width'?" in broken("encoder.widht", 3)
    assert "config.trian: no such key. Did you mean 'train'?" in broken("trian", 3)
    assert "config.train.steps: expected int, got '100'." in broken("train.steps", "100")
    assert "config.train.steps: expected plain data (numbers, strings, tuples), got array(" in broken(
        "train.steps", np.arange(3)
    )
    assert "config.encoder.activation: expected plain data" in broken("encoder.activation", nn.relu)
    assert "config.optimizer: expected a section with keys, got 'adam'." in broken("optimizer", "adam")
    assert "config.augment.name: is missing; choose one augmentation." in broken("augment", {"p": 1})
    assert "config.encoder: unknown encoder None." in broken("encoder.name", None)
    assert "keys are words without dots" in broken("train", {"a.b": 1, "steps": 1})
    assert "keys are words without dots" in broken("train", {1: 1, "steps": 1})
    assert "placeholder" in message(resolve, ConfigDict({"seed": placeholder(int, required=True)}), {}, {})


def test_what_no_schema_covers_keeps_its_own_types():
    free = {"a": {"b": 1, "c": None, "d": (1, "x")}, "e": {}}
    assert flatten(resolve(free, {"a.b": "2", "a.c": "x", "a.d": "3,'y'"}, {})) == {
        "a.b": 2, "a.c": "x", "a.d": (3, "y"), "e": {},
    }  # fmt: skip
    assert message(resolve, free, {"a.b": "x"}, {}) == "config.a.b: expected int, got 'x'."
    assert "config.e: is a section" in message(resolve, free, {"e": "x"}, {})


KEYS = st.sampled_from([*resolved(), "encoder.depth", "penalties.r1.gamma", "penalties.gp", "augment.name", "train"])
TEXTS = st.one_of(
    st.text(), st.integers().map(str), st.floats().map(repr), st.lists(st.integers()).map(repr),
    st.sampled_from(["mlp", "conv", "flip", "true", "None", "(((((", "(" * 3000, "9" * 5000, "1if", "{}", "1j"]),
)  # fmt: skip


@settings(deadline=None)
@given(st.dictionaries(st.one_of(KEYS, st.text()), TEXTS, max_size=4))
@example({"seed": "-" * 20000 + "1"})
def test_any_overrides_resolve_or_are_user_errors(overrides):
    try:
        config = resolve(experiment(), overrides, SCHEMA)
    except UserError as e:
        assert len(str(e).splitlines()) == 1 and str(e).isprintable()
        return
    flat = flatten(config)
    for key, value in resolved().items():
        if key in flat and key not in ("encoder.widths", "encoder.activation", "penalties", "optimizer.clip"):
            assert type(flat[key]) is type(value), key
    assert resolve(config, {}, SCHEMA) == config
    assert from_json(to_json(config)) == config


def test_make():
    table = SCHEMA["encoder"].table
    assert make(table, resolve(experiment(), {}, SCHEMA).encoder, "encoder", out=3) == MLP(3, 4, (3, 2), "relu")
    assert make({"adam": adam}, {"name": "adam", "b1": 0.5}, "optimizer") == (1e-3, 0.5, None, False)
    assert make({"f": lambda kind: kind}, {"name": "f"}, "part", kind=3) == 3


def test_mistakes_in_make():
    table = {"adam": adam}
    assert "Did you mean 'adam'?" in message(make, table, {"name": "adma"}, "optimizer")
    assert "This optimizer has no name. There are: adam." in message(make, table, {}, "optimizer")
    assert message(make, table, {"name": "adam", "b3": 1}, "optimizer") == (
        "optimizer 'adam': got an unexpected keyword argument 'b3'."
    )
    assert message(make, table, {"name": "adam", "learning_rate": 0}, "optimizer") == (
        "optimizer 'adam': learning_rate must be positive, got 0 or less"
    )
    with pytest.raises(ZeroDivisionError):
        make({"f": lambda: 1 / 0}, {"name": "f"}, "part")
