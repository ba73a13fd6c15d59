"""Images that need no download: they come with scikit-learn, or with this package."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gen.config.ranges import Natural

LEVELS = 16
"""The digits are counts of ink in 4x4 blocks of a scan: whole numbers from 0 to 16."""

HOLD_OUT = 6
"""Within each class, in the original order, every sixth example is a test example."""

MNIST_TRAIN, MNIST_TEST = 8_000, 2_000
"""How many images of MNIST come with the package."""

MNIST_SHEET, MNIST_LABELS = (Path(__file__).parent / "assets" / f"mnist_small.{kind}" for kind in ("webp", "npy"))
"""Their pixels, 100 x 100 tiles row by row, and their labels: training images first (docs/make_mnist_small.py)."""


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


def mnist_small(train_examples: Natural = 0, test_examples: Natural = 0
                ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], int]:
    """A part of MNIST that comes with the package, 28x28 grey: the first 8,000 training and 2,000 test images.

    They are whole and in the official order. The first 5,000 test images of MNIST are the cleaner half, so that numbers
    on this test part are not those of the whole set.

    Args:
      train_examples, test_examples: keep the first so many images; 0 keeps all.
    Returns:
      train, test, number of classes.
    Source: Y. LeCun, C. Cortes, C. Burges, The MNIST Database; shared under CC BY-SA 3.0, as this part of it is.
    """
    from PIL import Image

    with Image.open(MNIST_SHEET) as sheet:
        x = tiles(np.asarray(sheet.convert("L")), 28)
    label = np.load(MNIST_LABELS).astype(np.int32)
    parts = ((0, MNIST_TRAIN, train_examples), (MNIST_TRAIN, MNIST_TRAIN + MNIST_TEST, test_examples))
    chosen = [slice(first, min(end, first + (examples or end))) for first, end, examples in parts]
    train, test = ({"x": x[part], "label": label[part]} for part in chosen)
    return train, test, 10


def sheet(x: UInt8[np.ndarray, "n h w 1"]) -> UInt8[np.ndarray, "H W"]:
    """Lays n images out in rows of as many tiles as there are rows; n is a square."""
    n, h, w, _ = x.shape
    side = int(np.sqrt(n))
    return x.reshape(side, side, h, w).swapaxes(1, 2).reshape(side * h, side * w)


def tiles(sheet: UInt8[np.ndarray, "H W"], size: int) -> UInt8[np.ndarray, "n size size 1"]:
    """The images of a sheet, row by row: the inverse of `sheet`."""
    rows, columns = (side // size for side in sheet.shape)
    return sheet.reshape(rows, size, columns, size).swapaxes(1, 2).reshape(-1, size, size, 1)


def ink(x: np.ndarray) -> np.ndarray:
    """Returns the original counts 0..16 of uint8 pixels of `digits`."""
    return np.rint(x * (LEVELS / 255)).astype(np.uint8)


def _held_out(label: np.ndarray) -> np.ndarray:
    """Returns a mask of every `HOLD_OUT`-th example of each class."""
    mask = np.zeros(len(label), bool)
    for value in np.unique(label):
        mask[np.flatnonzero(label == value)[HOLD_OUT - 1 :: HOLD_OUT]] = True
    return mask
