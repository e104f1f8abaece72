"""Stopping in good order when a signal asks for it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Protocol

from cnn_jax.errors import UserError
from cnn_jax.interruption import STATUS, end, signals, tell

NOTHING = (
    "stopped before the first step of this start; what was saved is as it was. The same command "
    "goes on from there."
)
_AFTER = "stopped; what was saved is whole. The same command goes on from there."
_AT_ONCE = "stopped at once, without saving. The same command goes on from the newest checkpoint."

_PATIENCE = 1.0
"""Seconds that a process gets to end by itself once nothing is to be saved: it may be deep in the
compiler, where it hears nothing for minutes."""

_POLL = 0.05


class Stopped(UserError):
    """The run was asked to stop and has saved its state; the same command goes on with it."""

    exit_code = STATUS
    shared = True
    is_error = False


class Stop(Protocol):
    """Tells whether a run is asked to stop."""

    def __call__(self) -> bool:
        """Whether it is."""

    def saving(self) -> contextlib.AbstractContextManager[None]:
        """Within it the run looks for itself whether it is asked to stop, and saves."""


class StopRequest:
    """Within `with StopRequest() as stop` a signal ends what is done with a `Stopped`.

    Within `with stop.saving()` it makes `stop()` true instead, and a second SIGINT ends it at once.

    Args:
      ends_process: end the process where it does not hear of the signal in time; for commands,
        whose process is their own.
      nothing: what is said where there was nothing to save.
    """

    def __init__(self, *, ends_process: bool = False, nothing: str = NOTHING) -> None:
        self.signal: signal.Signals | None = None
        self._ends_process = ends_process
        self._said = nothing
        self._before: dict[signal.Signals, Any] = {}
        self._saving = 0
        self._lock = threading.Lock()

    def __call__(self) -> bool:
        """Whether a signal has come."""
        return self.signal is not None

    def __enter__(self) -> StopRequest:
        for number in signals():
            self._before[number] = signal.getsignal(number)
        self.hear()
        if self._ends_process:
            # A handler waits for the interpreter; what is written here at the moment of the signal
            # wakes a thread.
            self._heard, self._told = os.pipe()
            os.set_blocking(self._told, False)
            self._wakeup_before = signal.set_wakeup_fd(self._told, warn_on_full_buffer=False)
            threading.Thread(target=self._watch, args=(self._heard,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._ends_process:
            signal.set_wakeup_fd(self._wakeup_before)
            os.close(self._told)  # ends the thread
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is KeyboardInterrupt and self.signal is not None:
            raise Stopped(self._said) from None

    def hear(self) -> None:
        """Takes the signals, also where another has taken them since.

        JAX takes SIGTERM when processes connect, and then does nothing about it.
        """
        for number in self._before:
            signal.signal(number, self._handle)

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        """Within it, in any thread, there is something to save, and who is in it does so."""
        with self._lock:
            self._saving += 1
        try:
            yield
        finally:
            with self._lock:
                self._saving -= 1
                if self._said == NOTHING:
                    self._said = _AFTER

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            if number != signal.SIGINT:
                return
            self._said = _AT_ONCE if self._saving else self._said
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)
        if not self._saving:
            raise KeyboardInterrupt
        again = "; Ctrl-C again quits at once" if number == signal.SIGINT else ""
        tell(f"\nstopping after this step{again}\n")

    def _watch(self, heard: int) -> None:
        """Ends the process at a second SIGINT, or if it does not end once nothing is to be saved.

        At any moment: files are written so that they survive even a loss of power.
        """
        asked, since = False, None
        while True:
            if select.select([heard], [], [], _POLL if asked else None)[0]:
                numbers = os.read(heard, 64)
                if not numbers:
                    os.close(heard)
                    return
                # A command may have put handlers of its own in the place of ours.
                for number in numbers:
                    if signal.getsignal(number) != self._handle:
                        continue
                    # Two that come at once are read at once.
                    if asked and number == signal.SIGINT:
                        end(_AT_ONCE if self._saving else self._said)
                    asked = True
            if not asked or self._saving:
                since = None
            elif since is None:
                since = time.monotonic()
            elif time.monotonic() - since > _PATIENCE:
                end(self._said)
