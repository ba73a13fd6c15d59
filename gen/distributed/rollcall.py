"""Who is there, before JAX joins the processes of a run: a short exchange over TCP, on the coordinator's own port.

Process 0 listens, the others come and say who they are; it answers all alike, "go" or what is wrong. JAX itself waits
minutes for a process that is missing, and aborts where one came twice or where the port is taken.
"""

import json
import socket
import time
from contextlib import closing
from typing import NamedTuple

from gen.errors import UserError

GO = "go"
MARGIN_SECONDS = 10
"""How much longer than process 0 the others wait, so that its answer reaches them."""
LINE = 4096


class Address(NamedTuple):
    """Attributes:
    host: name or number of process 0's host.
    port: where it listens.
    """

    host: str
    port: int


def address(text: str) -> Address:
    """Reads "host:port", the host in brackets where it has colons. Raises a UserError for anything else."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 2**16:
        raise UserError(f"--coordinator={text}: expected HOST:PORT, the host of process 0 and a port there that is "
                        "free, from 1 to 65535.")
    return Address(host.strip("[]"), int(port))


def answer_all(at: Address, count: int, timeout: float, bind: str | None = None) -> None:
    """Process 0: waits until all others have come, and lets them go.

    Args:
      at: where it listens.
      count: how many processes there are.
      timeout: in seconds.
      bind: the address of the interface to listen on; all where it is None.

    Raises:
      UserError: the port cannot be listened on, a process is missing or came twice, another number of them was told;
        those that came raise the same.
    """
    come: dict[int, socket.socket] = {}
    try:
        with closing(_listening(at, bind)) as server:
            verdict = _gather(server, come, count, time.monotonic() + timeout)
        if missing := [str(i) for i in range(1, count) if i not in come]:
            verdict = verdict or (f"Process {', '.join(missing)} (of 0 to {count - 1}) has not come to "
                                  f"{at.host}:{at.port} within {timeout:g} s (--join_timeout): start every process.")
        for peer in come.values():
            peer.sendall(f"{verdict or GO}\n".encode())
    finally:
        for peer in come.values():
            peer.close()
    if verdict:
        raise UserError(verdict)


def come(at: Address, count: int, index: int, timeout: float) -> None:
    """Any other process: says who it is, and waits until all are there.

    Raises:
      UserError: process 0 cannot be reached, or what it says is wrong.
    """
    deadline = time.monotonic() + timeout
    with closing(_connected(at, deadline, timeout)) as peer:
        peer.settimeout(timeout + MARGIN_SECONDS)
        try:
            peer.sendall(json.dumps({"process": index, "processes": count}).encode() + b"\n")
            verdict = _line(peer)
        except OSError:
            verdict = ""
    if not verdict.isprintable() or not verdict:
        raise UserError(f"What listens on {at.host}:{at.port} does not wait for process {index}: the run has begun, "
                        "process 0 has ended, or the port belongs to another program.")
    if verdict != GO:
        raise UserError(verdict)


def _listening(at: Address, bind: str | None) -> socket.socket:
    family = socket.AF_INET6 if bind is None and socket.has_ipv6 or ":" in (bind or "") else socket.AF_INET
    where = f"port {at.port}" if bind is None else f"{bind}, port {at.port}"
    try:
        return socket.create_server((bind or "", at.port), family=family,
                                    dualstack_ipv6=bind is None and socket.has_dualstack_ipv6())
    except OSError as error:
        raise UserError(f"Process 0 cannot listen on {where} of this host ({error.strerror or error}): choose another "
                        "port in --coordinator, and see whether a process 0 runs already.") from error


def _gather(server: socket.socket, come: dict[int, socket.socket], count: int, deadline: float) -> str:
    """Adds those who come, until all are there or the deadline; returns what is wrong, or ""."""
    while len(come) < count - 1 and (left := deadline - time.monotonic()) > 0:
        server.settimeout(left)
        try:
            peer, _ = server.accept()
        except TimeoutError:
            break
        peer.settimeout(1.0)
        try:
            said = json.loads(_line(peer))
            index, told = int(said["process"]), int(said["processes"])
        except (OSError, ValueError, KeyError, TypeError):
            peer.close()
            continue
        twice = index in come or index == 0
        come[-len(come) - 1 if twice else index] = peer
        if twice:
            return f"Process {index} was started twice: every process needs a number of its own (--process)."
        if told != count or not 0 < index < count:
            return f"Process {index} was told --processes={told}, process 0 --processes={count}: tell all the same."
    return ""


def _connected(at: Address, deadline: float, timeout: float) -> socket.socket:
    while True:
        try:
            return socket.create_connection(at, timeout=max(0.1, deadline - time.monotonic()))
        except OSError as error:
            if time.monotonic() >= deadline:
                raise UserError(f"Process 0 cannot be reached at {at.host}:{at.port} within {timeout:g} s "
                                f"(--join_timeout; {error.strerror or error}): is it started, and is this its host?"
                                ) from error
            time.sleep(0.1)


def _line(peer: socket.socket) -> str:
    text = b""
    while not text.endswith(b"\n") and len(text) < LINE:
        part = peer.recv(LINE)
        if not part:
            break
        text += part
    return text.decode("utf-8", "replace").rstrip("\n")
