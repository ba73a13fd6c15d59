"""What a terminal shows around a run: its beginning, its end, how it goes on from its folder alone and is stopped."""

import json
import signal
import subprocess
import sys
import time

import pytest

from gen import commands, launch
from gen.data import Spec
from gen.storage import shipped
from gen.training import loop
from gen.training.recorder import columns
from tests.environment import ROOT, environment
from tests.helpers import vae_config


def train(cwd, *arguments):
    command = [sys.executable, str(ROOT / "scripts/train.py"), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment())


@pytest.mark.slow
def test_a_run_tells_what_it_reached_and_goes_on_from_its_folder_alone(tmp_path):
    done = train(tmp_path, f"--config={ROOT}/experiments/vae/digits.py:smoke", "--workdir=my run", "--config.latents=3")
    assert done.returncode == 0, done.stderr
    assert "tpu" not in done.stderr.lower()
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Finished 40 steps in ") and "; best elbo -" in lines[0] and "at step" in lines[0]
    assert lines[-1] == "Report: my run/report.html" and "sample.py --workdir='my run'" in lines[1]
    record = json.loads((tmp_path / "my run/config.json").read_text())
    assert record["examples"] == 1_501 and record["parameters"]["decoder"] > 1_000
    longer = train(tmp_path, "--workdir=my run", "--config.train.steps=60")
    assert longer.returncode == 0 and "from step 40" in longer.stderr, longer.stderr
    assert longer.stdout.startswith("Finished 60 steps in ")
    again = json.loads((tmp_path / "my run/config.json").read_text())
    assert again["config"]["latents"] == 3 and again["default"] == record["default"]


@pytest.mark.slow
def test_the_commands_at_the_end_name_the_files_of_own_parts(tmp_path, monkeypatch):
    loop.train(vae_config(train__steps=2), tmp_path)
    assert "Next:   python scripts/sample.py" in commands.ending(tmp_path)
    monkeypatch.setenv("GEN_PARTS", "my parts.py")
    assert "Next:   GEN_PARTS='my parts.py' python scripts/sample.py" in commands.ending(tmp_path)


def test_a_folder_without_a_run_has_no_config_to_go_on_with(tmp_path):
    with pytest.raises(launch.UserError, match="holds no run"):
        launch.again(str(tmp_path), {})


@pytest.mark.parametrize("place", ["mnist_vae", str(shipped.FOLDER / "mnist_vae"), "hf://owner/name"])
def test_an_exported_model_cannot_train_on(place):
    with pytest.raises(launch.UserError, match=f"^{place} is an exported model, which cannot train on"):
        launch.again(place, {})


BUSY = """
import hashlib, signal
from gen.signals import signalled
signal.signal(signal.SIGINT, signal.default_int_handler)
stop = signalled()
print("ready", flush=True)
hashlib.pbkdf2_hmac("sha256", b"a", b"b", 10**9)
"""
"""A call that no handler in Python can interrupt, for minutes; interrupts come even to a test in the background."""


def test_the_second_interrupt_ends_at_once_in_the_midst_of_a_long_call():
    process = subprocess.Popen([sys.executable, "-c", BUSY], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, env=environment())
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGINT
    assert said.count("Ctrl-C again ends at once") == 1


def test_progress_of_a_run_in_words(tmp_path):
    config = launch.complete(launch.configs.load(f"{ROOT}/experiments/gan/ring.py"), {})
    assert commands.progress(tmp_path, config) == "8,000 steps."
    (tmp_path / "checkpoints/2000").mkdir(parents=True)
    assert commands.progress(tmp_path, config) == "goes on from step 2,000 of 8,000."


def test_samples_of_a_conditional_model_of_images_are_a_column_for_each_label():
    config = launch.complete(launch.configs.load(f"{ROOT}/experiments/gan/mnist_small.py"), {})
    labels = columns(config, Spec((28, 28, 1), 10, "symmetric"))
    assert len(labels) == 80 and (labels.reshape(8, 10) == range(10)).all()
    assert columns(config, Spec((28, 28, 1), 100, "symmetric")) is None
    assert columns(config, Spec((2,), 8, "real")) is None
    free = launch.complete(launch.configs.load(f"{ROOT}/experiments/vae/mnist_small.py"), {})
    assert columns(free, Spec((28, 28, 1), 10, "unit")) is None
