"""Items that a thread makes ready before they are asked for."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

from cnn_jax.data.workers import block_signals

T = TypeVar("T")


class Feed(Generic[T]):
    """Runs an iterator in a thread, some items ahead.

    Args:
      begin: makes the generator, within the thread.
      ahead: how many items lie ready at most.
    """

    def __init__(self, begin: Callable[[], Generator[T]], ahead: int) -> None:
        self._begin = begin
        self._ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(ahead)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="input", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        block_signals()
        try:
            items = self._begin()
            with contextlib.closing(items):
                for item in items:
                    if not self._put(item, None):
                        return
            self._put(None, StopIteration())
        except BaseException as error:  # Whatever it is belongs to who asks for the next item.
            self._put(None, error)

    def _put(self, item: T | None, error: BaseException | None) -> bool:
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._ready.put((item, error), timeout=0.1)
                return True
        return False

    def get(self, timeout: float | None = None) -> T:
        """The next item.

        Args:
          timeout: seconds after which it is given up, by default never.

        Raises:
          queue.Empty: it is not ready in that time.
          StopIteration: there is none left.
          Exception: what the iterator raised.
        """
        item, error = self._ready.get(timeout=timeout)
        if error is not None:
            self._closed.set()
            self._thread.join()
            raise error
        return item  # type: ignore[return-value]

    def close(self) -> None:
        """Ends the iterator and the thread."""
        self._closed.set()
        self._thread.join()
