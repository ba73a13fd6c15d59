"""The reader of a run's folder: what is damaged is named with file and line, what is long is thinned as it is read."""

import importlib.util
import json
import os
import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gen import files, run_folder
from gen.files import Missing, Unreadable, read_json, write_atomically
from gen.run_folder import evaluations, finished_step, read_metrics, sample_files
from gen.storage import record


def write_rows(folder: Path, rows) -> Path:
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def told(read, *args):
    """What `read` returns and what it tells of."""
    said: list[str] = []
    return read(*args, said.append), said


def test_lines_without_a_record_are_named_and_the_others_read(tmp_path):
    good = {"step": 7, "kind": "train", "loss": 1.5}
    bad = {2: '{"step": "7", "kind": "train"}', 3: '{"step": 7, "kind": ["a"]}', 4: "null", 6: "[" * 10_000,
           7: '{"step": -1}', 8: '{"step": 1e3, "kind": "train"}', 9: "\0" * 20, 10: '{"step": 7, "kind'}
    lines = [bad.get(number, json.dumps(good)) for number in range(1, 12)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "whole").mkdir()
    rows, said = told(read_metrics, tmp_path)
    assert rows == [good]  # a step that is written again has its later values
    assert [row for _, row in run_folder.rows(tmp_path, lambda _: None)] == [good] * 3
    named = [line for sentence in said[:3] for line in bad if f"line {line}, is left out" in sentence]
    assert named == [2, 3, 4] and all(str(tmp_path / "metrics.jsonl") in sentence for sentence in said)
    assert said[3].endswith("5 more lines are left out.") and len(said) == 4


def test_values_that_a_row_may_have(tmp_path):
    wide = "9" * 400
    line = f'{{"step": 3, "kind": "NaN", "a": {wide}, "b": "NaN", "c": "\\ud800x", "d": [1], "e": {{}}, "f": null}}\n'
    (tmp_path / "metrics.jsonl").write_text(line)
    ((row,), said) = told(read_metrics, tmp_path)
    assert np.isnan(row.pop("b")) and not said
    assert row == {"step": 3, "kind": "NaN", "a": float("inf"), "c": "?x", "f": None}


def test_a_line_longer_than_the_bound_is_left_out_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "LONGEST", 100)
    write_rows(tmp_path, [{"step": 1}, {"step": 2, "text": "x" * 1_000}, {"step": 3}])
    rows, said = told(read_metrics, tmp_path)
    assert [row["step"] for row in rows] == [1, 3]
    assert "line 2, is left out: it has more than 100 bytes" in said[0] and len(said) == 1


def test_a_long_run_is_thinned_to_the_first_rows_of_equal_stretches(tmp_path):
    """1,000 rows of which at most 100: every 16th, so that all are nested, with the newest of each kind."""
    train = [{"step": s, "kind": "train", "loss": s / 2} for s in range(1, 1_001)]
    rows = [row for s in train for row in ([s, {"step": s["step"], "kind": "eval", "fid": 2.0}] if s["step"] % 250 == 1
                                           else [s])]
    found = read_metrics(write_rows(tmp_path, rows), most=100)
    steps = [row["step"] for row in found if row["kind"] == "train"]
    assert steps == [1, *range(16, 1_000, 16), 1_000]
    assert [row["step"] for row in found if row["kind"] == "eval"] == [1, 251, 501, 751]
    assert all(row in rows for row in found)


def test_rows_of_other_names_are_thinned_apart(tmp_path):
    """Evaluators that take turns: neither hides the other."""
    rows = [{"step": s, "kind": "eval", "fid" if s % 2 else "kid": float(s)} for s in range(1_000)]
    found = read_metrics(write_rows(tmp_path, rows), most=100)
    fid, kid = ([row["step"] for row in found if name in row] for name in ("fid", "kid"))
    assert 20 < len(fid) <= 51 and 20 < len(kid) <= 51 and found[-2:] == rows[-2:]


def test_thinned_seeds_have_the_same_steps(tmp_path):
    found = []
    for seed, n in enumerate((1_000, 3_000)):
        (tmp_path / str(seed)).mkdir()
        rows = [{"step": 10 * s, "kind": "train", "loss": float(s)} for s in range(n)]
        found.append({row["step"] for row in read_metrics(write_rows(tmp_path / str(seed), rows), most=100)})
    assert len(found[0] & found[1]) >= 15


