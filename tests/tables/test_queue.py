"""Queues: the same list in the documents and in the program, its costs, and that it goes on where it was."""

import subprocess
import sys

import numpy as np
import pytest

from gen import commands
from gen.data import images
from gen.errors import UserError
from gen.signals import Deadline
from gen.tables import collect, queue
from tests.environment import ROOT, environment

SIZES = {"mnist": 60_000, "cifar10": 50_000}


@pytest.mark.parametrize("name", queue.QUEUES)
def test_the_list_of_the_documents_is_the_queue(name):
    page = (ROOT / "docs" / f"{name}.md").read_text()
    assert queue.markdown(queue.QUEUES[name]) in page


def test_every_table_of_the_queue_is_there_with_its_protocol():
    entries = collect()
    for name in queue.WORK:
        assert "full" in entries[name].table.protocols
    assert queue.WORK.keys() < queue.QUEUES["accelerator"].keys()


@pytest.mark.parametrize("name", ["pacgan_ring", pytest.param("pacgan_grid", marks=pytest.mark.slow)])
def test_the_costs_are_those_of_the_runs(name):
    found = queue.work(collect()[name], "full")
    assert found == pytest.approx(queue.WORK[name], rel=1e-2)


@pytest.fixture
def blank(monkeypatch):
    """Image sets of their whole size, all black: costs depend on sizes alone."""
    def load(name, train_examples, test_examples, loading, workers):
        return *({"x": np.zeros((n, *images.SHAPES[name]), np.uint8), "label": np.zeros(n, np.int32)}
                 for n in (train_examples or SIZES[name], test_examples or 10_000)), 10

    monkeypatch.setattr(images, "_load", load)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["burda_one_layer", "vqvae"])
def test_the_costs_of_runs_on_images(name, blank):
    assert queue.work(collect()[name], "full") == pytest.approx(queue.WORK[name], rel=1e-2)


def test_minutes_are_those_of_arithmetic_steps_and_programs():
    assert queue.Work(60 * queue.RATE, 0, 0).minutes == 1
    assert queue.Work(0.0, round(120 / queue.STEP_SECONDS), 0).minutes == 2
    assert queue.Work(0.0, 0, 3).minutes == 3 * queue.PROGRAM_SECONDS / 60


ITEM = """
import pathlib, signal, sys, time
folder, act = sys.argv[1].removeprefix("--folder="), sys.argv[2]
with open(folder + "/calls", "a") as file:
    print(act, *(a.partition("=")[0] for a in sys.argv[3:]), file=file)
print("output of", act)
if act == "wait":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    pathlib.Path(folder, "waits").touch()
    time.sleep(60)
sys.exit(act == "fail" and not pathlib.Path(folder, "mended").exists())
"""


@pytest.fixture
def items(monkeypatch, tmp_path):
    """Makes a queue of acts; yields the function that makes it, and the calls so far."""
    def make(*acts, **options):
        made = {act: queue.Item(act, ("-c", ITEM, "--folder=runs", act), 1.0, **options) for act in acts}
        monkeypatch.setitem(queue.QUEUES, "toy", made)

    def calls():
        return (tmp_path / "calls").read_text().splitlines() if (tmp_path / "calls").exists() else []

    return make, calls


def test_what_fails_stops_no_other_and_is_tried_again(items, tmp_path, capsys):
    make, calls = items
    make("first", "fail", "last")
    assert queue.run("toy", tmp_path, lambda: False) == 1
    assert calls() == ["first", "fail", "last"]
    printed = capsys.readouterr().out
    assert "fail: failed with exit code 1" in printed and "last: done" in printed
    assert "output of first" in (tmp_path / "queue/toy/first.log").read_text()
    assert [line.split()[:2] for line in queue.listing("toy", tmp_path)] == [
        ["done", "first"], ["left", "fail"], ["done", "last"]]
    (tmp_path / "mended").touch()
    assert queue.run("toy", tmp_path, lambda: False) == 0
    assert calls() == ["first", "fail", "last", "fail"]
    assert queue.run("toy", tmp_path, lambda: False) == 0 and len(calls()) == 4


def test_a_stop_is_passed_on_and_the_item_goes_on_the_next_time(items, tmp_path):
    make, calls = items
    make("first", "wait", "last")
    assert queue.run("toy", tmp_path, (tmp_path / "waits").exists) == 75
    assert calls() == ["first", "wait"]
    make("first", "quick", "last")
    assert queue.run("toy", tmp_path, lambda: False) == 0
    assert calls() == ["first", "wait", "quick", "last"]


def test_items_are_told_their_minutes_and_one_that_cannot_stop_waits_for_enough(items, tmp_path):
    make, calls = items
    make("first")
    assert queue.run("toy", tmp_path, Deadline(600.0)) == 0
    assert calls() == ["first --minutes"]
    make("whole", whole=True)
    assert queue.run("toy", tmp_path, Deadline(50.0)) == 75 and len(calls()) == 1
    assert queue.run("toy", tmp_path, Deadline(600.0)) == 0
    assert calls()[1:] == ["whole"]


def test_a_wrong_queue_is_one_line(tmp_path):
    with pytest.raises(UserError, match="Did you mean 'accelerator'"):
        commands.work_through("acelerator", tmp_path, None)


@pytest.mark.slow
def test_the_command_lists_a_queue(tmp_path):
    done = subprocess.run([sys.executable, str(ROOT / "scripts/reproduce.py"), "--queue=accelerator", "--list",
                           f"--folder={tmp_path}"], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines()] == list(queue.QUEUES["accelerator"])
