import hashlib
import logging
import os

import numpy as np
import pytest
from absl import logging as absl_logging
from PIL import Image

from gen.data import folder as folders
from gen.data import load, streaming
from gen.data.folder import Files, place_of, squared
from gen.errors import UserError

N = 30


def write(root, classes=("cats", "dogs"), n=N):
    """n plain images of distinct colours, 20 wide and 12 high; the class is the colour's parity."""
    for i in range(n):
        folder = root / classes[i % len(classes)] if classes else root
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 12), (8 * i, 255 - 8 * i, i)).save(folder / f"{i:02}.png")
    return root


def config(root, **options):
    return {"name": "folder", "path": str(root), "size": 8, "test_fraction": 0.3} | options


@pytest.fixture
def warnings():
    """Messages that absl logs."""
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    absl_logging.get_absl_logger().addHandler(handler)
    yield messages
    absl_logging.get_absl_logger().removeHandler(handler)


def test_splits_labels_and_colours(tmp_path):
    dataset = load(config(write(tmp_path)))
    assert dataset.spec[:3] == ((8, 8, 3), 2, "unit")
    both = {name: np.concatenate([dataset.train[name], dataset.test[name]]) for name in ("x", "label")}
    colour = both["x"][:, 0, 0, 2]
    assert sorted(colour) == list(range(N))
    np.testing.assert_array_equal(both["label"], colour % 2)
    np.testing.assert_array_equal(both["x"], np.broadcast_to(both["x"][:, :1, :1], both["x"].shape))
    assert 3 <= len(dataset.test["x"]) <= 15 and list(dataset.train["label"]) != sorted(dataset.train["label"])


def test_another_file_moves_none(tmp_path):
    before = load(config(write(tmp_path)))
    Image.new("RGB", (9, 9), (1, 2, 200)).save(tmp_path / "cats/new.png")
    after = load(config(tmp_path))
    for split in ("train", "test"):
        kept = getattr(after, split)["x"]
        np.testing.assert_array_equal(kept[kept[:, 0, 0, 2] != 200], getattr(before, split)["x"])


def test_first_examples_and_grey(tmp_path):
    whole = load(config(write(tmp_path, classes=()), channels=1))
    assert whole.spec[:3] == ((8, 8, 1), 0, "unit") and set(whole.train) == {"x"}
    few = load(config(tmp_path, channels=1, train_examples=4, test_examples=2))
    np.testing.assert_array_equal(few.train["x"], whole.train["x"][:4])
    np.testing.assert_array_equal(few.test["x"], whole.test["x"][:2])


def test_the_centre_is_cropped_and_upright(tmp_path):
    """A wide image, white in the middle square; and one that its camera held on its side."""
    pixels = np.zeros((16, 48, 3), np.uint8)
    pixels[:, 16:32] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    np.testing.assert_array_equal(squared(tmp_path / "wide.png", 4, 3), np.full((4, 4, 3), 255))
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the top row is the right side
    Image.fromarray(pixels).save(tmp_path / "side.png", exif=exif)
    upright = squared(tmp_path / "side.png", 8, 1)[..., 0]
    assert (upright[:, :3] < 3).all() and (upright[:, 5:] > 252).all()  # Lanczos' filter rings


def spoil(root):
    """Cuts one file of the training split short and empties another; returns their names."""
    train = load(config(root)).train["x"][:, 0, 0, 2]
    first, second = (next(root.rglob(f"{i:02}.png")) for i in train[[0, 5]])
    first.write_bytes(first.read_bytes()[:50])
    second.write_bytes(b"")
    return {first.name, second.name}


def test_bad_files_are_named_skipped_and_counted(tmp_path, warnings):
    whole = load(config(write(tmp_path))).train
    bad = spoil(tmp_path)
    resident, stream = (load(config(tmp_path, loading=loading)).train for loading in ("resident", "streaming"))
    named = [message for message in warnings if "cannot be read" in message]
    assert len(named) == 2 and all(any(name in message for message in named) for name in bad)
    assert f"2 of {len(whole['x'])} files so far" in named[1]
    for name, values in whole.items():
        expected = values.copy()
        expected[[0, 5]] = values[[1, 6]]
        np.testing.assert_array_equal(resident[name], expected)
        np.testing.assert_array_equal(stream[name][:], expected)
    assert streaming.streamed(stream)


