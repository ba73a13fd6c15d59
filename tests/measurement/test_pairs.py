"""Distances of pairs in the order of two sets, with random weights."""

import json

import numpy as np
import pytest

import gen
from gen.errors import UserError
from gen.evaluation.pretrained import lpips
from gen.measurement import pairs
from tests.evaluation.pretrained.test_lpips import loaded as loaded  # a fixture

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (7, 33, 35, 3), dtype=np.uint8)
Y = RNG.integers(0, 256, (7, 33, 35, 3), dtype=np.uint8)


def distances(x, y):
    return np.asarray(lpips.lpips(np.float32(x) / 255 * 2 - 1, np.float32(y) / 255 * 2 - 1, "alex"))


def test_the_mean_of_all_pairs_and_its_standard_error(loaded, monkeypatch):  # noqa: F811
    monkeypatch.setattr(pairs, "MOST", 3)
    expected = distances(X, Y)
    found = gen.measure(X, Y, ["lpips_alex"])
    assert found["lpips_alex_7_array"] == pytest.approx(expected.mean(), rel=1e-5)
    assert found["lpips_se_alex_7_array"] == pytest.approx(expected.std(ddof=1) / 7**0.5, rel=1e-4)
    protocol = found.pop("protocol")["lpips_alex"]
    assert protocol["weights"] == "ab" * 32 and protocol["samples"]["sha256"] != protocol["reference"]["sha256"]
    json.dumps(protocol)
    assert set(found) == {"lpips_alex_7_array", "lpips_se_alex_7_array"}


def test_the_order_counts_and_n_takes_the_first_of_both(loaded):  # noqa: F811
    mixed = gen.measure(X, Y[::-1].copy(), ["lpips_alex"])["lpips_alex_7_array"]
    assert mixed == pytest.approx(distances(X, Y[::-1]).mean(), rel=1e-5)
    assert mixed != pytest.approx(distances(X, Y).mean(), rel=1e-4)
    assert gen.measure(X, Y, ["lpips_alex"], n=4)["lpips_alex_4_array"] == pytest.approx(
        distances(X[:4], Y[:4]).mean(), rel=1e-5)
    assert gen.measure(X, X, ["lpips_alex"])["lpips_alex_7_array"] == 0


def test_pairs_of_many_sizes_and_grey_ones(loaded, tmp_path):  # noqa: F811
    from PIL import Image

    for folder, x in (("a", X), ("b", Y)):
        (tmp_path / folder).mkdir()
        for i, image in enumerate(x):
            grey = folder == "a" and i == 2
            Image.fromarray(image[:32, :31 + i // 3, 0] if grey else image[:32, :31 + i // 3]).save(
                tmp_path / folder / f"{i}.png")
    expected = []
    for i in range(7):
        a, b = X[i:i + 1, :32, :31 + i // 3], Y[i:i + 1, :32, :31 + i // 3]
        expected.append(distances(a[..., :1].repeat(3, -1) if i == 2 else a, b)[0])
    found = gen.measure(tmp_path / "a", tmp_path / "b", ["lpips_alex"])
    assert found["lpips_alex_7_b"] == pytest.approx(np.mean(expected), rel=1e-5)


@pytest.mark.parametrize("samples, reference, words", [
    (X, Y[:5], "7 samples of array and 5 images of array"),
    (X, Y[:, :32], "sample 0 is 33x35, and the reference image 0 32x35"),
    (X[:, :20], Y[:, :20], "31 pixels a side"), (X, None, "a reference is needed"),
])
def test_pairs_that_cannot_be_compared(loaded, samples, reference, words):  # noqa: F811
    with pytest.raises(UserError, match=words) as error:
        gen.measure(samples, reference, ["lpips_alex"])
    assert "\n" not in str(error.value)


def test_absent_weights_name_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_DATA_DIR", str(tmp_path))
    with pytest.raises(UserError, match=r"LPIPS \(AlexNet\) are not in.*--name=lpips_alex"):
        gen.measure(X, Y, ["lpips_alex"])
