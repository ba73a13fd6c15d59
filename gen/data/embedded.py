"""Images that need no download: they come with scikit-learn."""

import numpy as np

from gen.config.ranges import Natural

LEVELS = 16
"""The digits are counts of ink in 4x4 blocks of a scan: whole numbers from 0 to 16."""

HOLD_OUT = 6
"""Within each class, in the original order, every sixth example is a test example."""


def digits(train_examples: Natural = 0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], int]:
    """The 1,797 handwritten digits of `sklearn.datasets.load_digits`, 8x8 grey: 1,501 to train on, 296 to test on.

    The split is fixed and stratified without a random number: the 6th, 12th, ... example of each class is held out.
    Both parts keep the original order. Pixels are scaled from 0..16 to 0..255 by rounding, and `ink` undoes it exactly.

    Args:
      train_examples: keep the first so many training images; 0 keeps all.
    Returns:
      train, test, number of classes.
    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998 (its test part).
    """
    from sklearn.datasets import load_digits

    source = load_digits()
    label = source.target.astype(np.int32)
    x = np.rint(source.images * 255 / LEVELS).astype(np.uint8)[..., None]
    test = _held_out(label)
    train = np.flatnonzero(~test)[: train_examples or None]
    return {"x": x[train], "label": label[train]}, {"x": x[test], "label": label[test]}, 10


def ink(x: np.ndarray) -> np.ndarray:
    """Returns the original counts 0..16 of uint8 pixels of `digits`."""
    return np.rint(x * (LEVELS / 255)).astype(np.uint8)


def _held_out(label: np.ndarray) -> np.ndarray:
    """Returns a mask of every `HOLD_OUT`-th example of each class."""
    mask = np.zeros(len(label), bool)
    for value in np.unique(label):
        mask[np.flatnonzero(label == value)[HOLD_OUT - 1 :: HOLD_OUT]] = True
    return mask
