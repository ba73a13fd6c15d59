"""GIF files: frames, durations, order of steps."""

import numpy as np
import pytest
from PIL import Image, ImageSequence

from gen.errors import UserError
from gen.figures.animation import CAPTION, animate_run, sample_files, write_gif
from gen.figures.grids import save_png


def frame(value, shape=(10, 12, 1)):
    return np.full(shape, value, np.uint8)


def test_grey_frames_survive_exactly_with_their_durations(tmp_path):
    path = write_gif([frame(v) for v in (0, 100, 200)], tmp_path / "new" / "a.gif", seconds=0.2, hold=1.0)
    with Image.open(path) as gif:
        frames = [(np.array(f.convert("L")), f.info["duration"]) for f in ImageSequence.Iterator(gif)]
        assert gif.info["loop"] == 0
    assert [duration for _, duration in frames] == [200, 200, 1000]
    for (pixels, _), value in zip(frames, (0, 100, 200), strict=True):
        assert (pixels == value).all()


def test_captions_stand_below_the_frame(tmp_path):
    path = write_gif([frame(9, (40, 90, 1)), frame(60, (40, 90, 1))], tmp_path / "a.gif", ["step 0", "step 10"])
    with Image.open(path) as gif:
        first = np.array(gif.convert("L"))
    assert first.shape == (40 + CAPTION, 90)
    assert (first[:40] == 9).all() and 0 < (first[40:] < 128).mean() < 0.5


def test_frames_that_do_not_fit_are_user_errors(tmp_path):
    for frames in ([], [frame(0), frame(0, (3, 3, 1))]):
        with pytest.raises(UserError, match="frames of one shape"):
            write_gif(frames, tmp_path / "a.gif")


def test_a_run_is_animated_in_order_of_its_steps(tmp_path):
    for step, value in ((10, 20), (9, 10), (100, 30)):
        save_png(frame(value, (40, 90, 1)), tmp_path / "samples" / f"{step}.png")
    save_png(frame(255), tmp_path / "samples" / "real.png")
    assert list(sample_files(tmp_path)) == [9, 10, 100]
    with Image.open(animate_run(tmp_path)) as gif:
        values = [np.array(f.convert("L"))[0, 0] for f in ImageSequence.Iterator(gif)]
    assert values == [10, 20, 30]


def test_a_run_without_pictures_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="sample_every"):
        animate_run(tmp_path)
