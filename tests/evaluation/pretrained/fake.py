"""Something small in the place of networks: the brightness of parts of an image, and what is computed is counted."""

import numpy as np
import pytest

from gen.errors import lookup
from gen.evaluation.pretrained import evaluators, weights
from gen.evaluation.pretrained.extraction import coloured
from gen.evaluation.pretrained.networks import NETWORKS
from gen.evaluation.pretrained.weights import Published, Weights, word

SMALL = {"features": 8, "logits": 5, "spatial": 6}


def published_sha(published: Published) -> str:
    """That of the published weights, as far as it is known."""
    return f"{published.files[0].head:0<64}"


SHA = published_sha(NETWORKS["inception"].published)


def loaded(published: Published, sha256: str = "") -> Weights:
    """Weights of no numbers."""
    sha256 = sha256 or published_sha(published)
    return Weights({}, sha256, word(published, sha256))


class Network:
    """Stands for `extraction.extractor`; `images` is how many it was given, `fail_after` how many it takes."""

    def __init__(self):
        self.images, self.fail_after, self.wanted = 0, None, []

    def __call__(self, network, weights, resize, wanted):
        lookup(network.rules, resize, "rule of resizing")
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
    """Puts weights of nothing and outputs of these widths in the place of every network's."""
    monkeypatch.setattr(weights, "load", loaded)
    for replaced in NETWORKS.values():
        for name in replaced.widths:
            monkeypatch.setitem(replaced.widths, name, widths[name])


@pytest.fixture
def network(tmp_path, monkeypatch):
    """The network in place, its weights there, and a folder of data sets of this test's own."""
    made = Network()
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(weights, "require", lambda published: None)
    monkeypatch.setattr(evaluators, "extractor", made)
    place(monkeypatch, SMALL)
    evaluators.real_images.cache_clear()
    yield made
    evaluators.real_images.cache_clear()
