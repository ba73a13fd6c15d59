"""Values: text is read as the type that belongs there, everything else is refused in one line."""

import numpy as np
import pytest

from gen.config import flatten, resolve
from tests.config.helpers import SCHEMA, experiment, message


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("train.steps", " 1_000 ", 1000),
        ("train.steps", "-3", -3),
        ("optimizer.learning_rate", "1e-3", 1e-3),
        ("optimizer.learning_rate", "2", 2.0),
        ("optimizer.nesterov", "True", True),
        ("optimizer.clip", "0.5", 0.5),
        ("optimizer.clip", "None", None),
        ("encoder.widths", "(500,200)", (500, 200)),
        ("encoder.widths", "500, 200", (500, 200)),
        ("encoder.widths", "[5]", (5,)),
        ("encoder.widths", "5", (5,)),
        ("encoder.widths", "", ()),
        ("encoder.activation", "none", "none"),
        ("encoder.activation", "12", "12"),
        ("encoder.activation", "'x'", "'x'"),
        ("encoder.activation", " größe\n'x' ", " größe\n'x' "),
        ("encoder.activation", "", ""),
        ("evaluators", "fid,recall", ("fid", "recall")),
        ("evaluators", "('fid',)", ("fid",)),
        ("evaluators", "fid", ("fid",)),
        ("evaluators", "fid-1,", ("fid-1",)),
    ],
)
def test_text_is_read_as_the_type_of_the_value(key, text, expected):
    value = flatten(resolve(experiment(), {key: text}, SCHEMA))[key]
    assert value == expected and type(value) is type(expected)


RANGE = " (numbers must be finite and integers within 64 bits)."


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("train.steps", "abc", "config.train.steps: expected int, got 'abc'."),
        ("train.steps", "", "config.train.steps: expected int, got ''."),
        ("train.steps", "1.0", "config.train.steps: expected int, got '1.0'."),
        ("train.steps", "true", "config.train.steps: expected int, got 'true'."),
        ("train.steps", "__import__('os')", "config.train.steps: expected int, got \"__import__('os')\"."),
        ("train.steps", str(2**63), f"config.train.steps: expected int, got '9223372036854775808'{RANGE}"),
        ("train.steps", np.int64(3), "config.train.steps: expected int, got np.int64(3)."),
        ("optimizer.learning_rate", "nan", "config.optimizer.learning_rate: expected float, got 'nan'."),
        ("optimizer.learning_rate", "1e999", f"config.optimizer.learning_rate: expected float, got '1e999'{RANGE}"),
        ("optimizer.learning_rate", float("inf"), f"config.optimizer.learning_rate: expected float, got inf{RANGE}"),
        ("optimizer.nesterov", "1", "config.optimizer.nesterov: expected bool, got '1'."),
        ("encoder.widths", "(1, 'a')", "config.encoder.widths: expected tuple of int, got \"(1, 'a')\"."),
        ("encoder.name", "cnov", "config.encoder: unknown encoder 'cnov'. Did you mean 'conv'? There are: conv, mlp."),
        ("train.steps.x", "1", "config.train.steps.x: no such key; config.train.steps is a single value."),
        ("train", "1", "config.train: is a section; set one of its keys, as in --config.train.key=value."),
        ("encoder.out", "1", "config.encoder.out: no such key. There are: activation, name, width, widths."),
        ("train.stpes", "1", "config.train.stpes: no such key. Did you mean 'steps'? "
                             "There are: batch_size, eval_every, log_every, steps."),
        ("trian.steps", "1", "config.trian: no such key. Did you mean 'train'? There are: "
                             "encoder, evaluators, family, optimizer, penalties, seed, train."),
    ],
)  # fmt: skip
def test_mistakes_in_overrides(key, value, expected):
    assert message(resolve, experiment(), {key: value}, SCHEMA) == expected
