"""Whatever stands in the files of a run, everything that reads them goes on, or says in a line which file it is."""

import json
import shutil

import pytest

import gen
from gen import commands, tables
from gen.errors import UserError
from gen.figures.report import write_report
from gen.launchers.search import value
from gen.run_folder import METRICS, read_metrics
from gen.storage import record
from gen.sweeps import Point
from gen.training import loop, recorder, writers
from tests.helpers import vae_config

CONFIG = {"train__steps": 4, "train__log_every": 2, "train__evaluate_every": 2, "train__checkpoint_every": 2}
NESTED, WIDE = "[" * 5_000, "9" * 400
TEXTS = {
    "empty": "", "null": "null", "torn": '{"step": 4, "co', "nested": NESTED,
    "nested within": f'{{"step": 4, "a": {NESTED}',
    "list": "[]", "lists": '[[1], {"step": ["a"]}, null]', "number": WIDE, "wide step": f'{{"step": {WIDE}}}',
    "text as step": '{"step": "4", "kind": "eval"}', "list as kind": '{"step": 4, "kind": ["a"], "elbo": 1.0}',
    "half a pair": '{"step": 4, "kind": "\\ud800", "\\udfff": "\\ud800"}', "no JSON": "\0\xff", "wide value":
    f'{{"step": 4, "kind": "eval", "elbo": {WIDE}, "kl": null, "loss": "x", "images_per_s": {{}}}}',
}
CONFIGS = {
    "no config": {"config": None}, "list as family": {"family": ["a"]}, "section as family": {"family": {"a": 1}},
    "no section": {"train": None}, "text as steps": {"train": {"steps": "4"}}, "half a pair": {"family": "\ud800"},
    "number as evaluators": {"evaluators": 3}, "key with a dot": {"a.b": 1}, "list as encoder": {"encoder": [{}]},
}
SPECS = (None, {}, {"shape": "a", "classes": 10, "range": "unit"}, {"shape": [8, 8, 1], "classes": [], "range": "unit"},
         {"shape": [8, -8, 1], "classes": 10, "range": "unit"}, {"shape": [8, 8, 1], "classes": 10, "range": ["a"]},
         {"shape": [8, 8, 1], "classes": 10, "range": "unit", "more": 1},
         {"shape": [8, 8, 1], "classes": 10, "range": "unit", "class_names": None},
         {"shape": [8, 8, 1], "classes": 10, "range": "unit", "label_frequencies": 3})


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "good"
    loop.train(vae_config(**CONFIG), workdir)
    return workdir


@pytest.fixture
def run(good, tmp_path):
    return shutil.copytree(good, tmp_path / "damaged")


def goes_on_or_names(path, use, *args) -> bool:
    """Whether `use` goes on; what it raises otherwise is one line with the file in it."""
    try:
        use(*args)
    except UserError as error:
        assert path.parent.name in str(error) and "\n" not in str(error), error
        return False
    return True


def read_everywhere(path, good, out) -> dict[str, bool]:
    """Has every reader of a run, but for those that compile, read the run in which `path` is damaged."""
    workdir, config = path.parent, vae_config(**CONFIG)
    uses = {
        "report": lambda: write_report([workdir, good], out / "report.html"),
        "plot": lambda: commands.plot([str(workdir), str(good)], ["elbo"], str(out / "curves.png"), False, True),
        "compare": lambda: print(tables.compare([workdir, good])),
        "sweep": lambda: Point({}, config, workdir).status,
        "search": lambda: value(Point({}, config, workdir), "max", "elbo"),
        "done": lambda: recorder.done(workdir, config),
        "truncate": lambda: writers.truncate(workdir / "metrics.jsonl", 2),
        "keep": lambda: record.keep_evaluation(workdir, {"step": 4, "fid": 1.0}),
    }
    return {name: goes_on_or_names(path, use) for name, use in uses.items()}


@pytest.mark.slow
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("name", ["DONE", "evaluations.json", "metrics.jsonl"])
def test_damage_beside_the_checkpoint_stops_nobody(good, run, tmp_path, name, text):
    path = run / name
    if name == "metrics.jsonl":
        path.write_bytes(path.read_bytes() + text.encode("latin-1") + b"\n" + path.read_bytes())
    else:
        path.write_bytes(text.encode("latin-1"))
    assert all(read_everywhere(path, good, tmp_path).values())
    kept = json.loads((run / "evaluations.json").read_text())
    assert kept[-1]["fid"] == 1.0
    if name == "evaluations.json" and text not in ("[]", "{}"):
        aside = run / "evaluations.json.damaged"
        assert not aside.exists() or aside.read_bytes() == text.encode("latin-1")


