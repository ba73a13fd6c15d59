"""The head of a sweep's report: order, marks, folded seeds, the drawing by keys; labels and looks of runs."""

import csv
import io
import json
import math
import re

import pytest

from gen.figures import keyplot, leaderboard, looks
from gen.figures.html import rounded
from gen.figures.meanings import headline, meaning, references
from gen.figures.overview import duration, reached, title, wall_seconds
from gen.figures.records import Run, group_by_config, read_run, read_runs
from gen.figures.report import write_report
from gen.tables.points import collect
from gen.training.writers import Writer


def run(name, seed=0, score=0.0, steps=10, **config):
    """A run in memory whose evaluation has `elbo`, and KID of samples and of real examples."""
    config = {"family": "vae", "data": {"name": "digits"}, "seed": seed, "train": {"steps": steps}} | config
    metrics = [{"step": steps, "kind": "eval", "elbo": score, "kid_raw": 1.0 - score, "kid_raw_real": 0.01}]
    return Run(name, read_root / name, {"config": config}, metrics, [], {}, None, None, {}, [])


@pytest.fixture(autouse=True)
def root(tmp_path):
    global read_root
    read_root = tmp_path
    return tmp_path


def grid(seeds=2):
    """Two learning rates by two betas; the second rate is better by 1, beta 4 worse by 0.3, seed 1 better by 0.2."""
    return [run(f"{lr}-{beta}-{seed}", seed, lr * 100 - (beta == 4) * 0.3 + 0.2 * seed,
                optimizer={"learning_rate": lr}, objective={"beta": beta})
            for lr in (0.01, 0.02) for beta in (1, 4) for seed in range(seeds)]


def test_the_best_config_is_first_and_seeds_are_folded():
    runs, groups = looks.relabelled(grid(), group_by_config(grid()))
    board = leaderboard.board(groups)
    assert [entry.label for entry in board.entries] == [
        f"learning_rate={lr}, beta={beta}, 2 seeds" for lr in ("0.02", "0.01") for beta in (1, 4)]
    assert board.best == ("kid_raw", "min") and board.metrics == ["kid_raw", "elbo"]
    first = board.entries[0].metrics["elbo"]
    # 2.0 and 2.2: mean 2.1, standard error 0.1
    assert (first.mean, first.error, first.n) == (pytest.approx(2.1), pytest.approx(0.1), 2)
    assert runs[0].name == "learning_rate=0.01, beta=1, seed 0"


def test_keys_that_move_together_are_one_column():
    """Two penalties of one weight: a name for both, one label, both in the CSV file."""
    runs = [run(f"{weight}", score=weight, penalties={"r1": {"weight": weight}, "r2": {"weight": weight}})
            for weight in (0.5, 5.0, 50.0)]
    _, groups = looks.relabelled(runs, group_by_config(runs))
    assert list(groups) == ["r1.weight=0.5", "r1.weight=5", "r1.weight=50"]
    board = leaderboard.board(group_by_config(runs))
    assert board.alike == {"penalties.r1.weight": ["penalties.r2.weight"]}
    assert ">r1.weight = r2.weight<" in leaderboard.html(board, read_root)
    rows = list(csv.DictReader(io.StringIO(leaderboard.text(board))))
    assert [row["penalties.r1.weight"] for row in rows] == [row["penalties.r2.weight"] for row in rows]


@pytest.mark.parametrize("mean, error, said", [
    (449.5, 317.5, "450 ± 318"), (2.1, 0.0412, "2.100 ± 0.041"), (7.5, 0.957, "7.50 ± 0.96"),
    (1234.5, 12.0, "1,234 ± 12"), (1e-9, 1e-10, "1e-09 ± 1e-10"), (1.0, math.inf, "1.00 ± inf")])
def test_a_mean_has_the_decimals_of_its_error(mean, error, said):
    assert rounded(mean, error) == said


