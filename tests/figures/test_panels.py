"""Panels: their size, legends, ticks, and the four ways in which a figure is shown."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from gen.figures.panels import HEIGHT, INK, NARROW, WIDTH, in_the_dark, legends, panels, pictures, pixels, ticks


def test_a_row_of_panels_has_its_size_and_legends_of_what_is_labelled():
    figure, (left, right) = panels(["one", "two"])
    left.plot([0, 1], [0, 1], label="line")
    legends([left, right])
    assert left.get_legend() is not None and right.get_legend() is None
    assert pixels(figure).shape == (2 * HEIGHT, 2 * WIDTH, 4)


def test_titles_and_labels_of_logarithmic_axes_do_not_overlap_or_leave_the_picture():
    long = "a title that is much too long for one line of a panel that is a third of the row wide"
    figure, row = panels([long, "two", "three"])
    for axes in row:
        axes.loglog([1, 10, 30_000], [2e-3, 0.1, 3])
        ticks(axes.xaxis, (1, 100, 10_000))
        ticks(axes.yaxis, (0.01, 0.1, 1))
    pixels(figure)
    width, renderer = figure.bbox.width, figure._get_renderer()
    for axes in row:
        title = axes.get_title(loc="left")
        assert len(title.splitlines()) == (3 if axes is row[0] else 1)
        boxes = [label.get_window_extent(renderer) for label in axes.get_xticklabels() if label.get_text()]
        assert len(boxes) == 3 and all(a.x1 < b.x0 for a, b in zip(boxes, boxes[1:], strict=False))
        assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "100", "10,000"]
        assert axes.title.get_window_extent(renderer).x1 <= width and not axes.get_xticks(minor=True).size


def test_a_figure_is_shown_wide_and_narrow_on_light_and_dark_pages():
    figure, row = panels(["one", "two", "three"], height=200)
    for axes in row:
        axes.plot([0, 1], [0, 1], color=INK, linewidth=4)
        axes.fill_between([0, 1], [0, 1], color=INK)
    row[2].imshow(np.zeros((2, 2)), cmap="gray", vmin=0, vmax=1, extent=(0, 1, 0, 1))
    found = pictures(figure)
    assert found[""].shape == found["_dark"].shape == (400, 2 * WIDTH, 4)
    assert found["_narrow"].shape == found["_narrow_dark"].shape and found["_narrow"].shape[1] == 2 * NARROW
    assert found["_narrow"].shape[0] > 3 * 400
    light, dark = (picture[:, : picture.shape[1] * 2 // 3] for picture in (found[""], found["_dark"]))
    assert light[light[..., 3] == 255][:, :3].mean() + 60 < dark[dark[..., 3] == 255][:, :3].mean()
    (line,) = row[0].lines
    assert line.get_color() == line.get_markeredgecolor() and np.mean(line.get_color()[:3]) > 0.8
    grid = row[0].get_xgridlines()[0].get_color()
    assert np.mean(np.array(in_the_dark("white")[:3])) < np.mean(to_rgb(grid)) < 0.3  # fainter than the labels
    black = (found["_dark"][..., :3] == 0).all(-1) & (found["_dark"][..., 3] == 255)
    assert black.sum() > 40_000  # an image keeps its colours


@pytest.mark.parametrize("colour,expected", [("white", 0.09), ("black", 0.93)])
def test_greys_change_places_in_the_dark(colour, expected):
    np.testing.assert_allclose(in_the_dark(colour), [expected] * 3 + [1], atol=0.005)


def test_other_hues_stay_and_are_never_dark():
    red, green, blue, alpha = in_the_dark((0.0, 0.0, 0.4, 0.5))
    assert red == green < blue and (red + blue) / 2 == pytest.approx(0.58) and alpha == 0.5
