"""Scores by closed forms, and statistics in files: what is written is read, what is something else is refused."""

import json

import numpy as np
import pytest

from gen.errors import UserError
from gen.evaluation import frechet, kernel, manifold
from gen.evaluation.pretrained import scores, statistics
from gen.evaluation.pretrained.statistics import Known

RNG = np.random.default_rng(0)
EXPECTED = {"resize": "tf1", "weights": "ab"}
WIDTHS = {"features": 4, "logits": 4, "spatial": 4}


def of(features, **others) -> Known:
    return Known(len(features), {"features": np.float32(features), **others})


def test_scores_are_those_of_the_features():
    x, y = RNG.normal(size=(700, 4)), RNG.normal(0.5, 2, size=(600, 4))
    one, other = of(x), of(y)
    assert scores.fid(one, other)["fid"] == pytest.approx(frechet.fid(np.float32(x), np.float32(y))["fid"])
    assert scores.fid(one, one)["fid"] == pytest.approx(0, abs=1e-9)
    exact = manifold.prdc(np.float32(x), np.float32(y), 3)
    assert scores.prdc(one, other) == pytest.approx(exact, abs=1e-12)
    found = scores.kid(one, other, 100)
    assert found["kid"] == pytest.approx(kernel.kid(x, y, 100)["kid"], abs=4 * found["kid_se"])


def test_values_have_the_names_of_their_network():
    assert scores.renamed({"kid": 1.0, "kid_se": 2.0}, "kid", "kd") == {"kd": 1.0, "kd_se": 2.0}
    assert scores.renamed({"precision": 1.0}, "prdc", "prdc") == {"precision": 1.0}


def test_spatial_outputs_have_their_own_distance():
    spatial = np.float32(RNG.normal(size=(50, 4)))
    one, other = of(np.ones((50, 4)), spatial=spatial), of(np.ones((50, 4)), spatial=spatial + 2)
    assert scores.sfid(one, other)["sfid"] == pytest.approx(16, rel=1e-5) and scores.fid(one, other)["fid"] == 0


def test_sets_sorted_by_class_are_mixed():
    """Half of a set sorted by class is another distribution; what is taken of it must not be its beginning."""
    x = np.float32(RNG.normal(size=(4_000, 4)))
    x = x[x[:, 0].argsort()]
    assert abs(of(x).part("features", 400)[:, 0].mean()) < 0.15 < abs(x[:400, 0].mean())
    assert scores.kid(of(x), of(RNG.normal(size=(4_000, 4))), 500)["kid"] < 0.05
    whole = of(x).part("features", 9_999)
    np.testing.assert_array_equal(whole[np.lexsort(whole.T)], x[np.lexsort(x.T)])


def test_inception_score_of_certain_and_uncertain_classes():
    """Equal logits: 1. Certain and evenly spread over k classes: k. Two of four: 2."""
    def score(logits, splits=2):
        return scores.inception_score(Known(len(logits), {"logits": np.float32(logits)}), splits)

    certain = 1e4 * np.eye(4)[np.arange(80) % 4]
    assert score(np.ones((80, 4))) == pytest.approx({"is": 1, "is_std": 0})
    assert score(certain) == pytest.approx({"is": 4, "is_std": 0})
    assert score(certain[np.arange(80) % 4 < 2])["is"] == pytest.approx(2)
    both = np.concatenate([certain, np.ones((80, 4))])
    assert score(both) == pytest.approx({"is": 2.5, "is_std": 1.5})
    with pytest.raises(UserError, match="takes 10 parts, and there are 3"):
        score(np.ones((3, 4)), 10)


def test_fid_at_infinity_removes_the_bias():
    """Of one distribution FID is d^2 = 0; with n samples it is above, about in proportion to 1/n."""
    x, y = RNG.normal(size=(20_000, 4)), np.zeros((2, 4))
    reference = Known(0, {}, {"features": statistics.Gaussian(y[0], np.eye(4))})
    found = scores.fid_infinity(of(x), reference, points=10, smallest=200)
    few = scores.fid(of(x[:200]), reference)["fid"]
    assert abs(found["fid_infinity"]) < few / 10 and found["fid_infinity_se"] < few / 10
    with pytest.raises(UserError, match="5000 samples, and needs twice as many; there are 300"):
        scores.fid_infinity(of(x[:300]), reference)


def test_the_intercept_of_a_line():
    x = np.array([0.1, 0.2, 0.3, 0.4])
    assert scores.intercept(x, 3 + 2 * x) == pytest.approx({"fid_infinity": 3, "fid_infinity_se": 0}, abs=1e-7)


def test_statistics_are_written_and_read(tmp_path):
    x = RNG.normal(size=(100, 4))
    known = Known(100, {"features": np.float32(x), "spatial": np.float32(2 * x)}, provenance=EXPECTED)
    statistics.write(tmp_path / "s.npz", known)
    found = statistics.read(tmp_path / "s.npz", EXPECTED, WIDTHS)
    assert found.n == 100 and found.provenance["weights"] == "ab" and statistics.is_statistics(tmp_path / "s.npz")
    assert scores.fid(of(x), found)["fid"] == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(found.gaussian("spatial").covariance, 4 * np.cov(x, rowvar=False), rtol=1e-5)
    with np.load(tmp_path / "s.npz", allow_pickle=False) as file:
        assert {"mu", "sigma", "mu_s", "sigma_s"} < set(file.files) and json.loads(str(file["provenance"]))["n"] == 100


@pytest.mark.parametrize("key, value", [("resize", "clean"), ("weights", "cd")])
def test_statistics_of_another_protocol_are_refused(tmp_path, key, value):
    statistics.write(tmp_path / "s.npz", Known(9, {"features": np.float32(RNG.normal(size=(9, 4)))}, {}, EXPECTED))
    with pytest.raises(UserError, match=f"made with {key}={EXPECTED[key]}, this measurement has {key}={value}"):
        statistics.read(tmp_path / "s.npz", {**EXPECTED, key: value}, WIDTHS)


@pytest.mark.parametrize("change, words", [
    ({"mu": np.zeros(5)}, "another network"), ({"sigma": np.eye(3)}, "another network"),
    ({"sigma": np.full((4, 4), np.nan)}, "NaN"), ({"sigma": -np.eye(4)}, "no covariance"),
    ({"sigma": np.triu(np.ones((4, 4)))}, "not symmetric"), ({"mu": np.array([{}] * 4)}, "cannot be read"),
    ({"provenance": "not JSON"}, "cannot be read"),
])
def test_damaged_statistics(tmp_path, change, words):
    arrays = {"mu": np.zeros(4), "sigma": np.eye(4)}
    np.savez(tmp_path / "s.npz", **arrays)
    assert statistics.read(tmp_path / "s.npz", EXPECTED, WIDTHS).provenance == {}
    np.savez(tmp_path / "s.npz", **arrays | change)
    with pytest.raises(UserError, match=words) as error:
        statistics.read(tmp_path / "s.npz", EXPECTED, WIDTHS)
    assert "\n" not in str(error.value)


def test_no_statistics_at_all(tmp_path):
    for content in (b"", b"PK\x03\x04", b"text"):
        (tmp_path / "s.npz").write_bytes(content)
        with pytest.raises(UserError, match="cannot be read as statistics"):
            statistics.read(tmp_path / "s.npz", EXPECTED, WIDTHS)
        assert not statistics.is_statistics(tmp_path / "s.npz")
    with pytest.raises(UserError, match="no features of single images.*Give its images"):
        scores.prdc(of(np.ones((9, 4))), Known(0, {}, {}))
