"""The models that come with the package: each is what its page says, loads by its name and still draws the same."""

import re

import jax
import numpy as np
import pytest
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier

import gen
from gen import commands
from gen import config as configs
from gen.data import load, mixtures
from gen.errors import UserError
from gen.evaluation.modes import coverage
from gen.exporting import picture
from gen.storage import shipped
from gen.storage.exchange import CARD, SAMPLES
from tests.environment import ROOT

NAMES = ["digits_vae", "mnist_diffusion", "mnist_gan", "mnist_vae", "ring_gan"]
LARGEST = 10_000_000


@pytest.fixture(scope="module")
def digits():
    """Test digits of MNIST that come along, [n 28 28 1] in [0, 1], their labels, and a classifier of the others."""
    data = load(configs.load(f"{ROOT}/experiments/vae/mnist_small.py").data)
    x, test = (np.float32(split["x"]) / 255 for split in (data.train, data.test))
    nearest = KNeighborsClassifier(3).fit(x.reshape(len(x), -1), data.train["label"])
    return test, data.test["label"], nearest


def test_the_page_names_each_with_its_command_and_together_they_are_small():
    assert shipped.names() == NAMES
    page = (ROOT / "docs/models.md").read_text()
    assert sorted(re.findall(r'^## `(\w+)`$', page, re.MULTILINE)) == NAMES
    assert page.count("python scripts/train.py --config=") == len(NAMES)
    assert sum(path.stat().st_size for path in shipped.FOLDER.rglob("*")) < LARGEST


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != "mnist_diffusion"])  # minutes of 200 steps
def test_samples_are_those_of_the_picture_that_was_exported(name):
    drawn = np.asarray(picture(gen.load(name)), np.int64)
    kept = np.asarray(Image.open(shipped.FOLDER / name / SAMPLES), np.int64)
    assert np.abs(drawn - kept.reshape(drawn.shape)).mean() < 1


def test_the_ring_is_covered():
    run = gen.load("ring_gan")
    found = coverage(run.sample(2_500), *mixtures.components(run.config.data))
    assert found.modes == 8 and found.high_quality > 0.9


@pytest.mark.slow
def test_the_gan_draws_the_digit_that_it_is_asked_for(digits):
    test, label, nearest = digits
    assert nearest.score(test.reshape(len(test), -1), label) > 0.9
    run = gen.load("mnist_gan")
    right = [(nearest.predict((run.sample(40, label=k).reshape(40, -1) + 1) / 2) == k).mean() for k in range(10)]
    assert np.mean(right) > 0.9, right


@pytest.mark.slow
def test_the_vae_of_two_latents_tells_digits_apart(digits):
    test, label, _ = digits
    run = gen.load("mnist_vae")
    means = np.asarray(run.encode(test).loc)
    assert means.shape == (len(test), 2)
    half = len(test) // 2
    told = KNeighborsClassifier(15).fit(means[:half], label[:half]).score(means[half:], label[half:])
    assert told > 0.6  # at random 0.1
    error = np.square(run.reconstruct(test) - test).mean() / test.var(0).mean()
    assert error < 0.7


def test_the_bound_of_the_vae_of_8x8_digits_is_the_one_on_its_card():
    run = gen.load("digits_vae")
    bound = np.asarray(run.program.evaluate(run.state, load(run.config.data).test)["elbo"]).mean()
    said = re.search(r"\| elbo \| (\S+) \|", (shipped.FOLDER / "digits_vae" / CARD).read_text())
    np.testing.assert_allclose(bound, float(said[1]), rtol=1e-4)


@pytest.mark.slow
def test_the_diffusion_model_draws_what_lies_near_digits(digits):
    test, _, nearest = digits
    drawn = (gen.load("mnist_diffusion").sample(16).reshape(16, -1) + 1) / 2
    distance = [nearest.kneighbors(x)[0][:, 0].mean() for x in (drawn, test.reshape(len(test), -1)[:200])]
    assert distance[0] < 1.35 * distance[1]  # 1.27; many strokes are broken
    assert len(set(nearest.predict(drawn).tolist())) > 4


def test_a_folder_of_that_name_comes_first_and_another_word_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ring_gan").mkdir()
    with pytest.raises(UserError, match="there is no config.json in it"):
        gen.load("ring_gan")
    with pytest.raises(UserError, match="mnist_gen holds no run.* Did you mean 'mnist_gan'"):
        gen.load("mnist_gen")


@pytest.mark.slow
def test_the_commands_take_the_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert commands.sample("mnist_gan", None, 8, 0, "threes.png", "3") == 0
    assert np.asarray(Image.open(tmp_path / "threes.png")).std() > 20
    assert jax.tree.leaves(gen.load("mnist_gan").state.ema)


@pytest.mark.slow
def test_an_evaluation_of_one_leaves_nothing_behind(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = {"evaluators.memorization.features": "raw", "evaluators.memorization.samples": "20"}
    assert commands.evaluate("digits_vae", None, options) == 0
    assert "nearer_raw_20_train" in capsys.readouterr().out and not list(tmp_path.iterdir())
