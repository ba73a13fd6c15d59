"""The commands with the whole network, its numbers random: weights prepared, images measured, mistakes in one line."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from gen.evaluation.inception import weights
from tests.environment import ROOT, users_environment
from tests.evaluation.inception.torch_files import save

RNG = np.random.default_rng(0)


def run(script: str, *arguments: str, data) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, ROOT / "scripts" / script, *arguments], capture_output=True, text=True,
                          env=users_environment() | {"GEN_DATA_DIR": str(data)}, cwd=data)


def random_tensors() -> dict[str, np.ndarray]:
    found = {}
    for name, shape in weights.tensor_shapes().items():
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
