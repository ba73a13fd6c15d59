"""Exclusive use of a workdir."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from gen.errors import UserError
from gen.storage.lock import exclusive

HOLD = """
import sys, time
from gen.storage.lock import exclusive
with exclusive(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


@pytest.mark.slow
def test_second_process_is_told_who_holds_the_workdir(tmp_path, holder):
    with pytest.raises(UserError) as error, exclusive(tmp_path):
        pass
    assert f"process {holder.pid} on {socket.gethostname()}" in str(error.value)
    assert str(tmp_path) in str(error.value)


@pytest.mark.slow
def test_lock_ends_with_a_killed_process(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with exclusive(tmp_path):
        assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")


def test_lock_is_released_after_an_error_and_excludes_the_same_process_meanwhile(tmp_path):
    with pytest.raises(ZeroDivisionError), exclusive(tmp_path):
        with pytest.raises(UserError, match="in use"), exclusive(tmp_path):
            pass
        raise ZeroDivisionError
    with exclusive(tmp_path):
        pass


def test_workdir_is_made(tmp_path):
    with exclusive(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()


def test_workdir_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write to"), exclusive(tmp_path / "file"):
        pass

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(UserError, match="Permission denied; choose another workdir"), exclusive(tmp_path):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_read_only_file_system(tmp_path):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", tmp_path], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount here: {mounted.stderr.strip()}")
    try:
        with pytest.raises(UserError, match="Read-only file system"), exclusive(tmp_path):
            pass
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_path_without_room_for_the_files_below_it_is_refused(tmp_path):
    with pytest.raises(UserError, match="longer than 3,500 bytes"), exclusive(tmp_path / (("x" * 250 + "/") * 14)):
        pass
