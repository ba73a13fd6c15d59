"""The command lines: what they print, and that every mistake is one line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gen import commands, launch
from gen import config as configs
from gen.errors import UserError
from gen.evaluation import EVALUATORS
from gen.figures.grids import load_png
from gen.networks import ENCODERS
from gen.objectives import ADVERSARIAL
from gen.schema import complete
from gen.storage import record
from tests.environment import ROOT, environment
from tests.helpers import gan_config, vae_config

DIGITS = str(ROOT / "experiments" / "vae" / "digits.py")


def run(script: str, *args: str, cwd: Path) -> subprocess.CompletedProcess:
    """Runs a script as a user does."""
    return subprocess.run([sys.executable, str(ROOT / "scripts" / script), *args], cwd=cwd, capture_output=True,
                          text=True, env=environment(), timeout=240)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A smoke run through the command line, in its default folder."""
    cwd = tmp_path_factory.mktemp("cwd")
    done = run("train.py", f"--config={DIGITS}:smoke", "--config.latents=3", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return cwd, done


@pytest.mark.slow
def test_train_writes_to_its_default_folder_and_names_the_report(trained):
    cwd, done = trained
    (workdir,) = (cwd / "runs" / "vae" / "digits").iterdir()
    assert workdir.name == "smoke-latents=3"
    assert done.stdout.splitlines()[-1] == f"Report: {workdir.relative_to(cwd)}/report.html"
    described = json.loads((workdir / "config.json").read_text())
    assert (described["config"]["latents"], described["default"]["latents"]) == (3, 10)


@pytest.mark.slow
def test_sample_and_evaluate(trained):
    cwd, _ = trained
    workdir = "runs/vae/digits/smoke-latents=3"
    drawn = run("sample.py", f"--workdir={workdir}", "--n=9", "--out=grid.png", cwd=cwd)
    assert drawn.returncode == 0, drawn.stderr
    assert load_png(cwd / "grid.png").ndim == 3
    raw = ("--config.evaluators.fid.features=raw", "--config.evaluators.fid.samples=100")
    evaluated = run("evaluate.py", f"--workdir={workdir}", *raw, cwd=cwd)
    results = json.loads(evaluated.stdout.splitlines()[-1])
    assert results["step"] == 40 and -100 < results["elbo"] < 0
    assert results["fid_raw_100_test"] > results["fid_raw_100_test_real"] > 0
    assert json.loads((cwd / workdir / "evaluations.json").read_text()) == [results]


@pytest.mark.slow
def test_plot_takes_folders_with_commas_and_names_one_without_a_run(trained):
    cwd, _ = trained
    shutil.copytree(cwd / "runs" / "vae" / "digits" / "smoke-latents=3", cwd / "hidden=8,8")
    done = run("plot.py", "--runs=hidden=8,8", "--runs=runs/vae/digits/smoke-latents=3", "--metrics=elbo,kl", cwd=cwd)
    assert done.returncode == 0, done.stderr
    assert load_png(cwd / "curves.png").ndim == 3
    every = run("plot.py", "--runs=runs/vae/digits", "--against=latents", "--metrics=elbo", "--out=a.png", cwd=cwd)
    assert every.returncode == 0 and load_png(cwd / "a.png").ndim == 3, every.stderr
    lost = run("plot.py", "--runs=hidden", cwd=cwd)
    assert lost.returncode == 1 and "--runs=hidden holds no run" in lost.stderr


@pytest.mark.slow
def test_dry_run_prints_config_parameters_and_flops(tmp_path):
    done = run("train.py", f"--config={DIGITS}", "--dry_run", "--config.encoder.hidden=7", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rest, config = done.stdout.split("\n{\n")
    assert json.loads("{" + config)["encoder"]["hidden"] == [7]
    # (64 * 7 + 7) + 2 (7 * 10 + 10)
    assert "parameters of the encoder: 615" in rest and "FLOPs of a step" in rest
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_run_says_where_it_begins(tmp_path):
    command = ["train.py", f"--config={DIGITS}:smoke", "--workdir=run"]
    assert "Training in run: 4 steps." in run(*command, "--config.train.steps=4", cwd=tmp_path).stderr
    assert "Training in run: goes on from step 4 of 6." in run(*command, "--config.train.steps=6", cwd=tmp_path).stderr
    assert "Training in run: trained before." in run(*command, "--config.train.steps=6", cwd=tmp_path).stderr


@pytest.mark.slow
def test_dry_run_says_what_an_evaluator_lacks_after_the_cost(tmp_path):
    done = run("train.py", f"--config={DIGITS}", "--dry_run", "--config.evaluators.fid=true", cwd=tmp_path)
    assert done.returncode == 1 and "FLOPs of a step" in done.stdout and '"family": "vae"' in done.stdout
    assert "There is no classifier of 'digits'" in done.stderr.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("script, args, message", [
    ("train.py", [f"--config={DIGITS}", "--config.trian.steps=3"], "Did you mean 'train'?"),
    ("sample.py", ["--workdir=nowhere"], "nowhere holds no run"),
    ("train.py", [], "--config=experiments/vae/digits.py"),
    ("reproduce.py", ["--table=pacgan_rign"], "Did you mean 'pacgan_ring'?"),
    ("compare.py", ["nowhere", "here"], "nowhere holds no run"),
    ("train.py", [f"--config={DIGITS}", "train.steps=3"], "'train.steps=3' belongs to no flag"),
    ("reproduce.py", ["pacgan_ring"], "'pacgan_ring' belongs to no flag"),
    ("reproduce.py", ["--table=ring", "--queue=accelerator"], "leave --table out"),
    ("sample.py", ["--workdir=digits_vae", "--interpolate=3", "--out=paths.npz"], "let its name end in .png"),
    ("sample.py", ["--workdir=digits_vae", "--kind=traversals", "--label=3"], "leave --interpolate, --label and"),
    ("plot.py", ["--runs=nowhere", "--out=curves.pdf"], "let its name end in .png"),
    ("sample.py", ["--workdir=digits_vae", "--step=\u00b2"], "expected a number or 'best'"),
])
def test_a_mistake_on_the_command_line_is_one_line(script, args, message, tmp_path):
    done = run(script, *args, cwd=tmp_path)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line]
    assert line.startswith("error: ") and message in line


def test_a_trained_run_takes_other_evaluators_alone():
    with pytest.raises(UserError, match=r"--config\.latents: .*--config\.evaluators alone"):
        commands.evaluate("nowhere", None, {"latents": "3"})


@pytest.mark.parametrize("overrides, message", [
    ({"latnets": "3"}, "Did you mean 'latents'?"),
    ({"encoder.name": "mpl"}, "Did you mean 'mlp'?"),
    ({"objective.name": "elob"}, "Did you mean 'elbo'?"),
    ({"data.name": "digit"}, "Did you mean 'digits'?"),
    ({"train.steps": "many"}, "config.train.steps: expected int, got 'many'"),
    ({"optimizer.learning_rate": "nan"}, "config.optimizer.learning_rate"),
    ({"precision": "float23"}, "Did you mean 'float32'?"),
])
def test_a_wrong_override_is_one_line(overrides, message):
    with pytest.raises(UserError) as error:
        complete(configs.load(DIGITS), overrides)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("overrides, message", [
    ({"train.batch_size": "5000"}, "larger than"),
    ({"train.evaluate_every": "150"}, "not a multiple of config.train.log_every = 100"),
    ({"data.name": "ring", "data.binarize": "none"}, "bernoulli likelihood needs data in"),
])
def test_a_config_that_cannot_be_trained_is_one_line(overrides, message, tmp_path):
    from gen.training import loop
    with pytest.raises(UserError) as error:
        loop.train(complete(configs.load(DIGITS), overrides), tmp_path)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_part_of_a_file_of_ones_own_is_known_where_it_is_named(tmp_path, monkeypatch):
    """A loss, an encoder, and an evaluator whose metric `train.best` may name; `record.config_of` reads a config."""
    for table in (ADVERSARIAL, ENCODERS, EVALUATORS):
        monkeypatch.setitem(table, "mine", None)
        del table["mine"]
    path = tmp_path / "mine.py"
    path.write_text("import gen\nfrom gen.evaluation import EVALUATORS\n"
                    "gen.ADVERSARIAL['mine'] = gen.ADVERSARIAL['hinge']\n"
                    "gen.ENCODERS['mine'] = gen.ENCODERS['mlp']\n"
                    "EVALUATORS['mine'] = lambda subject: {'brightness': float(subject.draw(8).mean())}\n")
    launch.own_parts("")
    description = {"config": json.loads(configs.to_json(gan_config())) | {"loss": {"name": "mine"}}}
    with pytest.raises(UserError, match="unknown .* 'mine'.* For a part of your own, .* name the file in GEN_PARTS"):
        record.config_of(tmp_path, description)
    launch.own_parts(str(path))
    assert record.config_of(tmp_path, description).loss.name == "mine"
    assert vae_config(encoder__name="mine").encoder.hidden == vae_config().encoder.hidden
    config = gan_config(evaluators__mine=True, train__best="max brightness")
    commands.examine(config)
    with pytest.raises(UserError, match="no.py: cannot be read"):
        launch.own_parts(str(tmp_path / "no.py"))
