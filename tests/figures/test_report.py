"""The report: what it holds, what it escapes, and that it works with whatever a run folder lacks."""

import base64
import json
from html.parser import HTMLParser

import numpy as np
import pytest

from gen.errors import UserError
from gen.figures.grids import save_png
from gen.figures.records import evaluation_rows, flatten, group_by_config, read_runs
from gen.figures.report import embedded_json, write_report
from gen.figures.sections import spread

EVIL = "</script><script>alert(1)</script><img src=x onerror=\"alert('2')\">&"


class Page(HTMLParser):
    """Tags with their attributes, the text of cells, and the payload of a report."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.texts, self._open = [], [], None
        self.scripts = []
        self.feed(path.read_text(encoding="utf-8"))
        self.payload = json.loads(self.scripts[0])

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open = tag
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self._open == "script" and self.get_starttag_text().startswith("<script"):
            self.scripts[-1] += data
        self.texts.append(data)

    def handle_endtag(self, tag):
        self._open = None

    def ids(self):
        return {attrs["id"] for _, attrs in self.tags if "id" in attrs}


def test_a_complete_run_has_every_section(tmp_path, write_run):
    run = write_run(tmp_path / "run", learning_rate=0.5)
    page = Page(write_report([run], tmp_path / "out" / "report.html"))
    assert {"samples", "curves", "evaluations", "latent-space", "config"} <= page.ids()
    assert page.payload["groups"] == ["run"]
    loss = page.payload["curves"][0]
    assert loss["metric"] == "loss" and [line["kind"] for line in loss["lines"]] == ["train", "eval"]
    assert loss["lines"][0]["steps"] == [10, 20, 30, 40] and loss["lines"][0]["mean"] == [10, 5, 3.33333, 2.5]
    steps = [step for step, _ in page.payload["samples"][0]]
    assert steps == [0, 20, 40]
    embedded = base64.b64decode(page.payload["samples"][0][1][1].split(",")[1])
    assert embedded == (run / "samples" / "20.png").read_bytes()
    assert "default 0.001" in page.texts and page.texts.count("default 0.001") == 1
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["report.html"]


def test_nothing_is_loaded_from_anywhere(tmp_path, write_run):
    page = Page(write_report([write_run(tmp_path / "run")], tmp_path / "report.html"))
    loaded = [v for _, attrs in page.tags for name, v in attrs.items() if name in ("src", "action")]
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert loaded and all(a.startswith("data:image/png;base64,") for a in loaded)
    assert all(a.startswith("#") or (tmp_path / a).is_file() for a in links)
    assert not [tag for tag, attrs in page.tags if "href" in attrs and tag != "a"]
    assert "link" not in {tag for tag, _ in page.tags}
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv"))
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy


def evil_run(path, write_run):
    """A run with markup in every place that holds text."""
    run = write_run(path)
    record = {"config": {EVIL: EVIL, "family": EVIL, "data": {"name": EVIL}}, "default": {EVIL: "<b>"}, "commit": EVIL}
    record |= {"spec": {"shape": [EVIL]}, "versions": {EVIL: EVIL}}
    (run / "config.json").write_text(json.dumps(record))
    (run / "metrics.jsonl").write_text(json.dumps({"step": 1, "kind": EVIL, EVIL: 1.5, "text": EVIL}) + "\n")
    (run / "evaluations.json").write_text(json.dumps([{EVIL: EVIL, "list": [EVIL], "of": {EVIL: 1}}]))
    (run / "manifold.json").write_text(json.dumps({"rows": 3, "columns": 3, "z": [[EVIL]]}))
    return run


def test_text_of_a_run_is_never_markup(tmp_path, write_run):
    names = ["<script>alert(0)<", "<img src=x>"]
    paths = [evil_run(tmp_path / name, write_run) for name in names]
    path = write_report(paths, tmp_path / "report.html")
    page, text = Page(path), path.read_text(encoding="utf-8")
    assert text.count("<script") == 2 and text.count("</script") == 2
    assert "<img src=x" not in text and "<b>alert" not in text
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert {line["kind"] for line in page.payload["curves"][0]["lines"]} == {EVIL}
    assert page.payload["curves"][0]["metric"] == EVIL
    assert EVIL in page.texts and names[0] in page.texts


@pytest.mark.parametrize("value", [EVIL, "<!--<script>", ["</SCRIPT >"], {"</script": "<"}])
def test_embedded_json_has_no_angle_bracket_and_reads_back(value):
    assert "<" not in embedded_json(value)
    assert json.loads(embedded_json(value)) == value


def test_embedded_json_has_null_for_numbers_that_json_lacks():
    assert embedded_json({"a": [float("nan"), float("inf"), 1.5]}) == '{"a":[null,null,1.5]}'


PIECES = ["config.json", "metrics.jsonl", "samples", "evaluations.json", "manifold.png", "manifold.json"]


def remove(path):
    if path.is_dir():
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    else:
        path.unlink()


@pytest.mark.parametrize("piece", PIECES)
def test_a_report_without_one_piece_still_has_the_others(tmp_path, piece, write_run):
    run = write_run(tmp_path / "run")
    complete = Page(write_report([run], tmp_path / "report.html")).ids()
    remove(run / piece)
    left = Page(write_report([run], tmp_path / "report.html")).ids()
    assert {"payload"} <= left <= complete
    section = {"config.json": "config", "metrics.jsonl": "curves", "samples": "samples"}
    assert section.get(piece, "latent-space" if "manifold" in piece else "none") not in left
    assert len(left & {"config", "curves", "samples", "evaluations", "latent-space"}) >= 4


def test_an_empty_folder_and_a_broken_one_are_reported_as_such(tmp_path, write_run):
    broken = write_run(tmp_path / "broken")
    for name in ("config.json", "evaluations.json", "manifold.json", "metrics.jsonl"):
        (broken / name).write_text('{"torn": ')
    (tmp_path / "empty").mkdir()
    page = Page(write_report([broken, tmp_path / "empty"], tmp_path / "report.html"))
    notes = " ".join(page.texts)
    assert "config.json is missing" in notes and "metrics.jsonl has no rows" in notes
    assert notes.count("is no valid JSON") == 3


FOREIGN = [[], {"config": None}, {"config": [1]}, {"spec": 3, "versions": [1], "commit": None}]


@pytest.mark.parametrize("record", FOREIGN)
def test_foreign_config_files_do_not_stop_a_report(tmp_path, record, write_run):
    run = write_run(tmp_path / "run")
    (run / "config.json").write_text(json.dumps(record))
    (run / "evaluations.json").write_text(json.dumps(record))
    (run / "manifold.json").write_text(json.dumps(record))
    assert "curves" in Page(write_report([run], tmp_path / "report.html")).ids()


def test_missing_folders_are_user_errors(tmp_path):
    with pytest.raises(UserError, match="none was named"):
        write_report([], tmp_path / "report.html")
    with pytest.raises(UserError, match="nowhere"):
        write_report([tmp_path / "nowhere"], tmp_path / "report.html")


def test_runs_that_differ_in_seed_alone_are_one_line_with_a_band(tmp_path, write_run):
    paths = [write_run(tmp_path / f"lr{lr}_seed{s}", s, lr) for lr in (0.001, 0.1) for s in (0, 2)]
    page = Page(write_report(paths, tmp_path / "report.html"))
    assert page.payload["groups"] == ["learning_rate=0.001, 2 seeds", "learning_rate=0.1, 2 seeds"]
    line = page.payload["curves"][0]["lines"][0]
    assert (line["seeds"], line["low"][0], line["mean"][0], line["high"][0]) == (2, 10, 11, 12)
    differing = [attrs for tag, attrs in page.tags if tag == "tr" and attrs.get("class") == "differs"]
    assert len(differing) == 2  # seed and learning rate


def test_runs_without_a_config_stay_apart(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert list(group_by_config(read_runs([tmp_path / "a", tmp_path / "b"]))) == ["a", "b"]


def test_names_are_the_shortest_that_tell_runs_apart(tmp_path):
    paths = [tmp_path / "gan" / "ring" / "0", tmp_path / "vae" / "digits" / "0"]
    for path in paths:
        path.mkdir(parents=True)
    assert [run.name for run in read_runs(paths)] == ["gan/ring/0", "vae/digits/0"]
    assert [run.name for run in read_runs(paths[:1])] == ["0"]


def test_evaluations_of_every_form_become_rows():
    assert evaluation_rows({"fid": 3.5, "prdc": {"precision": 1, "recall": 0}}) == [
        {"metric": "fid", "value": 3.5},
        {"metric": "prdc", "precision": 1, "recall": 0},
    ]
    assert evaluation_rows([{"a": 1}, 5]) == [{"a": 1}, {"value": 5}]
    assert evaluation_rows(None) == evaluation_rows("text") == []


def test_equal_pictures_of_real_examples_are_shown_once(tmp_path, write_run):
    paths = [write_run(tmp_path / name) for name in ("a", "b", "c")]
    for path, value in zip(paths, (7, 7, 9), strict=True):
        save_png(np.full((4, 4, 1), value, np.uint8), path / "samples" / "real.png")
    page = Page(write_report(paths, tmp_path / "report.html"))
    assert sum(attrs.get("alt") == "real examples" for _, attrs in page.tags) == 2
    assert [len(frames) for frames in page.payload["samples"]] == [3, 3, 3]


def test_a_single_wide_row_stands_upright(tmp_path, write_run):
    run = write_run(tmp_path / "run")
    (run / "evaluations.json").write_text(json.dumps([{"step": 40, "fid": 1.5}]))
    text = write_report([run], tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<td>fid</td><td class="number" data-value="1.5" title="1.5">1.5</td>' in text


def test_metrics_of_several_runs_are_columns(tmp_path, write_run):
    paths = [write_run(tmp_path / name) for name in ("a", "b")]
    for path, fid in zip(paths, (1.5, 2.5), strict=True):
        (path / "evaluations.json").write_text(json.dumps({"fid_lenet_10k_test": fid, "recall": 1}))
    text = write_report(paths, tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.count('<th scope="col"><button type="button">fid_lenet_10k_test</button></th>') == 1
    assert 'data-value="1.5"' in text and 'data-value="2.5"' in text


@pytest.mark.slow
def test_long_runs_are_thinned_with_both_ends(tmp_path, write_run):
    run = write_run(tmp_path / "run")
    for step in range(100):
        save_png(np.zeros((2, 2, 1), np.uint8), run / "samples" / f"{step}.png")
    (run / "metrics.jsonl").write_text("".join(f'{{"step": {s}, "loss": {s}}}\n' for s in range(5000)))
    payload = Page(write_report([run], tmp_path / "report.html")).payload
    steps = [step for step, _ in payload["samples"][0]]
    assert (len(steps), steps[0], steps[-1]) == (60, 0, 99)
    curve = payload["curves"][0]["lines"][0]
    assert (len(curve["steps"]), curve["steps"][0], curve["steps"][-1]) == (1000, 0, 4999)


def test_spread_and_flatten():
    assert spread(5, 3) == [0, 2, 4] and spread(2, 9) == [0, 1] and spread(0, 4) == []
    assert flatten({"a": {"b": 1, "c": {}}, "d": [1, {"e": 2}]}) == {"a.b": 1, "a.c": {}, "d": [1, {"e": 2}]}


def test_a_sweep_of_thirty_runs_shows_groups_of_seeds(tmp_path, write_run):
    paths = [write_run(tmp_path / f"lr={lr}-seed={s}", s, lr) for lr in (0.001, 0.1, 1.0) for s in range(10)]
    path = write_report(paths, tmp_path / "report.html", "A <sweep>")
    page, text = Page(path), path.read_text(encoding="utf-8")
    assert page.payload["groups"] == [f"learning_rate={lr}, 10 seeds" for lr in ("0.001", "0.1", "1")]
    assert [i for i, frames in enumerate(page.payload["samples"]) if frames] == [0, 10, 20]
    assert [attrs["data-run"] for tag, attrs in page.tags if "data-run" in attrs] == ["0", "10", "20"]
    assert len(page.payload["manifolds"]) == sum("data-manifold" in attrs for _, attrs in page.tags) == 3
    assert "One run of each config; 30 runs in all." in page.texts and "A &lt;sweep&gt;</h1>" in text
    # loss 3 + seed: mean 7.5, standard error sqrt(82.5 / 9 / 10)
    assert text.count('<td class="number" data-value="7.5" title="7.5">7.50 ± 0.96</td>') == 3
    assert "0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in page.texts
    columns = text.split('<div class="scroll config only">')[1].split("</thead>")[0].count("<th ")
    assert columns == 1 + 3


def test_groups_may_be_given(tmp_path, write_run):
    a, b, c = (write_run(tmp_path / f"x{s}", s) for s in range(3))
    page = Page(write_report([], tmp_path / "report.html", groups={"GAN": [b], "PacGAN2": [c, a]}))
    assert page.payload["groups"] == ["GAN", "PacGAN2, 2 seeds"]
    names = [text.strip() for text in page.texts if ", seed " in text]
    assert names[:3] == ["GAN, seed 1", "PacGAN2, seed 2", "PacGAN2, seed 0"]
