"""Stopping in good order when a signal asks for it."""

from __future__ import annotations

import os
import signal
from types import FrameType, TracebackType
from typing import Any

from cnn_jax.errors import UserError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(UserError):
    """The run was asked to stop and has saved its state; the same command goes on with it."""

    exit_code = 75  # EX_TEMPFAIL: to be tried again


class StopRequest:
    """Within `with StopRequest() as stop`, the first signal makes `stop()` true.

    A second SIGINT raises KeyboardInterrupt at once.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __call__(self) -> bool:
        """Whether a signal has come."""
        return self.signal is not None

    def __enter__(self) -> StopRequest:
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)
        # Not print: the handler may have come in the middle of one.
        again = "; Ctrl-C again quits at once" if number == signal.SIGINT else ""
        os.write(2, f"\nstopping after this step{again}\n".encode())
