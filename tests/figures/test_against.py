"""What runs reach against a key of their config."""

import numpy as np
import pytest

from gen.errors import UserError
from gen.figures.against import against_picture
from gen.figures.records import Run


def run(folder, key, score):
    """A run whose evaluation has a score and what real examples have."""
    metrics = [] if score is None else [{"step": 5, "kind": "eval", "elbo": score, "elbo_real": 3.0, "kl": 1.0}]
    return Run(str(key), folder, {"config": {"optimizer": {"learning_rate": key}, "seed": 0}}, metrics, [], {}, None,
               None, {}, [])


def drawn(monkeypatch, runs, key="optimizer.learning_rate", names=None):
    """The picture, and of each panel: its title, its lines as points, and the scale to the right."""
    panels = []

    def keep(figure):
        panels.extend((panel.get_title(loc="left"), [line.get_xydata().tolist() for line in panel.lines],
                       panel.get_xscale()) for panel in figure.axes)
        return np.zeros((2, 2, 4), np.uint8)

    monkeypatch.setattr("gen.figures.against.pixels", keep)
    return against_picture(runs, key, names), panels


def test_points_means_and_the_real_line_over_a_logarithm(monkeypatch, tmp_path):
    runs = [run(tmp_path, *each) for each in ((0.1, 1.0), (0.1, 2.0), (0.001, 4.0), (0.01, None))]
    picture, panels = drawn(monkeypatch, runs)
    assert picture.shape[-1] == 3
    (title, (means, points, real), scale), = panels
    assert title == "elbo" and scale == "log"
    assert means == [[0.001, 4.0], [0.1, 1.5]]
    assert points == [[0.1, 1.0], [0.1, 2.0], [0.001, 4.0]]
    assert [y for _, y in real] == [3.0, 3.0]


def test_values_that_are_no_numbers_stand_side_by_side(monkeypatch, tmp_path):
    runs = [run(tmp_path, *each) for each in (("adam", 1.0), ("sgd", 2.0))]
    _, ((_, (means, *_), scale),) = drawn(monkeypatch, runs, names=["elbo"])
    assert means == [[0, 1.0], [1, 2.0]] and scale == "linear"


@pytest.mark.parametrize("key, score, names, message", [
    ("latents", 1.0, None, "has no such key"), ("optimizer.learning_rate", None, None, "no run has an evaluation"),
    ("optimizer.learning_rate", 1.0, ["elbow"], "Did you mean 'elbo'")])
def test_what_cannot_be_drawn_is_one_line(tmp_path, key, score, names, message):
    with pytest.raises(UserError, match=message):
        against_picture([run(tmp_path, 0.1, score)], key, names)
