"""What is read of made-up runs, against numbers worked out by hand."""

import json

import pytest

from gen import tables
from gen.errors import UserError
from gen.estimates import Estimate
from gen.tables import Metric, formats


def test_rows_are_means_and_standard_errors_of_the_last_evaluation(filled):
    result = tables.results(*filled[:1], "cpu", None, filled[1])
    gan, pac2, pac3 = result.rows
    assert (gan.name, gan.done, gan.wanted) == ("GAN_1", 3, 3)
    error = (14 / 2 / 3) ** 0.5  # of 5, 6, 10: squares 4 + 1 + 9
    assert gan.reached["modes"] == Estimate(7.0, pytest.approx(error), 3)
    assert gan.reached["high_quality"] == Estimate(pytest.approx(7.0), pytest.approx(error), 3)  # percent
    assert gan.reached["nll_5k"] == Estimate(2.5, 0.0, 3)
    assert (pac2.done, pac2.wanted) == (1, 3) and pac2.reached["modes"] == Estimate(8.0, None, 1)
    assert pac2.reached["high_quality"].mean == float("inf") and "nll_5k" not in pac2.reached
    assert (pac3.done, pac3.wanted, pac3.reached) == (0, 0, {})
    assert result.real["modes"] == Estimate(8.0, 0.0, 3) and result.steps == (20, 20) and not result.complete


def test_a_column_that_nothing_has_evaluated_is_named(entry, finish, tmp_path):
    finish(tables.points(entry, "cpu", 1, tmp_path)["GAN_1"][0], {"modes": 3.0, "high_quality": 0.5})
    (note,) = tables.results(entry, "cpu", 1, tmp_path).notes
    assert note.startswith("No finished run has evaluated nll_500, the column ")
    assert f"\n\n{note}.\n" in formats.markdown(tables.results(entry, "cpu", 1, tmp_path))


@pytest.mark.parametrize("changed, said", [
    ({"rows": {}}, r"TABLES\['toy'\].rows is empty"), ({"protocols": {}}, "protocols is empty"),
    ({"differences": {"cpu": "half."}}, "differences has nothing for the protocol 'full'"),
    ({"seeds": {}}, "seeds has nothing for the protocol 'cpu'"),
    ({"published": {"GAN1": {}}}, "published: 'GAN1'. Did you mean 'GAN_1'"),
    ({"published": {"GAN_1": {"mode": (1.0, None)}}}, "Did you mean 'modes'"),
    ({"omitted": {"cpu": ("Pac4",)}}, "Did you mean 'Pac3'"),
    ({"variants": {"Pac3": {"gpu": ""}}}, r"variants\['Pac3'\]: 'gpu'"),
    ({"variants": {"GAN_1": {"cpu": "cpu"}}}, r"variants\['GAN_1'\] has nothing for the protocol 'full'"),
    ({"omitted": {"cpu": "Pac3"}}, r"omitted\['cpu'\] is no list of rows: 'Pac3'"),
    ({"published": None}, r"published is no mapping: None"), ({"rows": {"GAN_1": None}}, r"rows\['GAN_1'\] is no map"),
    ({"metrics": {"modes": Metric("modes", instead={"gpu": "modes_5"})}, "published": {}},
     r"metrics\['modes'\].instead: 'gpu'"),
    ({"metrics": {"modes": "modes"}}, r"metrics\['modes'\] is no gen.tables.Metric"),
])
def test_what_is_missing_in_a_table_is_one_line(entry, changed, said):
    entry.table.check("toy")
    with pytest.raises(UserError, match=said):
        entry.table._replace(**changed).check("toy")


def test_a_table_of_another_type_is_one_line(entry):
    entry.path.write_text("TABLES = {'toy': {'rows': {}}}\n")
    with pytest.raises(UserError, match=r"toy.py: TABLES\['toy'\] is no gen.tables.Table"):
        tables.of_file(entry.path)


def test_runs_that_do_not_count_are_named(filled, finish):
    entry, folder = filled
    (note,) = tables.results(entry, "cpu", None, folder).notes
    assert "seed: 0 -> 1" in note and "wide-packing=2-seed=1" in note
    third = tables.points(entry, "cpu", None, folder)["Pac|2"][2]
    finish(third, {})
    (third.workdir / "DONE").write_text(json.dumps({"step": 10}))
    assert "finished at step 10, not 20" in tables.results(entry, "cpu", None, folder).notes[1]


def test_what_the_run_does_not_depend_on_may_differ(entry, finish, tmp_path):
    point = tables.points(entry, "cpu", 1, tmp_path)["GAN_1"][0]
    config = json.loads(json.dumps(point.config.to_dict()))
    config["train"]["log_every"] = 5
    del config["train"]["keep"]  # a key that is newer than the run has its default
    finish(point, {"modes": 3.0}, config=config)
    row = tables.results(entry, "cpu", 1, tmp_path).rows[0]
    assert (row.done, row.wanted) == (1, 1) and row.reached["modes"].mean == 3
    config["no_such_key"] = 1
    (point.workdir / "config.json").write_text(json.dumps({"config": config}))
    (note,) = tables.results(entry, "cpu", 1, tmp_path).notes
    assert "config of another version" in note


def test_the_folders_are_those_that_train_gives(entry, tmp_path):
    workdirs = {row: [p.workdir for p in ps] for row, ps in tables.points(entry, "full", 1, tmp_path).items()}
    assert workdirs["GAN_1"] == [tmp_path / "gan" / "toy" / "default-packing=1-seed=0"]
    cpu = tables.points(entry, "cpu", None, tmp_path)
    assert [p.workdir.name for p in cpu["Pac|2"]] == [f"wide-packing=2-seed={s}" for s in range(3)]
    assert cpu["Pac|2"][0].config.latents == 9 and cpu["GAN_1"][2].config.seed == 2 and cpu["Pac3"] == []


def test_progress_counts_finished_runs(filled):
    assert tables.progress(filled[0], "cpu", None, filled[1]) == (4, 6)
    assert tables.progress(filled[0], "cpu", 1, filled[1]) == (2, 2)
    assert tables.progress(filled[0], "full", None, filled[1]) == (0, 15)


def test_a_sweep_has_the_rows_of_its_variant(entry):
    assert tables.sweep_of({"toy": entry.table}, "toy_cpu") == [{"packing": 1, "seed": s} for s in range(3)]
    assert len(tables.sweep_of({"toy": entry.table}, "toy_full")) == 10  # GAN_1 and Pac3, five seeds
    with pytest.raises(UserError, match="Did you mean 'toy_full'"):
        tables.sweep_of({"toy": entry.table}, "toy_ful")


def test_tables_of_one_name_are_a_user_error(entry):
    (entry.path.parent / "other.py").write_text(entry.path.read_text())
    with pytest.raises(UserError, match="the table 'toy' is in"):
        tables.collect(entry.path.parents[1])