@pytest.mark.parametrize(("options", "message"), [
    ({"path": "/no/such/folder"}, "no such folder"), ({"path": ""}, "config.data.path is empty"),
    ({"size": 0}, "size=0"),
    ({"test_fraction": 1.0}, "test_fraction=1.0"),
    ({"test_fraction": 1e-9}, "none of its 30 images is in the test split"),
    ({"channels": 4}, "channels=4 must be 1 or 3"),
    ({"train_examples": 1_000}, r"there are \d+ in all"),
])
def test_mistakes(tmp_path, options, message):
    with pytest.raises(UserError, match=message) as error:
        load(config(write(tmp_path)) | options)
    assert "\n" not in str(error.value)


def test_folders_without_images(tmp_path):
    with pytest.raises(UserError, match="no image in it"):
        load(config(tmp_path))
    write(tmp_path, n=4)
    Image.new("L", (4, 4)).save(tmp_path / "lone.png")
    with pytest.raises(UserError, match="lone.png is beside subfolders"):
        load(config(tmp_path))
    (tmp_path / "lone.png").unlink()
    for path in tmp_path.rglob("*.png"):
        path.write_bytes(b"not an image")
    with pytest.raises(UserError, match="none of its images can be read"):
        load(config(tmp_path, test_fraction=0.5))


def tree(root, *files):
    for i, file in enumerate(files):
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(path)


def classes_of(root):
    return load({"name": "folder", "path": str(root), "size": 8, "test_fraction": 0.5}).spec.class_names


def test_class_names_are_stored_in_the_order_in_which_people_count(tmp_path):
    tree(tmp_path, *(f"{name}/{i}.png" for name in ("10", "2", "1") for i in range(8)))
    assert classes_of(tmp_path) == ("1", "2", "10")


def test_links_are_followed_and_hidden_folders_are_no_classes(tmp_path, caplog):
    tree(tmp_path / "there", *(f"cats/{i}.png" for i in range(8)))
    tree(tmp_path / "set", *(f"{name}/{i}.png" for name in ("dogs", ".thumbnails") for i in range(8)))
    (tmp_path / "set/cats").symlink_to(tmp_path / "there/cats")
    (tmp_path / "set/dogs/again").symlink_to(tmp_path / "set")
    assert classes_of(tmp_path / "set") == ("cats", "dogs")


def test_other_formats_pipes_and_huge_pictures_are_skipped(tmp_path, monkeypatch):
    tree(tmp_path, *(f"{i}.png" for i in range(12)))
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "script.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "huge.png")
    monkeypatch.setattr(folders, "MOST_PIXELS", 400)
    records = Files(tmp_path, ["pipe.png", "script.png", "huge.png", "0.png"], [], 8, 3, 0)
    records.read([0])
    assert records.unreadable == {"pipe.png", "script.png", "huge.png"}


def test_sixteen_bits_and_hidden_colours_reach_the_data_as_they_look(tmp_path):
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1024).save(tmp_path / "grey.png")
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "hidden.png")
    grey = squared(tmp_path / "grey.png", 8, 1)
    assert (np.diff(grey.ravel().astype(int)) >= 3).all() and grey.max() == 251
    assert (squared(tmp_path / "hidden.png", 8, 3) == 255).all()


def test_a_name_that_is_no_utf_8_is_a_name(tmp_path):
    """Bytes from an old archive; what is valid keeps its place."""
    for i in range(8):
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(tmp_path / f"{i}.png")
    os.rename(tmp_path / "0.png", os.fsencode(tmp_path) + b"/caf\xe9.png")
    dataset = load({"name": "folder", "path": str(tmp_path), "size": 8, "test_fraction": 0.5, "loading": "resident"})
    seen = np.concatenate([dataset.train["x"], dataset.test["x"]])[:, 0, 0, 0]
    assert sorted(seen.tolist()) == list(range(8))
    assert place_of("ü.png") == int.from_bytes(hashlib.sha256("ü.png".encode()).digest()[:6], "big") / 2**48
