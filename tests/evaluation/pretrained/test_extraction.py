"""Batches over all devices: order, partial batches, images of many sizes; the network is the mean of its input."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from gen.errors import UserError
from gen.evaluation.pretrained.extraction import BATCH, batches, extractor
from gen.evaluation.pretrained.inception import Outputs
from gen.evaluation.pretrained.networks import INCEPTION
from gen.evaluation.pretrained.resize import RULES
from gen.evaluation.pretrained.weights import Weights

RNG = np.random.default_rng(0)


class Mean(nn.Module):
    """Outputs are means of each channel, of its upper half, and twice those."""

    @nn.compact
    def __call__(self, x):
        scale = self.param("scale", nn.initializers.ones, ())
        return Outputs(scale * x.mean((1, 2)), x[:, :150].mean((1, 2)), 2 * x.mean((1, 2)))


MEAN = INCEPTION._replace(outputs=lambda variables, x: Mean().apply(variables, x)._asdict())
WEIGHTS = Weights({"params": {"scale": np.ones((), np.float32)}}, "", "")


def extracted(images, resize="tf1", wanted=("features", "logits")):
    parts = list(extractor(MEAN, WEIGHTS, resize, wanted)(images))
    return {name: np.concatenate([part[name] for part in parts]) for name in wanted}


def expected(image, resize="tf1"):
    rule, x = RULES[resize], image if image.shape[-1] == 3 else np.repeat(image, 3, -1)
    return np.float64(rule.scaled(rule.resized(x[None]))).mean((0, 1, 2))


@pytest.mark.slow
@pytest.mark.parametrize("resize", sorted(RULES))
def test_every_image_in_its_order_also_of_a_partial_batch(resize):
    assert jax.device_count() > 1
    x = RNG.integers(0, 256, (BATCH + 3, 9, 8, 3), dtype=np.uint8)
    found = extracted(batches(x), resize)
    assert found["features"].shape == (BATCH + 3, 3) and found["features"].dtype == np.float32
    np.testing.assert_allclose(found["features"], [expected(image, resize) for image in x], atol=1e-5)
    assert not np.allclose(found["features"], found["logits"])


def test_images_of_many_sizes_are_resized_alone():
    x = [RNG.integers(0, 256, shape, dtype=np.uint8) for shape in ((5, 5, 3), (40, 7, 3), (5, 5, 1), (300, 310, 3))]
    np.testing.assert_allclose(extracted([x])["features"], [expected(image) for image in x], atol=1e-5)


def test_grey_images_have_three_equal_channels():
    found = extracted([RNG.integers(0, 256, (4, 6, 6, 1), dtype=np.uint8)])["features"]
    assert np.ptp(found, axis=1).max() == 0 and np.ptp(found, axis=0).min() > 0


def test_other_channels_and_rules_are_refused():
    with pytest.raises(UserError, match="Images of 4 channels"):
        extracted([np.zeros((2, 6, 6, 4), np.uint8)])
    with pytest.raises(UserError, match="rule of resizing 'bicubic'"):
        extracted([], "bicubic")


@pytest.mark.slow
def test_outputs_come_while_images_are_read():
    """At most one batch is read ahead, so that memory does not depend on how many there are."""
    read = []

    def images():
        for i in range(4):
            read.append(i)
            yield np.zeros((2, 4, 4, 3), np.uint8)

    outputs = extractor(MEAN, WEIGHTS, "tf1", ("features",))(images())
    seen = [len(read) for _ in outputs]
    assert seen == [2, 3, 4, 4]
