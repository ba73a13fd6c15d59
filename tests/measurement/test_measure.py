"""Measurements of whatever has images, with a small network in Inception's place."""

import json

import numpy as np
import pytest
from PIL import Image

import gen
from gen.errors import UserError
from gen.evaluation import frechet
from gen.evaluation.pretrained import statistics, store
from gen.measurement import measuring, sources
from tests.evaluation.pretrained import fake
from tests.evaluation.pretrained.fake import network as network  # a fixture

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (150, 12, 10, 3), dtype=np.uint8)
Y = np.uint8(np.clip(RNG.normal(100, 60, (200, 12, 10, 3)), 0, 255))


@pytest.fixture(autouse=True)
def placed(network, monkeypatch):  # noqa: F811
    monkeypatch.setattr(measuring, "extractor", network)


def fid(x, y) -> float:
    a, b = (np.stack([fake.outputs(image)[:8] for image in images]) for images in (x, y))
    return frechet.fid(a, b)["fid"]


def folder(path, x, suffix="png"):
    path.mkdir()
    for i, image in enumerate(x):
        Image.fromarray(image).save(path / f"{i:03d}.{suffix}")
    return path


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def stores():
    return list(store.data_dir().glob("inception/outputs/*"))


def test_arrays_folders_and_files_give_the_same_number(tmp_path):
    expected = fid(X, Y)
    reference = folder(tmp_path / "real photos", Y)
    for samples in (X, folder(tmp_path / "samples", X), npz(tmp_path / "drawn.npz", arr_0=X)):
        found = gen.measure(samples, reference)
        assert found["fid_inception_tf1_150_real-photos"] == pytest.approx(expected, rel=1e-5)
    np.savez_compressed(tmp_path / "small.npz", arr_0=X, arr_1=np.arange(150))
    found = gen.measure(tmp_path / "small.npz", npz(tmp_path / "b.npz", images=Y))
    assert found["fid_inception_tf1_150_b"] == pytest.approx(expected, rel=1e-5)


def test_all_metrics_have_their_protocol_and_provenance(tmp_path):
    found = gen.measure(X, Y, ("fid", "kid", "is", "prdc", "sfid"), resize="clean", subset=50, splits=5, k=4, most=100,
                        real=Y[:90], n=140)
    protocol = found.pop("protocol")
    ends = ("inception_clean_140_array", "inception_clean_subset50_140_array", "inception_clean_splits5_140",
            "inception_clean_k4_100_array")
    assert {"fid_" + ends[0], "sfid_" + ends[0], "kid_" + ends[1], "kid_se_" + ends[1], "is_" + ends[2],
            "is_std_" + ends[2], "precision_" + ends[3], "coverage_" + ends[3]} < set(found)
    assert {name.removesuffix("_real") for name in found if name.endswith("_real")} >= {"fid_inception_clean_90_array"}
    assert protocol["resize"] == "clean" and protocol["weights"] == fake.SHA and protocol["pixels"] == "bytes"
    assert protocol["reference"]["n"] == 200 and protocol["samples"]["n"] == 140
    json.dumps(found)


def test_another_network_has_its_own_names_and_folder():
    found = gen.measure(X, Y, ["fd", "kd", "prdc"], network="dinov2_vitl14", subset=50, k=5)
    known = {"fd_dinov2-vitl14_pillow_150_array", "kd_dinov2-vitl14_pillow_subset50_150_array",
             "kd_se_dinov2-vitl14_pillow_subset50_150_array", "recall_dinov2-vitl14_pillow_k5_150_array"}
    assert known < set(found) and not stores()
    assert found["fd_dinov2-vitl14_pillow_150_array"] == pytest.approx(fid(X, Y), rel=1e-5)
    assert len(list(store.data_dir().glob("dinov2/outputs/*"))) == 1
    assert set(gen.measure(X, Y, network="dinov2_vitb14", resize="clean")) == {
        "fd_dinov2-vitb14_clean_150_array", "protocol"}


@pytest.mark.parametrize("options, words", [
    ({"network": "dinov2"}, "network 'dinov2'.*dinov2_vit"), ({"metrics": ["fid"]}, "metric 'fid'.*'fd'"),
    ({"resize": "tf1"}, "rule of resizing 'tf1'.*pillow"), ({"metrics": []}, "name some of fd, kd"),
    ({"metrics": ["fd_infinity"]}, "begins with subsets of 5000"),
])
def test_bad_options_of_another_network(options, words):
    with pytest.raises(UserError, match=words) as error:
        gen.measure(X, Y, **{"network": "dinov2_vitl14"} | options)
    assert "\n" not in str(error.value)


def test_the_inception_score_needs_no_reference():
    assert set(gen.measure(X, metrics=["is"], splits=3)) == {
        "is_inception_tf1_splits3_150", "is_std_inception_tf1_splits3_150", "protocol"}


def test_a_killed_measurement_goes_on_and_its_reference_is_kept(network, tmp_path):  # noqa: F811
    reference = folder(tmp_path / "real", Y)
    network.fail_after = len(Y) + 70
    with pytest.raises(KeyboardInterrupt):
        gen.measure(X, reference)
    said = []
    network.images, network.fail_after = 0, None
    found = gen.measure(X, reference, tell=said.append)
    assert found["fid_inception_tf1_150_real"] == pytest.approx(fid(X, Y), rel=1e-5)
    assert network.images == len(X) - 64 and any("64 of them known" in line for line in said)
    assert len(stores()) == 1, "the samples' outputs are removed"
    network.images = 0
    gen.measure(X[::-1].copy(), reference, keep=True)
    assert network.images == len(X) and len(stores()) == 2


