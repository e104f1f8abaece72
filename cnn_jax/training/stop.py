"""Stopping in good order when a signal asks for it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Protocol

from cnn_jax.errors import UserError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
"""SIGTERM comes before a machine is taken away, SIGUSR1 before the end of a job's time, as Slurm's
`--signal` has it."""


class Stopped(UserError):
    """The run was asked to stop and has saved its state; the same command goes on with it."""

    exit_code = 75  # EX_TEMPFAIL: to be tried again
    shared = True


class Stop(Protocol):
    """Tells whether a run is asked to stop."""

    def __call__(self) -> bool:
        """Whether it is."""

    def at_once(self) -> contextlib.AbstractContextManager[None]:
        """Within it nothing is to be saved, so that the process may end."""


class Shared:
    """A stop request of several runs in one process: none of them may end it for the others."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    def __call__(self) -> bool:
        """Whether all are asked to stop."""
        return self._stop()

    def at_once(self) -> contextlib.AbstractContextManager[None]:
        """Does nothing."""
        return contextlib.nullcontext()


class StopRequest:
    """Within `with StopRequest() as stop`, the first signal makes `stop()` true.

    A second SIGINT raises KeyboardInterrupt at once.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._at_once = False

    def __call__(self) -> bool:
        """Whether a signal has come."""
        return self.signal is not None

    def __enter__(self) -> StopRequest:
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._handle)
        # A handler waits for the interpreter, which may be deep in the compiler for minutes;
        # what is written here at the moment of the signal wakes a thread.
        self._heard, self._told = os.pipe()
        os.set_blocking(self._told, False)
        self._wakeup_before = signal.set_wakeup_fd(self._told, warn_on_full_buffer=False)
        threading.Thread(target=self._listen, args=(self._heard,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._told)  # ends the thread
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Within it SIGTERM and SIGUSR1 end the process, whatever it does: nothing is to be saved.

        For long calls that know no stop, such as those of the compiler.
        """
        if self.signal is not None:
            raise Stopped(_NOTHING)
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _listen(self, heard: int) -> None:
        while numbers := os.read(heard, 64):
            if self._at_once and any(number != signal.SIGINT for number in numbers):
                _tell(f"error: {_NOTHING}\n")
                os._exit(Stopped.exit_code)
        os.close(heard)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and (self.signal is not None or self._at_once):
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)
        # Not print: the handler may have come in the middle of one.
        again = "; Ctrl-C again quits at once" if number == signal.SIGINT else ""
        _tell(f"\nstopping after this step{again}\n")


_NOTHING = (
    "stopped before the first step of this start; what was saved is as it was. The same command "
    "goes on from there."
)


def _tell(text: str) -> None:
    """Writes to stderr, whoever may have stopped to read it."""
    with contextlib.suppress(OSError):
        os.write(2, text.encode())
