"""The wheel, away from the checkout: experiments, tables, scripts and page assets are in it, and its commands work."""

import json
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.environment import ROOT, environment


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of the unpacked wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("gen", "experiments", "scripts"):  # a copy: what a build leaves in the tree would go into the next one
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source" / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder,
             folder / "source"]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def gen(installed, cwd, *arguments, **variables):
    """`gen *arguments` of the installation, in a folder that has nothing of the checkout."""
    return subprocess.run([sys.executable, "-P", "-m", "gen", *arguments], cwd=cwd, capture_output=True, text=True,
                          env=environment() | {"PYTHONPATH": str(installed)} | variables)


@pytest.mark.slow
def test_an_error_names_the_command_of_the_installation(installed, tmp_path):
    failed = gen(installed, tmp_path, "train", "--config=experiments/gan/dcgan_mnist.py", GEN_DATA_DIR=str(tmp_path))
    assert failed.returncode == 1 and "run `gen prepare-data --dataset=mnist` first" in failed.stderr


@pytest.mark.slow
def test_an_experiment_trains_and_samples_by_its_name_in_an_empty_folder(installed, tmp_path):
    trained = gen(installed, tmp_path, "train", "--config=experiments/gan/ring.py:smoke")
    assert trained.returncode == 0, trained.stderr
    assert "Next:   gen sample --workdir=" in trained.stdout and "scripts/" not in trained.stdout
    run = tmp_path / "runs/gan/ring/smoke"
    assert (run / "report.html").stat().st_size > 10_000
    sampled = gen(installed, tmp_path, "sample", f"--workdir={run}", "--n=16", "--out=points.png")
    assert sampled.returncode == 0 and (tmp_path / "points.png").exists(), sampled.stderr


@pytest.mark.slow
def test_a_run_in_somebodys_repository_records_no_commit_of_theirs(installed, tmp_path):
    for command in ("init -q", "-c user.name=a -c user.email=a@b commit -q --allow-empty -m theirs"):
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True)
    site = shutil.copytree(installed, tmp_path / "site")
    code = "from gen.storage import record; import json; print(json.dumps(record.git_commit()))"
    found = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
                           env=environment() | {"PYTHONPATH": str(site)})
    assert json.loads(found.stdout) is None


@pytest.mark.slow
def test_tables_are_listed_and_the_short_name_of_an_experiment_is_enough(installed, tmp_path):
    listed = gen(installed, tmp_path, "reproduce", "--list")
    assert listed.returncode == 0 and "pacgan_ring" in listed.stdout, listed.stderr
    described = gen(installed, tmp_path, "train", "--config=vae/digits.py:smoke", "--dry_run")
    assert described.returncode == 0 and "encoder" in described.stdout, described.stderr


@pytest.mark.slow
def test_every_script_is_a_command_and_an_unknown_one_lists_them(installed, tmp_path):
    unknown = gen(installed, tmp_path, "tarin")
    assert unknown.returncode == 1
    for script in (ROOT / "scripts").glob("*.py"):
        assert script.stem.replace("_", "-") in unknown.stderr
