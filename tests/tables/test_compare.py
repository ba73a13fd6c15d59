"""Differences between made-up runs."""

import json

import pytest

from gen import tables
from gen.errors import UserError
from tests.tables.test_formats import cells


@pytest.fixture
def runs(tmp_path):
    """Two seeds of one config, and a run with another learning rate and one more key."""
    def write(name, seed, rate, loss, **more):
        (tmp_path / name).mkdir()
        record = {"config": {"seed": seed, "optimizer": {"rate": rate}, "latents": 2} | more}
        (tmp_path / name / "config.json").write_text(json.dumps(record))
        rows = [{"step": 10, "kind": "eval", "loss": 50.0}, {"step": 20, "kind": "eval", "loss": loss, "real": 1.0}]
        (tmp_path / name / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return tmp_path / name

    return [write("a-seed=0", 0, 0.1, 1.0), write("a-seed=1", 1, 0.1, 3.0), write("b", 0, 0.2, 7.0, packing=4)]


def test_keys_and_metrics_that_differ(runs):
    (runs[2] / "evaluations.json").write_text(json.dumps([{"step": 20, "fid": 4.5}, {"step": 10, "fid": 9.0}]))
    text = tables.compare(runs)
    keys, metrics = (cells(part) for part in text.split("Last evaluation"))
    assert keys == [["config", "a, 2 seeds", "b"], ["optimizer.rate", "0.1", "0.2"], ["packing", "–", "4"],
                    ["seed", "0, 1", "0"]]
    assert metrics == [["metric", "a, 2 seeds", "b", "difference"], ["loss", "2 ± 1", "7", "+5"],
                       ["fid", "–", "4.5", "–"]]
    assert text.startswith("3 runs, 2 configs") and text.endswith("Equal in all: step, real.")


def test_what_is_no_run_is_a_user_error(runs, tmp_path):
    with pytest.raises(UserError, match="nowhere holds no run"):
        tables.compare([runs[0], tmp_path / "nowhere"])
    with pytest.raises(UserError, match="at least two"):
        tables.compare(runs[:1])
    with pytest.raises(UserError, match="at least two"):
        tables.compare([runs[0], f"{runs[0]}/"])
