"""The processes that hold the nets, as seen from the one that measures them."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class TooSlow(Exception):
    """A process did not answer in time; it has been ended."""


class Failed(Exception):
    """A process ended of itself; what it wrote is in its log."""


class Worker:
    """A process of one implementation, net and dtype.

    Args:
      command: the Python and its arguments.
      environment: of the process.
      log: where its standard error goes.

    Attributes:
      peak_bytes: the most memory it has held, as of its last answer.
    """

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._began = time.perf_counter()
        self._log = log
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=dict(environment),
                cwd=ROOT,
            )
        self._answers: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.peak_bytes = 0

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")

    def _answer(self, limit: float) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=limit)
        except queue.Empty:
            self.close()
            raise TooSlow from None
        if not line:
            self.close()
            last = self._log.read_text().strip().splitlines()[-12:]
            raise Failed("\n".join(last))
        answer = json.loads(line)
        self.peak_bytes = answer["peak_bytes"]
        return answer

    def compile(self, limit: float) -> None:
        """Waits until it has compiled.

        Raises:
          TooSlow: it takes longer than `limit` seconds.
          Failed: the process ended.
        """
        self._answer(limit)

    def first_step(self, limit: float) -> float:
        """Seconds from the command to the first step done.

        Args:
          limit: seconds of that step.

        Raises:
          TooSlow: it takes longer.
          Failed: the process ended.
        """
        self._answer(limit)
        return time.perf_counter() - self._began

    def ask(self, command: str, count: int = 0, *, limit: float) -> Any:
        """The answer to a command.

        Raises:
          TooSlow: it takes longer than `limit` seconds.
          Failed: the process ended.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the answer tells why
            print(command, count, file=self._process.stdin, flush=True)
        return self._answer(limit)["value"]

    def close(self) -> None:
        """Ends the process."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def environment(device: str, cache: Path) -> dict[str, str]:
    """What all processes are given alike.

    Args:
      device: `cpu`, or what JAX calls the platform of the devices.
      cache: folder of compiled programs.
    """
    threads = str(len(os.sched_getaffinity(0)))
    added = {
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": device,
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "TORCHINDUCTOR_CACHE_DIR": str(cache),
        # Programs that compile fast are stored too.
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        # Several processes hold nets at once.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
    }
    # Parts of the user's own settings would change one framework and not the others.
    left = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    return {**left, **added}
