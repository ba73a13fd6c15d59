"""A table of damaged runs: each is counted or named, and none ends the table."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gen import tables
from gen.tables import reproduce
from tests.test_damage import CONFIGS, TEXTS

FILES = ("DONE", "config.json", "metrics.jsonl")


@pytest.mark.slow
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_costs_one_run_at_most(filled, name, text):
    entry, folder = filled
    point = tables.points(entry, "cpu", None, folder)["GAN_1"][2]
    (point.workdir / name).write_text(text)
    result = tables.results(entry, "cpu", None, folder)
    assert tables.progress(entry, "cpu", None, folder).done == sum(row.done for row in result.rows)
    assert result.rows[0].done in (2, 3) and result.rows[0].reached["modes"].mean in (5.5, 7.0)
    named = [note for note in result.notes if str(point.workdir) in note]
    assert len(named) == 3 - result.rows[0].done and "\n" not in "".join(named)


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_damaged_config_is_named(filled, config):
    entry, folder = filled
    path = tables.points(entry, "cpu", None, folder)["GAN_1"][0].workdir / "config.json"
    described = json.loads(path.read_text())
    path.write_text(json.dumps(described | config if config == {"config": None} else
                               described | {"config": described["config"] | config}))
    result = tables.results(entry, "cpu", None, folder)
    if result.rows[0].done == 2:
        assert [note for note in result.notes if str(path.parent) in note]


@pytest.mark.slow
@settings(max_examples=30, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_bytes_in_a_file(filled, data):
    entry, folder = filled
    path = tables.points(entry, "cpu", None, folder)["GAN_1"][1].workdir / data.draw(st.sampled_from(FILES))
    before = path.read_bytes()
    at = data.draw(st.integers(0, len(before)))
    path.write_bytes(before[:at] + data.draw(st.binary(max_size=8)) + before[at + data.draw(st.integers(0, 8)):])
    try:
        assert tables.results(entry, "cpu", None, folder).rows[0].done in (2, 3)
    finally:
        path.write_bytes(before)


@pytest.mark.slow
def test_the_files_of_a_table_are_written_all_the_same(filled, tmp_path):
    entry, folder = filled
    damaged = zip(tables.points(entry, "cpu", None, folder)["GAN_1"], FILES, strict=True)
    for point, name in damaged:
        (point.workdir / name).write_text(TEXTS["nested within"])
    written = reproduce.write(tables.results(entry, "cpu", None, folder), tmp_path / "out")
    assert [path.name for path in written] == ["table.md", "table.tex", "table.png", "report.html"]
