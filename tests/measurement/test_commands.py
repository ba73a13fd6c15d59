"""The commands with the whole network, its numbers random: weights prepared, images measured, mistakes in one line."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import gen
from gen.evaluation.pretrained import inception, lpips
from tests.environment import ROOT, users_environment
from tests.evaluation.pretrained.torch_files import save

RNG = np.random.default_rng(0)


def run(script: str, *arguments: str, data, devices: int = 1) -> subprocess.CompletedProcess:
    settings = {"GEN_DATA_DIR": str(data), "JAX_NUM_CPU_DEVICES": str(devices)}
    return subprocess.run([sys.executable, ROOT / "scripts" / script, *arguments], capture_output=True, text=True,
                          env=users_environment() | settings, cwd=data)


def random_tensors() -> dict[str, np.ndarray]:
    found = {}
    for name, shape in inception.tensor_shapes().items():
        scale = (2 / np.prod(shape[1:])) ** 0.5 if name.endswith("weight") and len(shape) > 1 else 0.1
        found[name] = np.float32(scale * RNG.normal(size=shape))
        if name.endswith(("bn.weight", "running_var")):
            found[name] = np.float32(1 + np.abs(found[name]))
    return found


@pytest.mark.slow
def test_a_measurement_without_weights_names_the_command(tmp_path):
    for i in range(3):
        Image.fromarray(RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    done = run("measure.py", f"--samples={tmp_path}", f"--reference={tmp_path}", data=tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.strip().splitlines()[-1].startswith("error: The weights of Inception are not in")


@pytest.mark.slow
def test_from_a_file_of_weights_to_one_line_of_json(tmp_path):
    file = save(tmp_path / "published.pth", random_tensors())
    refused = run("prepare_weights.py", "--name=inception", f"--from={file}", data=tmp_path)
    assert refused.returncode == 1 and "--allow_other" in refused.stderr
    prepared = run("prepare_weights.py", "--name=inception", f"--from={file}", "--allow_other", data=tmp_path)
    assert prepared.returncode == 0 and "SHA-256" in prepared.stdout, prepared.stderr
    again = run("prepare_weights.py", "--name=inception", data=tmp_path)
    assert again.returncode == 0 and "is there already" in again.stdout
    (tmp_path / "images").mkdir()
    for i in range(12):
        Image.fromarray(RNG.integers(0, 256, (20 + i, 16, 3), dtype=np.uint8)).save(tmp_path / f"images/{i}.png")
    np.savez(tmp_path / "x.npz", arr_0=RNG.integers(0, 256, (10, 16, 16, 3), dtype=np.uint8))
    done = run("measure.py", "--samples=x.npz", "--reference=images", "--metrics=fid,kid,is,prdc,sfid", "--splits=2",
               "--save_statistics=stats.npz", data=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    word = f"inception-{found['protocol']['weights'][:8]}"
    assert found[f"fid_{word}_tf1_10_images"] > 0 and found[f"is_{word}_tf1_splits2_10"] >= 1
    with np.load(tmp_path / "stats.npz") as statistics:
        assert statistics["sigma"].shape == (2_048, 2_048) and statistics["mu_s"].shape == (2_023,)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with weights of random numbers, a folder of images and an npz file of others."""
    place = tmp_path_factory.mktemp("prepared")
    file = save(place / "published.pth", random_tensors())
    done = run("prepare_weights.py", "--name=inception", f"--from={file}", "--allow_other", data=place)
    assert done.returncode == 0, done.stderr
    (place / "images").mkdir()
    for i, image in enumerate(RNG.integers(0, 256, (14, 20, 16, 3), dtype=np.uint8)):
        Image.fromarray(image).save(place / f"images/{i:02d}.png")
    np.savez(place / "x.npz", arr_0=RNG.integers(0, 256, (11, 16, 16, 3), dtype=np.uint8))
    return place


def measured(place, *flags: str, devices: int = 1) -> dict[str, float]:
    done = run("measure.py", "--reference=images", "--metrics=fid,kid,is,prdc,sfid", "--splits=2", "--subset=5",
               *flags, data=place, devices=devices)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    del found["protocol"]
    return found


@pytest.mark.slow
def test_eight_devices_give_the_numbers_of_one(prepared):
    one = measured(prepared, "--samples=x.npz")
    shutil.rmtree(prepared / "inception/outputs")
    eight = measured(prepared, "--samples=x.npz", devices=8)
    assert len(one) == 10 and eight == pytest.approx(one, rel=1e-4, abs=1e-6)


GENERATOR = """
import sys, numpy, torch

torch.manual_seed(0)
generator = torch.nn.Sequential(torch.nn.ConvTranspose2d(8, 16, 4), torch.nn.ReLU(),
                                torch.nn.ConvTranspose2d(16, 3, 4, stride=2), torch.nn.Tanh())
with torch.no_grad():
    x = generator(4 * torch.randn(20, 8, 1, 1))
numpy.savez(sys.argv[1], arr_0=((x + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy())
"""


@pytest.mark.slow
def test_a_generator_of_another_framework_is_measured_by_one_command(prepared, monkeypatch):
    pytest.importorskip("torch", reason="the test extra has no torch; the parity extra does")
    subprocess.run([sys.executable, "-c", GENERATOR, prepared / "theirs.npz"], check=True)
    found = measured(prepared, "--samples=theirs.npz")
    with np.load(prepared / "theirs.npz") as file:
        x = file["arr_0"]
    assert x.shape == (20, 10, 10, 3) and len(np.unique(x)) > 50
    y = np.stack([np.asarray(Image.open(path)) for path in sorted((prepared / "images").iterdir())])
    monkeypatch.setenv("GEN_DATA_DIR", str(prepared))
    again = gen.measure(x, y, ["fid", "kid", "is", "prdc", "sfid"], splits=2, subset=5)
    del again["protocol"]
    assert found == pytest.approx({name.replace("_array", "_images"): value for name, value in again.items()},
                                  rel=1e-4, abs=1e-6)


@pytest.mark.slow
def test_from_the_two_files_of_lpips_to_a_distance(tmp_path):
    tensors = {name: np.float32(np.abs(RNG.normal(size=shape)) / 9) for name, shape in
               lpips.tensor_shapes("alex").items()}
    heads = {name: value for name, value in tensors.items() if name.startswith("lin")}
    files = [f"--from={save(tmp_path / 'alexnet.pth', tensors | {'classifier.6.bias': np.zeros(9, np.float32)})}",
             f"--from={save(tmp_path / 'alex.pth', heads)}", "--allow_other"]
    assert "published weights, alexnet-owt" in run(
        "prepare_weights.py", "--name=lpips_alex", *files[:2], data=tmp_path).stderr
    assert "has 2 files" in run("prepare_weights.py", "--name=lpips_alex", *files[1:], data=tmp_path).stderr
    prepared = run("prepare_weights.py", "--name=lpips_alex", *files, data=tmp_path)
    assert prepared.returncode == 0 and len(re.findall("[0-9a-f]{64}", prepared.stdout)) == 2, prepared.stderr
    x = RNG.integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", arr_0=x)
    np.savez(tmp_path / "y.npz", arr_0=255 - x)
    done = run("measure.py", "--samples=x.npz", "--reference=y.npz", "--metrics=lpips_alex", data=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert any(name.startswith("lpips_alex-") and name.endswith("_5_y") and found[name] > 0 for name in found)