@pytest.fixture
def unhooked():
    """The module without the tests' checks of types, which take most of the time and memory."""
    spec = importlib.util.spec_from_file_location("unhooked_run_folder", run_folder.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_memory_does_not_grow_with_the_run(tmp_path, unhooked):
    """6,000 rows of 20 numbers: 3.5 MB as text, 8 MB and more as rows, of which 256 are held."""
    row = {"step": 0, "kind": "train"} | {f"metric_{i}": 0.123456789 * (i + 1) for i in range(20)}
    write_rows(tmp_path, (row | {"step": step} for step in range(6_000)))
    tracemalloc.start()
    rows = unhooked.read_metrics(tmp_path, most=256)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(rows) <= 257 and (rows[0]["step"], rows[-1]["step"]) == (0, 5_999)
    assert peak < 3e6


def test_lines_that_are_not_held_are_not_parsed(tmp_path, monkeypatch, unhooked):
    """What makes a million lines a matter of seconds."""
    write_rows(tmp_path, [{"step": step, "kind": "train", "loss": 1.0} for step in range(20_000)])
    parsed, record = [], unhooked.record
    monkeypatch.setattr(unhooked, "record", lambda line: parsed.append(1) or record(line))
    assert len(unhooked.read_metrics(tmp_path)) > 2_000
    assert len(parsed) < 12_000


@pytest.mark.parametrize("content", ["", "null", "[]", "3", '{"step": null}', '{"step": "12"}', '{"step": true}',
                                     '{"step": -1}', '{"step": ' + "9" * 400 + "}", "[" * 5_000, "\ud800", "\0"])
def test_a_damaged_mark_is_told_and_counts_as_none(tmp_path, content):
    (tmp_path / "DONE").write_bytes(content.encode("utf-8", "surrogatepass"))
    step, (said,) = told(finished_step, tmp_path)
    assert step is None and str(tmp_path / "DONE") in said and "not finished" in said
    (tmp_path / "DONE").write_text('{"step": 12}')
    assert told(finished_step, tmp_path) == (12, [])
    (tmp_path / "DONE").unlink()
    assert told(finished_step, tmp_path) == (None, [])


def test_rows_of_evaluations_that_are_good_are_kept(tmp_path):
    path = tmp_path / "evaluations.json"
    path.write_text('[{"step": 1, "fid": 2.5}, null, {"fid": 3}, {"step": "4"}]')
    (rows, whole), (said,) = told(evaluations, tmp_path)
    assert rows == [{"step": 1, "fid": 2.5}] and not whole and str(path) in said
    path.write_text('[{"step": 1}]')
    assert told(evaluations, tmp_path) == (([{"step": 1}], True), [])


@pytest.mark.parametrize("name", ["config.json", "DONE", "evaluations.json", "metrics.jsonl"])
def test_nothing_is_read_through_a_link_out_of_the_folder_or_from_a_pipe(tmp_path, name):
    run, secret = tmp_path / "run", tmp_path / "secret.json"
    run.mkdir()
    secret.write_text('{"step": 5, "config": {"token": "secret"}}\n')
    read = {"config.json": lambda: run_folder.description(run), "DONE": lambda: finished_step(run),
            "evaluations.json": lambda: evaluations(run)[0], "metrics.jsonl": lambda: read_metrics(run)}[name]

    def nothing_is_read():
        try:
            return not read()
        except Unreadable as error:
            return str(run / name) in str(error)

    (run / name).symlink_to(secret)
    assert nothing_is_read()
    (run / name).unlink()
    os.mkfifo(run / name)
    assert nothing_is_read()
    (run / name).unlink()
    (run / "kept").write_text(secret.read_text())
    (run / name).symlink_to("kept")
    assert read() or name == "evaluations.json"


def test_only_pngs_of_the_folder_are_pictures(tmp_path):
    run, key = tmp_path / "run", tmp_path / "id_ed25519"
    (run / "samples").mkdir(parents=True)
    key.write_bytes(files.PNG + b"PRIVATE KEY")
    (run / "samples/1.png").symlink_to(key)
    (run / "samples/2.png").write_bytes(b"PRIVATE KEY")
    (run / "samples/3.png").write_bytes(files.PNG)
    (run / "samples/x.png").write_bytes(files.PNG)
    found, said = told(sample_files, run)
    assert found == {3: run / "samples/3.png"}
    assert "1.png is a link out of" in said[0] and "2.png is no PNG" in said[1]


def test_json_is_bounded(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    with pytest.raises(Missing):
        read_json(path, tmp_path)
    for content, said in ((b'{"a":\n 1,}', "line 2"), (b"\xff", "UTF-8"), (b"[" * 40 + b"]" * 40, "nested too deeply"),
                          (b"[" * 100_000, "nested too deeply")):
        path.write_bytes(content)
        with pytest.raises(Unreadable, match=f"a.json.*{said}"):
            read_json(path, tmp_path)
    monkeypatch.setattr(files, "MOST_JSON", 10)
    path.write_text("[" + " " * 10 + "]")
    with pytest.raises(Unreadable, match="more than 10 bytes"):
        read_json(path, tmp_path)


def test_a_file_is_replaced_at_once_and_synced_first(tmp_path, monkeypatch):
    path, synced = tmp_path / "DONE", []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    write_atomically(path, "± caf\udce9")
    assert path.read_text() == "± caf\\udce9"
    partial, folder = synced
    assert re.fullmatch(re.escape(f"{tmp_path}/.DONE.") + r"[0-9a-f]{16}\.partial", partial) and folder == str(tmp_path)
    assert os.listdir(tmp_path) == ["DONE"]

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(files.UserError, match="DONE: cannot be written: No space left on device."):
        write_atomically(path, "new")
    assert os.listdir(tmp_path) == ["DONE"] and path.read_text() == "± caf\\udce9"


def test_of_several_that_write_a_file_at_once_one_is_the_last(tmp_path):
    path, contents = tmp_path / "DONE", [f"{i}" * 100_000 for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: [write_atomically(path, content) for _ in range(5)], contents))
    assert path.read_text() in contents and os.listdir(tmp_path) == ["DONE"]


def test_evaluations_that_are_kept_at_once_are_all_kept(tmp_path):
    """Each adds a row of its own, and a metric to a row of all."""
    def keep(i):
        record.keep_evaluation(tmp_path, {"step": i + 1, "elbo": 1.0})
        record.keep_evaluation(tmp_path, {"step": 0, f"fid{i}": 1.0})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(keep, range(24)))
    kept = json.loads((tmp_path / "evaluations.json").read_text())
    assert [row["step"] for row in kept] == list(range(25)) and len(kept[0]) == 25
    assert sorted(os.listdir(tmp_path)) == [".evaluations.json.lock", "evaluations.json"]
