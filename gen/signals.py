"""Processes that end well: they save when they are told to stop, or in time, and do not outlive who needs them."""

import functools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

STOPPED = 75
"""Exit code after a signal, or in time, once the state is saved (EX_TEMPFAIL: run the same command again)."""

LEAVING = 10.0
"""Seconds for what a process does once its state is saved: it closes its files and ends."""

UNKNOWN_SAVE = 15.0
"""Seconds that are left for a save as long as none has been timed."""

_IMPORTED = time.monotonic()

Stop = Callable[[], bool]
"""The question whether to stop, asked wherever a run can be left."""

Ask = Callable[[], None]
"""What is called between the batches of an evaluation; raises where it is to end."""


class Interrupted(Exception):
    """Training is to stop in the midst of an evaluation."""


def signalled() -> Stop:
    """True once SIGTERM, SIGINT, SIGHUP or SIGUSR2 (SLURM's warning) has come; a second SIGINT ends the process.

    It does so at once, while a program is compiled too.
    """
    received = []
    _watch_interrupts()

    def handle(number, frame):
        received.append(number)
        if number == signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handle)
    return lambda: bool(received)


@functools.cache
def _watch_interrupts() -> None:
    """Says at the first SIGINT what comes now, and ends the process at the second, whatever the main thread does.

    A handler in Python waits until the call that the main thread is in returns, a compilation of minutes; the number of
    a signal is in the pipe as it comes.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def watch():
        interrupts = 0
        while numbers := os.read(reading, 1):
            interrupts += numbers[0] == signal.SIGINT
            if interrupts > 1:
                os._exit(128 + signal.SIGINT)
            if numbers[0] == signal.SIGINT:
                os.write(2, b"\nStopping once the state is saved; Ctrl-C again ends at once.\n")

    threading.Thread(target=watch, daemon=True).start()


class Deadline:
    """A stop that comes in time: nothing that takes as long as what has been seen so far ends too late.

    True once less is left than the longest time between two questions, a save and `LEAVING` take; and whenever `other`
    is. What takes longer than all before it, such as a first evaluation, can still be late.

    Args:
      seconds: until the process has to have ended.
      other: another reason to stop.
      clock: seconds that pass.
    """

    def __init__(self, seconds: float, other: Stop = lambda: False, clock: Callable[[], float] = time.monotonic):
        self.clock, self.end, self.other = clock, clock() + seconds, other
        self.longest = 0.0
        self.asked: float | None = None
        self.save: float | None = None

    def __call__(self) -> bool:
        now = self.clock()
        self.longest = max(self.longest, now - (now if self.asked is None else self.asked))
        self.asked = now
        save = UNKNOWN_SAVE if self.save is None else self.save
        return self.other() or self.end - now <= self.longest + save + LEAVING

    @contextmanager
    def saving(self) -> Iterator[bool]:
        """Around a save, which is no part of the time between two questions; yields whether it is timed: the first."""
        timed, begun = self.save is None, self.clock()
        yield timed
        seconds = self.clock() - begun
        self.save = seconds if timed else self.save
        self.asked = None if self.asked is None else self.asked + seconds

    def minutes(self) -> float:
        """What is left for a process that this one starts and waits for."""
        return max(0.0, self.end - self.clock() - LEAVING) / 60


def saving(stop: Stop) -> AbstractContextManager[bool]:
    """Around a save: yields whether to wait inside until it is written, so that a deadline learns what that takes."""
    return stop.saving() if isinstance(stop, Deadline) else nullcontext(False)


def stopping(minutes: float | None) -> Stop:
    """True once a signal has come (`signalled`), or in time before this process is so many minutes old."""
    return signalled() if minutes is None else Deadline(60 * minutes - age(), signalled())


def age() -> float:
    """Seconds since this process started; where the system does not say, since this module was imported."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):
        return time.monotonic() - _IMPORTED


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
