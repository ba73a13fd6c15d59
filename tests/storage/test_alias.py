"""Folders of every name: what is saved in them is read again."""

import os
import tempfile
from pathlib import Path

import pytest

from gen.errors import UserError
from gen.storage.alias import plain_path
from gen.storage.checkpoints import Checkpoints, restore, steps
from tests.storage.test_checkpoints import ABSTRACT, assert_same, make_state

EVERY = os.fsdecode(bytes(sorted(set(range(1, 256)) - {ord("/")})))
"""A name of every byte that a name may have, which no encoding has."""


def test_a_plain_folder_is_its_own_path(tmp_path):
    with plain_path(tmp_path / "lr=1e-3,a_b") as path:
        assert path == tmp_path / "lr=1e-3,a_b"


@pytest.mark.parametrize("name", ["[1]", "a\\b", "*?", "new\nline", "caf\udce9", " ", EVERY, f"{'x' * 255}/" * 13])
def test_other_folders_have_a_link_while_it_is_needed(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir(parents=True)
    with plain_path(folder) as path:
        (path / "written").write_text("here")
        assert str(path).isascii() and not set(str(path)) & set("[]*?\\ \n") and len(str(path)) < 100
    assert (folder / "written").read_text() == "here" and not path.parent.exists()


def test_no_place_for_a_link_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no where"))
    with pytest.raises(UserError, match="needs a link where temporary files are"), plain_path(tmp_path / "[1]"):
        pass
    Path(tmp_path / "no where").mkdir()
    with pytest.raises(UserError, match="TMPDIR="), plain_path(tmp_path / "[1]"):
        pass


@pytest.mark.parametrize("name", ["run [1]", EVERY])
def test_checkpoints_in_a_folder_of_any_name(tmp_path, name):
    """The pattern of brackets matched no file: what had been saved could not be read."""
    folder = tmp_path / name / "checkpoints"
    for first in (1, 3):
        with Checkpoints(folder, keep=2, best=("elbo", "max")) as writer:
            if first == 3:
                assert_same(writer.restore_latest(ABSTRACT).state, make_state(2))
            for step in (first, first + 1):
                writer.save(step, make_state(step))
                writer.add(step, {"elbo": -step})
    assert steps(folder) == [1, 3, 4]
    assert_same(restore(folder, ABSTRACT).state, make_state(4))
    assert restore(folder, ABSTRACT, "best").step == 1
    (folder / "²").mkdir()  # a digit, of which int() makes nothing
    assert steps(folder) == [1, 3, 4]
