"""The tables of the experiments: they resolve, their runs are apart, and only known numbers are called published."""

from pathlib import Path

import pytest

from gen import config as configs
from gen import tables
from gen.evaluation.comparison import word

ENTRIES = tables.collect()
RECALLED = ("lucic_mnist", "lucic_fashion", "r3gan_ablation")
"""Tables whose published numbers are only remembered."""


def likelihoods(table, protocol):
    """The columns that are estimates of log p(x): their names say of how many samples (that of log p(x|z) has none)."""
    keys = [metric.instead.get(protocol, key) for key, metric in table.metrics.items()]
    return {key for key in keys if key.startswith("log_likelihood_")}


@pytest.mark.slow
@pytest.mark.parametrize("name", ENTRIES)
def test_every_row_of_every_protocol_resolves_to_a_folder_of_its_own(name):
    entry = ENTRIES[name]
    assert entry.table.protocols.keys() == entry.table.differences.keys() == entry.table.seeds.keys() >= {"cpu", "full"}
    for protocol in entry.table.protocols:
        wanted = [run for runs in entry.wanted(protocol, None, Path("runs")).values() for run in runs]
        assert len({workdir for _, workdir in wanted}) == len(wanted) > 0
        for row, found in tables.points(entry, protocol, 1, Path("runs")).items():
            kept = {key: value for key, value in entry.table.rows[row].items() if value is not False}
            for point in found:
                assert kept.items() <= configs.flatten(point.config).items()
                assert point.config.train.evaluate_every > 0
                samples = point.config.evaluators.get("log_likelihood", {}).get("samples", 0)
                assert likelihoods(entry.table, protocol) <= {f"log_likelihood_iw{word(samples)}"}


@pytest.mark.parametrize("name", ENTRIES)
def test_published_numbers_have_a_source_a_row_and_a_column(name):
    table = ENTRIES[name].table
    assert set(table.published) <= set(table.rows) and set(table.omitted) <= set(table.protocols)
    assert all(set(values) <= set(table.metrics) for values in table.published.values())
    known = "seen" in table.source or "quoted" in table.source
    assert known if table.published else table.source.startswith("none")


def test_numbers_that_are_only_remembered_are_not_published():
    assert all(ENTRIES[name].table.published == {} for name in RECALLED)
    assert "VAE, standard prior" not in ENTRIES["vamp"].table.published
    assert not [row for entry in ENTRIES.values() for row in entry.table.published.values() if "active_units" in row]


@pytest.mark.parametrize("name", ENTRIES)
def test_the_experiment_has_the_sweep_of_its_table(name):
    entry, get_sweep = ENTRIES[name], configs.module(ENTRIES[name].path).get_sweep
    for protocol in entry.table.protocols:
        rows = entry.wanted(protocol, None, Path("runs"))
        assert get_sweep(f"{name}_{protocol}") == [
            overrides for row, runs in rows.items() if row not in entry.table.variants for overrides, _ in runs]


def test_the_numbers_beside_flaxs_example_are_those_of_the_log_that_is_cited():
    """Losses of epochs 1, 5, 10 and 21 as the pull request prints them; the README of the example has one, 104."""
    table = ENTRIES["flax_example"].table
    logged = {"epoch 1": 119.7388, "epoch 5": 106.0630, "epoch 10": 103.5992, "epoch 21": 101.5264}
    assert "pull request 1361" in table.source and "README" not in table.source
    assert {row: values["elbo"][0] for row, values in table.published.items()} == {
        row: round(value, 2) for row, value in logged.items()}


def test_no_protocol_claims_to_have_no_difference():
    texts = [(name, text) for name, entry in ENTRIES.items() for text in entry.table.differences.values()]
    assert not [name for name, text in texts if "no difference" in text or not text.strip()]
