"""Checks of a resolved config against what it is run on."""

from ml_collections import ConfigDict

from gen.config.messages import show
from gen.errors import UserError


def check_train(config: ConfigDict, n_train_examples: int) -> None:
    """Raises a UserError unless `config.train` can be run on `n_train_examples`.

    steps, batch_size, microbatches, log_every and keep are positive; every other period is 0 (never; an evaluator's:
    that of the test split) or a multiple of log_every; a batch fits the data set.
    """
    counts = ("steps", "batch_size", "microbatches", "keep")
    train = {k: v for k, v in config.train.items() if k in counts or k.endswith("_every")}

    def fail(key: str, relation: str, other: str) -> None:
        raise UserError(f"config.train.{key} = {train[key]} {relation} {other}.")

    for key, value in train.items():
        least = 0 if key.endswith("_every") and key != "log_every" else 1
        if type(value) is not int or value < least:
            raise UserError(f"config.train.{key} = {show(value)} must be an integer of at least {least}.")
    batch_size, log_every = train["batch_size"], train["log_every"]
    for key in (k for k in train if k.endswith("_every")):
        if train[key] % log_every:
            fail(key, "is not a multiple of", f"config.train.log_every = {log_every}")
    for name, options in config.get("evaluators", {}).items():
        if options["every"] < 0 or options["every"] % log_every:
            raise UserError(f"config.evaluators.{name}.every = {options['every']} must be 0 (as often as the test "
                            f"split) or a multiple of config.train.log_every = {log_every}.")
    if batch_size > n_train_examples:
        fail("batch_size", "is larger than", f"the training set of {n_train_examples} examples")
