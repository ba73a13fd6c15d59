"""From a table's name to its files, with training that only writes folders."""

import re

import pytest

from gen import commands, tables
from gen.commands import results
from gen.errors import UserError
from gen.tables import reproduce
from tests.environment import ROOT


@pytest.fixture
def trained(entry, finish, monkeypatch):
    """The seeds that were trained of the made-up table; the run of seed 1 of GAN_1 fails."""
    trained = []

    def train_together(configs, workdirs, stop, default):
        assert default.seed == 0 and default.packing == 1
        return [train(*run) for run in zip(configs, workdirs, strict=True)]

    def train(config, workdir):
        if (config.packing, config.seed) == (1, 1):
            return UserError("it diverged")
        trained.append((config.packing, config.seed))
        finish(tables.Point({}, config, workdir), {"modes": 8.0 - config.seed, "modes_real": 8.0})
        return "finished"

    monkeypatch.setattr(reproduce.sweeps.loop, "train_together", train_together)
    monkeypatch.setattr(tables, "collect", lambda: {"toy": entry})
    monkeypatch.setattr(results, "stopping", lambda minutes: lambda: minutes == 0)
    return trained


@pytest.mark.slow
def test_a_table_trains_what_is_missing_and_names_what_failed(trained, tmp_path, capsys):
    out = tmp_path / "out"
    assert commands.reproduce("toy", "cpu", 2, tmp_path / "runs", out, report_only=False) == 1
    assert trained == [(1, 0), (2, 0), (2, 1)]
    printed = capsys.readouterr()
    assert "packing=1-seed=1: it diverged" in printed.out and "GAN_1 (1 of 2 seeds)" in printed.out
    assert (out / "table.md").read_text() in printed.out
    assert {path.name for path in out.iterdir()} == {"table.md", "table.tex", "table.png", "report.html"}
    report = (out / "report.html").read_text()
    assert "Pac|2, 2 seeds" in report and "GAN_1, seed 0" in report
    commands.reproduce("toy", "cpu", 2, tmp_path / "runs", out, report_only=False)
    assert trained == [(1, 0), (2, 0), (2, 1)]  # nothing twice


def test_a_table_whose_training_is_stopped_is_not_written(trained, tmp_path, capsys):
    code = commands.reproduce("toy", "cpu", 2, tmp_path / "runs", tmp_path / "out", report_only=False, minutes=0.0)
    assert code == 75 and trained == [] and not (tmp_path / "out").exists()
    assert "--report_only" in capsys.readouterr().out


def test_report_only_trains_nothing(trained, tmp_path, capsys):
    assert commands.reproduce("toy", "cpu", None, tmp_path / "runs", tmp_path / "out", report_only=True) == 0
    assert trained == [] and "GAN_1 (0 of 3 seeds)" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_the_list_shows_what_is_done(trained, tmp_path, capsys):
    commands.reproduce("toy", "cpu", 1, tmp_path, tmp_path / "out", report_only=False)
    capsys.readouterr()
    assert commands.list_tables(tmp_path) == 0
    assert "| toy   | cpu      | 2 of 6    | gan/toy.py |" in capsys.readouterr().out


def test_a_table_of_ones_own_file_is_found_there_alone(entry, tmp_path, capsys, monkeypatch):
    def refuse():
        raise AssertionError("the library's tables were collected")

    monkeypatch.setattr(tables, "collect", refuse)
    mine = tmp_path / "mine.py"
    mine.write_text(entry.path.read_text())
    assert commands.list_tables(tmp_path / "runs", mine) == 0
    assert f"| {tmp_path.name}/mine.py |" in capsys.readouterr().out
    assert commands.reproduce("toy", "cpu", None, tmp_path / "runs", tmp_path / "out", report_only=True, file=mine) == 0
    assert "GAN_1 (0 of 3 seeds)" in capsys.readouterr().out
    with pytest.raises(UserError, match="Did you mean 'toy'"):
        reproduce.find("toi", "cpu", mine)
    mine.write_text("")
    with pytest.raises(UserError, match="mine.py: has no table"):
        reproduce.known(mine)


def test_the_file_that_the_docs_show_has_a_table_and_a_loss(tmp_path):
    page = (ROOT / "docs/extending.md").read_text()
    mine = tmp_path / "mine.py"
    mine.write_text(re.search(r'```python\n(""".*?)```', page, re.DOTALL)[1])
    runs = tables.points(reproduce.find("mine", "cpu", mine), "cpu", 1, tmp_path / "runs")
    assert {row: run.config.loss.name for row, (run,) in runs.items()} == {
        "non-saturating": "non_saturating", "squared": "squared"}
    assert runs["squared"][0].config.loss.margin == 2.0


@pytest.mark.parametrize("name, protocol, message", [
    ("toi", "cpu", "Unknown table 'toi'. Did you mean 'toy'?"),
    ("toy", "cpus", "Did you mean 'cpu'?"),
])
def test_a_wrong_name_is_one_line(trained, name, protocol, message):
    with pytest.raises(UserError) as error:
        reproduce.find(name, protocol)
    assert message in str(error.value) and "\n" not in str(error.value)
