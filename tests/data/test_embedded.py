import numpy as np
from sklearn.datasets import load_digits

from gen.data.embedded import digits, ink


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
