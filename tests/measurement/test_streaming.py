"""Measurements of many images: memory, progress, and a kill that nobody catches. Inception's outputs are made up."""

import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.environment import environment

RNG = np.random.default_rng(0)


def started(place, seconds: float, *flags: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "tests.measurement.small", str(seconds), "measure.py", *flags],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=place,
                            env=environment() | {"GEN_DATA_DIR": str(place / "data")})


def ended(process: subprocess.Popen) -> tuple[dict, str]:
    """The metrics and what was said."""
    out, said = process.communicate()
    assert process.returncode == 0, said
    return json.loads(out.splitlines()[-1]), said


@pytest.mark.slow
def test_fifty_thousand_images_take_less_than_three_gigabytes(tmp_path):
    x = RNG.integers(0, 256, (50_000, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", arr_0=x)
    np.savez(tmp_path / "y.npz", arr_0=255 - x[::-1] // 2)
    flags = ("--samples=x.npz", "--reference=y.npz", "--metrics=fid,kid,is,prdc,sfid", "--most=2000")
    found, said = ended(started(tmp_path, 0.0, *flags))
    assert "fid_inception_tf1_50k_y" in found and found["protocol"]["samples"]["n"] == 50_000
    assert int(said.split()[-1]) < 3 * 2**30


@pytest.mark.slow
def test_a_measurement_that_is_killed_half_way_goes_on(tmp_path):
    np.savez(tmp_path / "x.npz", arr_0=RNG.integers(0, 256, (1_280, 8, 8, 3), dtype=np.uint8))
    np.savez(tmp_path / "y.npz", arr_0=RNG.integers(0, 256, (640, 8, 8, 3), dtype=np.uint8))
    flags = ("--samples=x.npz", "--reference=y.npz", "--metrics=fid,is")
    killed = started(tmp_path, 0.2, *flags)
    while len(images := done(tmp_path)) < 2 or max(images) < 640 or min(images) < 320:
        assert killed.poll() is None
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL and 320 <= min(done(tmp_path)) < 1_280
    found, said = ended(started(tmp_path, 0.0, *flags))
    assert "reference: 640 images of y, 640 of them known" in said
    assert 320 <= int(re.search(r"samples: 1,280 images of x, (\S+) of them known", said)[1].replace(",", "")) < 1_280
    (tmp_path / "data").rename(tmp_path / "data of before")
    whole, said = ended(started(tmp_path, 0.0, *flags))
    assert "known" not in said and whole == found


def done(place) -> list[int]:
    """How many images each store has."""
    return [path.stat().st_size // 16 for path in (place / "data").glob("inception/outputs/*/digests")]


@pytest.mark.slow
def test_the_time_that_is_left_is_told_while_it_runs(tmp_path):
    np.savez(tmp_path / "x.npz", arr_0=RNG.integers(0, 256, (640, 8, 8, 3), dtype=np.uint8))
    _, said = ended(started(tmp_path, 1.2, "--samples=x.npz", "--metrics=is"))
    told = re.findall(r"samples: (\d+) of 640 images, (\S+) a second, (\d+) s left", said)
    assert len(told) >= 2 and told[-1][0] == "640" and 0 < int(told[0][0]) < 640 and int(told[0][2]) > 0