@pytest.mark.slow
@pytest.mark.parametrize("damage", [*TEXTS.values(), *CONFIGS.values()], ids=[*TEXTS, *CONFIGS])
def test_a_damaged_config_is_named(good, run, tmp_path, damage):
    path, stored = run / "config.json", json.loads((run / "config.json").read_text())
    if isinstance(damage, dict):
        stored["config"] = damage["config"] if "config" in damage else stored["config"] | damage
        damage = json.dumps(stored)
    path.write_bytes(damage.encode("latin-1"))
    went_on = read_everywhere(path, good, tmp_path)
    assert went_on.keys() - {name for name, on in went_on.items() if on} <= {"done"}
    assert not goes_on_or_names(path, gen.load, run)
    assert not goes_on_or_names(path, loop.train, vae_config(**CONFIG | {"train__steps": 6}), run)


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_damaged_spec_is_named(run, spec):
    stored = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(stored | {"spec": spec}))
    with pytest.raises(UserError, match=r"damaged/config\.json"):
        gen.load(run)


@pytest.mark.slow
def test_a_run_with_everything_damaged_but_its_checkpoint_resumes_and_is_evaluated(run, capsys):
    """The mark is written anew, the evaluation is kept, and what was there is put aside."""
    lines = (run / "metrics.jsonl").read_bytes()
    (run / "metrics.jsonl").write_bytes(lines + f"{NESTED}\n".encode() + b'{"step": "x"}\n')
    for name in ("DONE", "evaluations.json"):
        (run / name).write_text(NESTED)
    assert loop.train(vae_config(**CONFIG), run) == "finished"
    assert json.loads((run / "DONE").read_text()) == {"step": 4} and (run / "metrics.jsonl").read_bytes() == lines
    assert commands.evaluate(str(run), None, {}) == 0
    (kept,) = json.loads((run / "evaluations.json").read_text())
    assert kept == json.loads(capsys.readouterr().out.splitlines()[-1]) and kept["step"] == 4
    assert (run / "evaluations.json.damaged").read_text() == NESTED


@pytest.mark.slow
def test_results_are_printed_where_the_folder_cannot_be_written(run, capsys, caplog):
    """A folder in the place of each file that would be written: what a read-only folder does, for any user."""
    (run / ".evaluations.json.lock").mkdir()
    assert commands.evaluate(str(run), None, {}) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["step"] == 4
    assert not (run / "evaluations.json").exists()
    assert "This is not kept" in caplog.text and "evaluations.json: cannot be written" in caplog.text


@pytest.mark.slow
def test_nothing_is_written_through_a_link_out_of_the_folder(run, tmp_path, caplog):
    """A run's folder may come from somebody else, and a link in it may name any file of its reader."""
    elsewhere = tmp_path / "elsewhere"
    for name in ("evaluations", "samples"):
        (elsewhere / name).mkdir(parents=True)
        shutil.rmtree(run / name, ignore_errors=True)
        (run / name).symlink_to(elsewhere / name)
    memorization = {"evaluators.memorization.samples": "20", "evaluators.memorization.features": "raw"}
    assert commands.evaluate(str(run), None, memorization) == 0
    loop.train(vae_config(**CONFIG | {"train__steps": 6, "train__sample_every": 2}), run)
    assert not [path for path in elsewhere.rglob("*") if path.is_file()]
    assert "evaluations/memorization.png is a link out of" in caplog.text
    assert "samples/6.png is a link out of" in caplog.text

    (elsewhere / "mine").write_text("mine")
    (run / METRICS).unlink()
    (run / METRICS).symlink_to(elsewhere / "mine")
    loop.train(vae_config(**CONFIG | {"train__steps": 8}), run)
    assert read_metrics(run)[-1]["step"] == 8
    assert (elsewhere / "mine").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.parametrize("deleted", [True, False])
def test_a_run_whose_folder_goes_away_stops(tmp_path, deleted):
    workdir, asked = tmp_path / "run", []

    def take_away():
        asked.append(1)
        if len(asked) == 2:
            shutil.rmtree(workdir) if deleted else workdir.rename(tmp_path / "elsewhere")
        return False

    with pytest.raises(UserError, match="was deleted or moved"):
        loop.train(vae_config(train__steps=40, train__evaluate_every=0, train__best="", train__checkpoint_every=0),
                   workdir, take_away)
    assert len(asked) < 6 and not (workdir / "DONE").exists()


def test_all_rows_of_a_good_run_are_read(good):
    assert [(row["step"], row["kind"]) for row in read_metrics(good)] == [(2, "train"), (2, "eval"), (4, "train"),
                                                                          (4, "eval")]