def test_another_image_is_another_reference(network, tmp_path):  # noqa: F811
    reference = folder(tmp_path / "real", Y)
    gen.measure(X, reference)
    Image.fromarray(255 - Y[3]).save(reference / "003.png")
    network.images = 0
    changed = Y.copy()
    changed[3] = 255 - Y[3]
    assert gen.measure(X, reference)["fid_inception_tf1_150_real"] == pytest.approx(fid(X, changed), rel=1e-5)
    assert network.images == len(X) + len(Y)


def test_the_same_images_twice(network):  # noqa: F811
    assert gen.measure(Y, Y)["fid_inception_tf1_200_array"] == pytest.approx(0, abs=1e-9)
    assert network.images == len(Y)


def test_statistics_written_here_and_published_ones(tmp_path):
    expected, path, said = fid(X, Y), tmp_path / "stats.npz", []
    gen.measure(X, Y, save_statistics=path)
    found = gen.measure(X, path, tell=said.append)
    assert found["fid_inception_tf1_150_stats"] == pytest.approx(expected, rel=1e-5)
    assert not any("does not say" in line for line in said)
    with pytest.raises(UserError, match="made with resize=tf1"):
        gen.measure(X, path, resize="half_pixel")
    gaussian = statistics.read(path, {}, {"features": 8}).gaussian("features")
    adm = npz(tmp_path / "VIRTUAL_y.npz", mu=gaussian.mean, sigma=gaussian.covariance, arr_0=Y[:40])
    found = gen.measure(X, adm, ["fid", "prdc"], tell=said.append)
    assert found["fid_inception_tf1_150_VIRTUAL-y"] == pytest.approx(expected, rel=1e-5)
    assert 0 <= found["precision_inception_tf1_k3_150_VIRTUAL-y"] <= 1
    assert any("does not say by which rule" in line for line in said)


def test_a_data_sets_name_and_split():
    found = gen.measure("digits:test", "digits:train")
    assert list(found)[0] == "fid_inception_tf1_296_digits-train"


def test_images_of_many_sizes_and_grey_ones(tmp_path):
    said, path = [], folder(tmp_path / "mixed", X[:3])
    Image.fromarray(Y[0, :7, :7]).save(path / "sub.png")
    Image.fromarray(Y[0, :, :, 0]).save(path / "grey.png")
    gen.measure(path, Y, tell=said.append)
    assert any("3 sizes" in line and "each is resized alone" in line for line in said)
    gen.measure(Y[..., :1], Y, tell=said.append)
    assert any("are grey; their channel is taken three times" in line for line in said)


def test_files_that_mean_something_else_to_other_tools_are_told(tmp_path):
    said, path = [], folder(tmp_path / "modes", X[:2])
    Image.fromarray(np.uint16(Y[0, :, :, 0]) * 257).save(path / "deep.png")
    Image.fromarray(np.dstack([Y[0], np.full((12, 10), 99, np.uint8)])).save(path / "alpha.png")
    Image.fromarray(Y[0]).quantize(8).save(path / "palette.png")
    Image.fromarray(Y[0]).convert("CMYK").save(path / "print.tif")
    source = sources.opened(path, sources.SourceOptions(tell=said.append))
    text = " ".join(said)
    assert source.n == 6 and all(words in text for words in (
        "1 images are grey of 16 bits", "alpha (RGBA)", "mode P are taken", "mode CMYK are taken as RGB"))
    x = dict(zip(("000", "001", "alpha", "deep", "palette", "print"), source.images(0), strict=True))
    np.testing.assert_array_equal(x["deep"][..., 0], Y[0, :, :, 0])
    np.testing.assert_array_equal(x["print"], Y[0])
    expected = 255 + (Y[0] - 255.0) * 99 / 255
    np.testing.assert_allclose(x["alpha"], expected, atol=1)
    np.testing.assert_array_equal(x["palette"], Image.fromarray(Y[0]).quantize(8).convert("RGB"))


def test_files_that_cannot_be_read_may_be_skipped(tmp_path):
    said, path = [], folder(tmp_path / "bad", X[:5])
    (path / "torn.png").write_bytes((path / "000.png").read_bytes()[:60])
    (path / "text.jpg").write_text("hello")
    Image.fromarray(np.float32(Y[0, :, :, 0])).save(path / "float.tif")
    with pytest.raises(UserError, match=r"3 of 8 files cannot be read: float.tif.*text.jpg.*torn.png.*--skip_bad"):
        gen.measure(path, Y)
    found = gen.measure(path, Y, skip_bad=True, tell=said.append)
    assert "fid_inception_tf1_5_array" in found and any("They are skipped" in line for line in said)


def test_a_folder_that_holds_itself_is_read_once(tmp_path):
    path = folder(tmp_path / "images", X[:5])
    (path / "again").symlink_to(path)
    assert sources.opened(path, sources.SourceOptions()).n == 5


def test_progress_has_the_time_that_is_left():
    said, now = [], [0.0]
    progress = measuring.Progress("samples", 100, 1_100, said.append, lambda: now[0])
    for seconds, done in ((5, 150), (20, 300), (21, 320), (100, 1_100)):
        now[0] = float(seconds)
        progress(done)
    assert said == ["samples: 300 of 1,100 images, 10.0 a second, 1 min 20 s left",
                    "samples: 1,100 of 1,100 images, 10.0 a second, 0 s left"]
    assert [measuring.duration(seconds) for seconds in (9.4, 250, 11_520)] == ["9 s", "4 min 10 s", "3 h 12 min"]
