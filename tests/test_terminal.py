"""What is taken from a command line, and what can be printed on any terminal."""

import os
import subprocess
import sys

import pytest

from gen import terminal
from gen.errors import UserError
from gen.storage.record import placed
from tests.environment import ROOT, environment
from tests.helpers import vae_config


@pytest.mark.slow
def test_a_table_and_a_name_of_any_bytes_are_printed_in_ascii():
    code = "from gen import terminal; terminal.print_everything(); print('1 ± 2 – é \\udcff')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True,
                          env=environment() | {"PYTHONIOENCODING": "ascii"})
    assert done.stdout == b"1 +- 2 - \\xe9 \xff\n"


def test_tilde_after_the_equals_sign_is_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr(sys, "argv", ["train.py", "--workdir=~/runs", "--config.data.path=~", "--x=~a/b", "a=~/b"])
    assert terminal.arguments() == ["train.py", "--workdir=/home/me/runs", "--config.data.path=/home/me", "--x=~a/b",
                                    "a=~/b"]


def test_no_home_is_said(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setattr(sys, "argv", ["train.py", "--workdir=~/runs"])
    with pytest.raises(UserError, match="~/runs: there is no home directory; set HOME"):
        terminal.arguments()


def test_messages_are_one_printable_line():
    assert terminal.printable("a\nb\x1b[31m ± \udcff") == "a\\nb\\x1b[31m ± \\udcff"


def test_decoding_errors_are_not_hidden():
    with pytest.raises(UnicodeDecodeError):
        terminal.plain(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"))


def test_the_place_of_the_data_is_kept_as_an_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = vae_config(data__name="folder", data__binarize="none", data__path="pictures", data__size=8)
    assert placed(config).data.path == str(tmp_path / "pictures")
    assert placed(vae_config()) == vae_config()
