"""Panels in a row: their size, and a legend only where something is labelled."""

from gen.figures.panels import HEIGHT, WIDTH, legends, panels
from gen.figures.points import render


def test_a_row_of_panels_has_its_size_and_legends_of_what_is_labelled():
    figure, (left, right) = panels(["one", "two"])
    left.plot([0, 1], [0, 1], label="line")
    legends([left, right])
    assert left.get_legend() is not None and right.get_legend() is None
    assert render(figure).shape == (2 * HEIGHT, 2 * 2 * WIDTH, 3)
