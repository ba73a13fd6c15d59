"""Metric rows to series and bands, and the picture of them."""

import json

import numpy as np
import pytest

from gen.errors import UserError
from gen.figures.curves import band, bands, by_kind, curve_picture, metric_names, series
from gen.run_folder import read_metrics


def test_rows_are_read_and_torn_or_foreign_lines_left_out(tmp_path):
    rows = [{"step": 1, "kind": "train", "loss": 2.0}, {"step": 2, "kind": "train", "loss": "NaN", "kl": "-Infinity"}]
    lines = [json.dumps(row) for row in rows] + ["[1]", '{"loss": 1}', '{"step": 3, "lo']
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    read = read_metrics(tmp_path)
    assert len(read) == 2 and read[0] == rows[0]
    assert np.isnan(read[1]["loss"]) and read[1]["kl"] == -np.inf
    assert read_metrics(tmp_path / "nowhere") == []


def test_names_are_those_with_numbers():
    assert metric_names([{"step": 1, "kind": "train", "a": 1, "ok": True}, {"step": 2, "b": 0.5}]) == ["a", "b"]


def test_a_series_is_in_order_and_the_last_value_of_a_step_counts():
    steps, values = series([{"step": 3, "a": 3}, {"step": 1, "a": 1}, {"step": 3, "a": 4.5}, {"step": 2, "b": 0}], "a")
    assert steps.tolist() == [1, 3] and values.tolist() == [1, 4.5]


def test_a_band_covers_the_steps_where_all_seeds_are_finite():
    seeds = [[1.0, 2.0, 3.0, 4.0], [3.0, np.nan, 5.0], [2.0, 2.0, 10.0, 0.0]]
    curves = [series([{"step": i, "a": v} for i, v in enumerate(values)], "a") for values in seeds]
    result = band(curves)
    assert result.seeds == 3
    assert result.steps.tolist() == [0, 2]
    assert (result.mean.tolist(), result.low.tolist(), result.high.tolist()) == ([2, 6], [1, 3], [3, 10])


def test_kinds_do_not_mix():
    rows = [{"step": 1, "kind": "train", "loss": 1.0}, {"step": 1, "kind": "eval", "loss": 9.0, "fid": 3.0}]
    assert list(by_kind(rows)) == ["train", "eval"]
    assert {kind: curve.mean.tolist() for kind, curve in bands([rows], "loss").items()} == {"train": [1], "eval": [9]}
    assert list(bands([rows], "fid")) == ["eval"]


@pytest.mark.slow
@pytest.mark.parametrize(("metrics", "lines"), [(1, 1), (3, 2)])
def test_the_picture_has_a_panel_per_metric(metrics, lines):
    rows = [{"step": s, **{f"m{i}": float(s + i) for i in range(metrics)}} for s in range(5)]
    picture = curve_picture({"a $x": [rows, rows], "b": [rows]}, width=600)
    assert picture.shape == (290 * lines, 600, 3)
    assert (picture < 128).any()


def test_metrics_together_share_a_panel_and_a_scale():
    rows = [{"step": s, "a": 10.0**-s, "b": 2.0} for s in range(5)]
    pictures = [curve_picture({"run": [rows]}, width=600, log=log, together=True) for log in (False, True)]
    assert pictures[0].shape == (290, 600, 3) and (pictures[0] != pictures[1]).any()
    with pytest.raises(UserError, match="Unknown metric 'c'"):
        curve_picture({"run": [rows]}, ["a", "c"])
