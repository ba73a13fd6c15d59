import hashlib

import numpy as np
from sklearn.datasets import load_digits

from gen.data import originals
from gen.data.embedded import digits, ink, mnist_small, sheet, tiles

DIGEST = "76284620a84eab55dadc45670c48e7cf3437bb29e96ff875f29c40e2b6aa9f6f"
"""Of the training images, their labels, the test images and theirs, a byte each."""


def test_every_digit_is_in_one_split_unchanged():
    train, test, classes = digits()
    source = load_digits()
    assert classes == 10 and len(train["x"]) == 1501 and len(test["x"]) == 296
    assert train["x"].dtype == np.uint8 and train["x"].shape[1:] == (8, 8, 1) and train["label"].dtype == np.int32
    both = np.concatenate([np.column_stack([ink(part["x"]).reshape(-1, 64), part["label"]]) for part in (train, test)])
    original = np.column_stack([source.data, source.target]).astype(int)
    np.testing.assert_array_equal(both[np.lexsort(both.T)], original[np.lexsort(original.T)])


def test_scaling_is_exactly_reversible():
    counts = np.arange(17)
    pixels = np.rint(counts * 255 / 16).astype(np.uint8)
    np.testing.assert_array_equal(ink(pixels), counts)
    assert digits()[0]["x"].max() == 255


def test_split_is_stratified_and_ordered():
    train, test, _ = digits()
    share = np.bincount(test["label"]) / (np.bincount(test["label"]) + np.bincount(train["label"]))
    assert np.all(np.abs(share - 1 / 6) < 0.006)
    np.testing.assert_array_equal(train["label"][:5], [0, 1, 2, 3, 4])


def test_first_examples():
    few, test, _ = digits(train_examples=7)
    np.testing.assert_array_equal(few["x"], digits()[0]["x"][:7])
    assert len(few["label"]) == 7 and len(test["x"]) == 296


def test_the_small_part_of_mnist_is_whole_and_known():
    train, test, classes = mnist_small()
    assert classes == 10 and train["x"].shape == (8_000, 28, 28, 1) and test["x"].shape == (2_000, 28, 28, 1)
    assert train["x"].dtype == np.uint8 and train["label"].dtype == np.int32
    held = b"".join(part[key].astype(np.uint8).tobytes() for part in (train, test) for key in ("x", "label"))
    assert hashlib.sha256(held).hexdigest() == DIGEST


def test_the_small_part_of_mnist_is_the_published_one(shared):
    published = originals.read("mnist", shared)
    for part, name in zip(mnist_small()[:2], ("train", "test"), strict=True):
        for mine, theirs in zip((part["x"], part["label"]), published[name], strict=True):
            np.testing.assert_array_equal(mine, theirs[: len(mine)].reshape(mine.shape))


def test_first_examples_of_the_small_part_of_mnist():
    few, test, _ = mnist_small(train_examples=7, test_examples=3)
    np.testing.assert_array_equal(few["x"], mnist_small()[0]["x"][:7])
    np.testing.assert_array_equal(test["x"], mnist_small()[1]["x"][:3])
    assert len(few["label"]) == 7 and len(test["label"]) == 3


def test_a_sheet_has_its_tiles_row_by_row():
    x = np.arange(4 * 6, dtype=np.uint8).reshape(4, 3, 2, 1).repeat(1, 2)
    np.testing.assert_array_equal(sheet(x)[:3, :2], x[0, ..., 0])
    np.testing.assert_array_equal(sheet(x)[3:, :2], x[2, ..., 0])
    square = np.arange(9 * 16, dtype=np.uint8).reshape(9, 4, 4, 1)
    np.testing.assert_array_equal(tiles(sheet(square), 4), square)
