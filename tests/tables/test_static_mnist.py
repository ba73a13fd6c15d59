"""The table of static MNIST: its rows are the models of other experiments, on the same pixels."""

import pytest

from gen import tables
from gen.config import flatten
from gen.schema import complete
from gen.tables.points import experiment

ENTRIES = tables.collect()
ENTRY = ENTRIES["static_mnist"]
ELSEWHERE = {"VAE, k = 1": ("burda_static", "IWAE, k = 1"), "IWAE, k = 50": ("burda_static", "IWAE, k = 50"),
             "VAE, VampPrior": ("vamp", "VAE, VampPrior"), "ladder of 3 layers": ("lvae_mnist", "3 layers")}
"""Row -> (table, row) that it is from."""


def configs(protocol):
    return {row: complete(experiment(ENTRY.spec(row, protocol)), {}) for row in ENTRY.table.rows}


@pytest.mark.parametrize("protocol, name", [("cpu", "mnist"), ("full", "binarized_mnist")])
def test_all_rows_see_the_same_pixels_and_have_the_same_estimate(protocol, name):
    found = configs(protocol)
    pixels = {tuple(config.data[key] for key in ("name", "range", "binarize", "binarize_seed", "test_examples"))
              for config in found.values()}
    estimates = {(config.evaluators.log_likelihood.samples, config.evaluators.log_likelihood.examples)
                 for config in found.values()}
    assert len(pixels) == len(estimates) == 1 and next(iter(pixels))[0] == name


def test_all_else_is_what_the_other_tables_have():
    for row, config in configs("full").items():
        name, other = ELSEWHERE[row]
        theirs = flatten(complete(experiment(ENTRIES[name].spec(other, "full")), ENTRIES[name].table.rows[other]))
        differing = {key for key, value in flatten(config).items() if theirs.get(key) != value}
        bound = {"objective.name", "objective.beta"} if row == "VAE, k = 1" else set()  # IWAE's with one sample
        assert differing <= {"data.name", "data.binarize", "evaluators.log_likelihood.samples"} | bound
        assert config.data.train_examples == theirs["data.train_examples"]


def test_published_values_are_those_of_the_other_tables():
    for row, published in ENTRY.table.published.items():
        name, other = ELSEWHERE[row]
        values = {round(abs(value), 2) for value, _ in ENTRIES[name].table.published[other].values()}
        assert {value for value, _ in published.values()} == values