def test_every_metric_of_a_table_has_a_meaning():
    """Its protocol may stand in its name; without a meaning no run is known by it, and none is marked as the best."""
    metrics = {name for entry in collect().values() for name in entry.table.metrics}
    assert len(metrics) > 30
    assert [name for name in sorted(metrics) if meaning(name).about == ""] == []
    assert headline({}, ["diversity", "modes5_lenet_25600", "modes_lenet_25600", "reverse_kl_lenet_25600"]) == (
        "modes_lenet_25600", "max")


def test_the_metric_that_the_config_names_sorts_and_missing_ones_are_last():
    runs = grid(1)
    for each in runs:
        each.record["config"]["train"]["best"] = "max elbo"
    runs[3].metrics[:] = []
    board = leaderboard.board(group_by_config(runs))
    assert board.best == ("elbo", "max")
    assert [entry.label for entry in board.entries] == ["0.02-1-0", "0.01-1-0", "0.01-4-0", "0.02-4-0"]
    assert board.entries[-1].metrics == {}


def test_the_table_marks_the_best_of_each_metric_and_ends_with_real_examples():
    board = leaderboard.board(looks.relabelled(grid(), group_by_config(grid()))[1])
    html = leaderboard.html(board, read_root)
    rows = re.findall(r"<tr title=.*?</tr>", html)
    assert [row.count('class="number best"') for row in rows] == [2, 0, 0, 0]
    assert "real examples" in html and 'data-value="0.01"' in html.split("<tfoot>")[1]
    assert 'title="optimizer.learning_rate"' in html and ">learning_rate</button>" in html


def test_the_csv_file_has_every_run_and_every_metric():
    board = leaderboard.board(looks.relabelled(grid(), group_by_config(grid()))[1])
    rows = list(csv.DictReader(io.StringIO(leaderboard.text(board))))
    assert len(rows) == 8 and list(rows[0]) == [
        "run", "optimizer.learning_rate", "objective.beta", "seed", "step", "elbo", "kid_raw", "kid_raw_real"]
    found = {(row["optimizer.learning_rate"], row["objective.beta"], row["seed"]): float(row["elbo"]) for row in rows}
    assert found["0.02", "4", "1"] == pytest.approx(1.9)


def test_names_are_as_short_as_they_can_be():
    assert looks.short_names(["generator.width", "discriminator.width", "latents"]) == {
        "generator.width": "generator.width", "discriminator.width": "discriminator.width", "latents": "latents"}
    assert looks.short_names(["loss.name", "other.loss.name"]) == {  # one is the other's end
        "loss.name": "loss.name", "other.loss.name": "other.loss.name"}
    assert looks.short_names(["a.b.width", "a.c.width"]) == {"a.b.width": "b.width", "a.c.width": "c.width"}


@pytest.mark.parametrize("n", [2, 9, 40])
def test_all_configs_look_different(n):
    runs = [run(f"{i}-{j}", latents=i, objective={"beta": j}) for i in range(n) for j in (1, 2, 3)]
    found = looks.looks(group_by_config(runs))
    assert len(set(found)) == len(found) == 3 * n
    assert {look.colour for look in found if look.dash == 1} == set(range(max(n, 3) if n > 3 else 3)) or n == 2
    assert (looks.style(found) == "") == (n <= 8) and looks.style(found).count("oklch") == (n if n > 8 else 0)


def test_runs_of_other_families_or_data_are_not_compared():
    other = run("other", data={"name": "mnist"})
    assert looks.comparable(group_by_config(grid()))
    assert not looks.comparable(group_by_config([*grid(), other]))
    assert not looks.comparable(group_by_config([run("a", 0), run("b", 1)]))


def drawing(runs):
    return keyplot.plot(leaderboard.board(looks.relabelled(runs, group_by_config(runs))[1]))


def test_one_key_is_a_line_with_errors():
    runs = [run(f"{beta}-{seed}", seed, -beta + seed, objective={"beta": beta}) for beta in (0.1, 1.0, 10.0)
            for seed in (0, 1)]
    svg = drawing(runs)
    points = [(float(x), float(y)) for x, y in re.findall(r'<circle class="c0" cx="([\d.]+)" cy="([\d.]+)"', svg)]
    (x0, _), (x1, _), (x2, _) = points
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)  # logarithms
    assert svg.count('class="error') == 3 and "kid_raw against beta" in svg


