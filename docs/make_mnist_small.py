"""Writes gen/data/assets/mnist_small.webp and .npy, the part of MNIST that comes with the package.

    python scripts/prepare_data.py --dataset=mnist
    python docs/make_mnist_small.py

The first 8,000 training images and the first 2,000 test images of the official order, as one lossless sheet of 100 x
100 tiles, row by row, and their labels in the same order.
"""

import numpy as np
from absl import app
from PIL import Image

from gen.data import embedded, images


def main(_):
    train, test, _ = images.mnist(embedded.MNIST_TRAIN, embedded.MNIST_TEST)
    sheet, labels = (np.concatenate([train[key], test[key]]) for key in ("x", "label"))
    Image.fromarray(embedded.sheet(sheet)).save(embedded.MNIST_SHEET, lossless=True, quality=100, method=6)
    np.save(embedded.MNIST_LABELS, labels.astype(np.uint8))


if __name__ == "__main__":
    app.run(main)
