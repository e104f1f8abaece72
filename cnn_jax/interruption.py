"""How a process ends that was asked to: while it imports, and at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

STATUS = 75
"""EX_TEMPFAIL, to be tried again: what a process that was asked to end ends with."""


def signals() -> tuple[signal.Signals, ...]:
    """The signals that ask a process to end.

    SIGTERM comes before a machine is taken away, SIGUSR1 before the end of a job's time, as
    Slurm's `--signal` has it, SIGHUP when the terminal goes, unless `nohup` has it ignored.
    """
    always = signal.SIGINT, signal.SIGTERM, signal.SIGUSR1
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return always if ignored else (*always, signal.SIGHUP)


def how_it_ended(status: int) -> str:
    """The status of a process that has ended in words, as `subprocess` gives it."""
    return f"status {status}" if status >= 0 else signal.Signals(-status).name


def tell(text: str) -> None:
    """Writes to stderr, whoever may have stopped to read it.

    Not print, since a signal may have come in the middle of one.
    """
    with contextlib.suppress(OSError):
        os.write(2, text.encode())


def end(text: str) -> NoReturn:
    """Ends this process at once, whatever its threads are doing."""
    tell(f"{text}\n")
    os._exit(STATUS)


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Within it Ctrl-C ends a program in a line, and not in a traceback through its imports.

    Python's own handler is replaced for so long, and only where it is still there and nobody
    types at a prompt, who would lose the session.
    """
    if (
        hasattr(sys, "ps1")
        or threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        tell("stopped before anything had begun\n")
        raise SystemExit(STATUS)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
