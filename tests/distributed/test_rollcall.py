"""Who is missing, who came twice, what port is taken: one line in every process, and none waits for ever."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gen.distributed import processes, rollcall
from gen.distributed.rollcall import Address
from gen.errors import UserError

PATIENCE = 20.0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def call(count, others, timeout=PATIENCE, bind=None):
    """What process 0 and the `others`, (index, count) each, come to: "" or the line that each ends with."""
    at = Address("127.0.0.1", free_port())

    def line(function, *arguments) -> str:
        try:
            function(at, *arguments)
        except UserError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(1 + len(others)) as pool:
        began = [pool.submit(line, rollcall.answer_all, count, timeout, bind)]
        began += [pool.submit(line, rollcall.come, count, index, timeout) for index, count in others]
        return [future.result(timeout=2 * PATIENCE) for future in began]


@pytest.mark.parametrize("bind", [None, "127.0.0.1"])
def test_all_are_there(bind):
    assert call(3, [(1, 3), (2, 3)], bind=bind) == ["", "", ""]
    assert call(1, []) == [""]


def test_who_is_missing_is_said_by_all_that_came():
    """Before: 300 s of silence."""
    start = time.monotonic()
    lines = call(4, [(2, 4)], timeout=0.5)
    assert time.monotonic() - start < PATIENCE / 2
    assert len(set(lines)) == 1 and "\n" not in lines[0]
    assert lines[0].startswith("Process 1, 3 (of 0 to 3) has not come to 127.0.0.1:") and "within 0.5 s" in lines[0]


@pytest.mark.parametrize("others, message", [
    ([(1, 3), (1, 3)], "Process 1 was started twice"),
    ([(1, 2)], "Process 1 was told --processes=2, process 0 --processes=3"),
])
def test_twice_or_another_number(others, message):
    lines = call(3, others)
    assert len(set(lines)) == 1 and lines[0].startswith(message), lines


def test_a_port_in_use():
    """Before: a segmentation fault after 16 s."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        at = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1, port {at.port} .*Address already in use"):
            rollcall.answer_all(at, 2, 1.0, "127.0.0.1")
        with pytest.raises(UserError, match=f"cannot listen on port {at.port} "):
            rollcall.answer_all(at, 2, 1.0)


def test_no_process_0():
    with pytest.raises(UserError, match=r"Process 0 cannot be reached at 127.0.0.1:\d+ within 0.3 s .*refused"):
        rollcall.come(Address("127.0.0.1", free_port()), 2, 1, 0.3)


def test_another_program_on_the_port():
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        said = pool.submit(rollcall.come, Address("127.0.0.1", server.getsockname()[1]), 2, 1, 1.0)
        peer, _ = server.accept()
        assert json.loads(peer.recv(100)) == {"process": 1, "processes": 2}
        peer.close()
        with pytest.raises(UserError, match="does not wait for process 1"):
            said.result()


def test_strangers_are_not_counted():
    at = Address("127.0.0.1", free_port())
    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(rollcall.answer_all, at, 2, PATIENCE)
        with rollcall._connected(at, time.monotonic() + PATIENCE, PATIENCE) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        rollcall.come(at, 2, 1, PATIENCE)
        assert leader.result() is None


@pytest.mark.parametrize("text", ["host", "host:", ":9876", "host:port", "host:0", "host:65536", "host:-1"])
def test_a_coordinator_is_host_and_port(text):
    """Before: a stack trace."""
    with pytest.raises(UserError, match=f"--coordinator={text}: expected HOST:PORT"):
        processes.start(text, 2, 0)


def test_addresses():
    assert rollcall.address("node7:80") == ("node7", 80) and rollcall.address("[::1]:9876") == ("::1", 9876)
