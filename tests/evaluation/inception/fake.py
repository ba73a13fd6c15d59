"""A small network in the place of Inception: the brightness of parts of an image, and what is computed is counted."""

import numpy as np
import pytest

from gen.evaluation.inception import evaluators, extraction, weights
from gen.evaluation.inception.extraction import WIDTHS, coloured
from gen.evaluation.inception.weights import Weights

SMALL = {"features": 8, "logits": 5, "spatial": 6}
SHA = weights.HEAD + "0" * 56


class Network:
    """Stands for `extraction.extractor`; `images` is how many it was given, `fail_after` how many it takes."""

    def __init__(self):
        self.images, self.fail_after, self.wanted = 0, None, []

    def __call__(self, weights, resize, wanted):
        extraction.lookup(extraction.RULES, resize, "rule of resizing")
        self.wanted.append(wanted)

        def extract(batches):
            for images in batches:
                self.images += len(images)
                if self.fail_after is not None and self.images > self.fail_after:
                    raise KeyboardInterrupt
                found = np.stack([outputs(image) for image in images])
                yield {name: found[:, :SMALL[name]] for name in wanted}

        return extract


def outputs(image: np.ndarray) -> np.ndarray:
    """Means of the quarters of each channel, float32 [12]."""
    x = np.float32(coloured(image[None])[0]) / 255
    h, w = -(-x.shape[0] // 2), -(-x.shape[1] // 2)
    return np.concatenate([x[i:i + h, j:j + w].mean((0, 1)) for i in (0, x.shape[0] - h) for j in (0, x.shape[1] - w)])


def place(monkeypatch, widths) -> None:
    """Puts weights of nothing and outputs of these widths in the place of Inception's."""
    monkeypatch.setattr(weights, "load", lambda: Weights({}, SHA))
    for name, width in widths.items():
        monkeypatch.setitem(WIDTHS, name, width)


@pytest.fixture
def network(tmp_path, monkeypatch):
    """The network in place, its weights there, and a folder of data sets of this test's own."""
    made = Network()
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(weights, "require", lambda: None)
    monkeypatch.setattr(evaluators, "extractor", made)
    place(monkeypatch, SMALL)
    evaluators.real_images.cache_clear()
    yield made
    evaluators.real_images.cache_clear()
