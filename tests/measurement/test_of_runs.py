"""Samples of a run in files, and measurements of a run."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

import gen
from gen import commands
from gen.data import host_bytes
from gen.errors import UserError
from gen.measurement import measuring, writing
from gen.training import loop
from tests.evaluation.pretrained.fake import network as network  # a fixture
from tests.helpers import vae_config


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A trained VAE of digits."""
    folder = tmp_path_factory.mktemp("runs") / "vae"
    assert loop.train(vae_config(), folder) == "finished"
    return folder


@pytest.fixture
def measured(network, monkeypatch):  # noqa: F811
    monkeypatch.setattr(measuring, "extractor", network)
    return network


@pytest.mark.slow
def test_samples_are_drawn_from_any_one_on(workdir):
    run = gen.load(workdir)
    whole = run.sample(1_100, seed=3)
    for first in (0, 499, 500, 1_099):
        np.testing.assert_array_equal(np.concatenate(list(run.batches(1_100, 3, first=first))), whole[first:])
    assert list(run.batches(5, first=5)) == []


@pytest.mark.slow
@pytest.mark.parametrize("out", ["samples.npz", "folder"])
def test_all_samples_in_a_file_or_a_folder(workdir, tmp_path, out):
    assert commands.sample(str(workdir), None, 620, 1, str(tmp_path / out)) == 0
    run = gen.load(workdir)
    expected = host_bytes(run.sample(620, seed=1), run.spec.range)
    if out == "folder":
        files = sorted((tmp_path / out).iterdir())
        assert [file.name for file in files[:2]] == ["000000.png", "000001.png"] and len(files) == 620
        np.testing.assert_array_equal([np.asarray(Image.open(file).convert("L")) for file in files], expected[..., 0])
        with pytest.raises(UserError, match="holds files already"):
            commands.sample(str(workdir), None, 2, 1, str(tmp_path / out))
    else:
        with np.load(tmp_path / out) as file:
            np.testing.assert_array_equal(file["arr_0"], expected)
        assert [path.name for path in tmp_path.iterdir()] == [out]


def test_points_are_no_images_to_export(workdir, tmp_path):
    run = gen.load(workdir)
    points = dataclasses.replace(run, spec=run.spec._replace(shape=(2,), range="real"))
    with pytest.raises(UserError, match="are no images"):
        writing.write(points, 2, 0, None, str(tmp_path / "x.npz"))
    assert writing.is_export("a.npz") and writing.is_export("a/b") and not writing.is_export("grid.png")


@pytest.mark.slow
def test_a_run_is_measured_as_its_samples_are(workdir, tmp_path, measured):
    found = gen.measure(workdir, "digits:train", n=600, seed=2)
    commands.sample(str(workdir), None, 600, 2, str(tmp_path / "vae.npz"))
    again = gen.measure(tmp_path / "vae.npz", "digits:train")
    assert found["fid_inception_tf1_600_digits-train"] == pytest.approx(again["fid_inception_tf1_600_digits-train"])
    assert found["protocol"]["samples"]["step"] == gen.load(workdir).step


@pytest.mark.slow
def test_a_measurement_of_a_run_goes_on(workdir, measured):
    measured.fail_after = 1_501 + 600
    with pytest.raises(KeyboardInterrupt):
        gen.measure(workdir, "digits:train", n=700)
    measured.images, measured.fail_after = 0, None
    whole = gen.measure(workdir, "digits:train", n=700, keep=True)
    assert measured.images == 700 - 9 * 64
    samples = host_bytes(gen.load(workdir).sample(700), "unit")
    assert gen.measure(samples, "digits:train")["fid_inception_tf1_700_digits-train"] == pytest.approx(
        whole["fid_inception_tf1_700_digits-train"])
