"""Checks of a resolved config: what cannot be trained is refused before it starts."""

import pytest
from ml_collections import ConfigDict

from gen.config import check_train
from tests.config.helpers import message


def train_config(**train):
    defaults = {"steps": 1000, "batch_size": 10, "log_every": 10, "eval_every": 100, "keep": 2}
    return ConfigDict({"train": defaults | train})


def test_check_train_accepts():
    check_train(train_config(), 10)
    check_train(train_config(eval_every=0, best="max elbo"), 10)


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        ({"eval_every": 105}, "config.train.eval_every = 105 is not a multiple of config.train.log_every = 10."),
        ({"steps": 0}, "config.train.steps = 0 must be an integer of at least 1."),
        ({"log_every": 0}, "config.train.log_every = 0 must be an integer of at least 1."),
        ({"eval_every": -10}, "config.train.eval_every = -10 must be an integer of at least 0."),
        ({"batch_size": True}, "config.train.batch_size = True must be an integer of at least 1."),
        ({"keep": 0}, "config.train.keep = 0 must be an integer of at least 1."),
        ({"batch_size": 51}, "config.train.batch_size = 51 is larger than the training set of 50 examples."),
    ],
)  # fmt: skip
def test_check_train_refuses(train, expected):
    assert message(check_train, train_config(**train), 50) == expected
