"""Processes that end well: they save when they are told to stop, and do not outlive the one that needs them."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

STOPPED = 75
"""Exit code after a signal once the state is saved (EX_TEMPFAIL: run the same command again)."""

Ask = Callable[[], None]
"""What is called between the batches of an evaluation; raises where it is to end."""


def signalled() -> Callable[[], bool]:
    """True once SIGTERM, SIGINT, SIGHUP or SIGUSR2 (SLURM's warning) has come; a second SIGINT ends the process."""
    received = []

    def handle(number, frame):
        received.append(number)
        if number == signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handle)
    return lambda: bool(received)


def end_with(parent: int) -> None:
    """Kills this process as soon as `parent` is no longer its parent process, however that one ended."""
    def watch():
        while os.getppid() == parent:
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def no_question() -> None:
    """The evaluation goes on to its end."""


def asked(batches: Iterable[T], ask: Ask) -> Iterator[T]:
    """The batches, with `ask` called between each two of them."""
    for i, batch in enumerate(batches):
        if i:
            ask()
        yield batch