def test_two_keys_are_a_heat_map_and_three_are_parallel():
    svg = drawing(grid())
    assert svg.count("<rect") == 4 and svg.count('heat strong best"') == 1 and "learning_rate (rows)" in svg
    three = [run(f"{i}{j}{k}", score=float(i + j + k), latents=i, samples=j, objective={"beta": k})
             for i in (1, 2) for j in (1, 2) for k in (1, 2)]
    svg = drawing(three)
    assert svg.count('class="line c0"') == 8 and svg.count('class="axis"') == 4
    assert drawing([run("a"), run("b", latents=3)._replace(metrics=[])]) == ""


def test_what_metrics_mean_and_are_held_against():
    assert meaning("fid_lenet_10k_test").better == "min" and meaning("elbo").unit == "nats"
    assert meaning("validation_elbo") == meaning("elbo")
    game = {"family": "gan", "loss.name": "non_saturating"}
    assert references("discriminator_loss", game, {})[0].value == pytest.approx(2 * math.log(2))
    assert references("discriminator_loss", game | {"loss.label_smoothing": 0.1}, {}) == []
    assert [held.value for held in references("fid_x", {}, {"fid_x": 3.0, "fid_x_real": 0.5})] == [0.5]
    assert headline({"train.best": "max elbo"}, ["kl", "elbo", "fid_x"]) == ("elbo", "max")
    assert headline({}, ["kl", "elbo", "fid_x", "fid_x_real"]) == ("fid_x", "min")
    assert headline({}, ["kl"]) is None


def test_the_time_of_a_run_is_that_between_the_events_of_its_sessions(tmp_path, monkeypatch):
    for begin, seconds in ((1_000.0, 60.0), (9_000.0, 5.0)):
        with monkeypatch.context() as patched:
            patched.setattr("time.time", lambda begin=begin: begin)
            writer = Writer(tmp_path)
            patched.setattr("time.time", lambda begin=begin, seconds=seconds: begin + seconds)
            writer.scalars(10, "train", {"loss": 1.0})
            writer.close()
    assert wall_seconds(tmp_path) == pytest.approx(65.0)
    (tmp_path / "events.out.tfevents.1").write_bytes(b"\xff" * 100)
    assert wall_seconds(tmp_path) == pytest.approx(65.0)
    assert [duration(s) for s in (0.0, 12.3, 65.0, 3_900.0)] == ["", "12 s", "1 min 05 s", "1 h 05 min"]


def test_a_run_is_called_by_what_it_is_and_what_it_reached(tmp_path, write_run):
    found = read_run(write_run(tmp_path / "run"), "run")
    assert reached(found) == ("best elbo", "-3 nats", "at step 40") and title([found]) == "run"
    assert title([run("default")]) == "VAE of digits: default"
    assert title(grid()) == "8 runs, VAE of digits"


def test_the_report_of_one_run_has_tiles_commands_and_files(tmp_path, write_run):
    path = write_run(tmp_path / "my run")
    (path / "config.json").write_text(json.dumps(
        json.loads((path / "config.json").read_text()) | {"parameters": {"encoder": 1200, "decoder": 34}}))
    page = write_report([path], path / "report.html").read_text()
    assert "<dd>1,234</dd>" in page and "encoder 1,200, decoder 34" in page
    assert f"--workdir=&#x27;{path}&#x27;" in page and 'href="metrics.jsonl"' in page
    rows = re.findall(r'<tr(?: class=differs)?><th scope="row">([\w.]+)', page)
    assert rows[0] == "family" or "differs" not in page


def test_the_leaderboard_links_to_the_runs(tmp_path, write_run):
    paths = [write_run(tmp_path / f"lr={lr}", 0, lr) for lr in (0.1, 0.5)]
    (paths[0] / "report.html").touch()
    page = write_report(paths, tmp_path / "report.html").read_text()
    assert 'href="lr%3D0.1/report.html"' in page and "lr%3D0.5/report.html" not in page
    assert list(group_by_config(read_runs(paths))) == ["lr=0.1", "lr=0.5"]
