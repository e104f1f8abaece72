"""Training and validation metrics as JSON lines."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from cnn_jax.training.callbacks import Callback, RunFacts


class JsonLines(Callback):
    """Writes metrics of a run; lines after the step it goes on from are taken back.

    Args:
      file: the JSON lines.
      say: is told where lines of an earlier start were no metrics, and are gone.
    """

    def __init__(self, file: Path, say: Callable[[str], None]) -> None:
        self._path, self._say = file, say
        self._file: IO[str] | None = None

    def start(self, run: RunFacts) -> None:
        """Cuts the file, opens it, and writes why the run has gone back, if it has."""
        self._close()
        damaged = _cut(self._path, run.step, run.validated, run.restarts)
        if damaged:
            self._say(
                f"{damaged} damaged line{'s' * (damaged > 1)} of {self._path} "
                f"{'are' if damaged > 1 else 'is'} left out"
            )
        self._file = self._path.open("a")
        if run.restart is not None:
            self._write("restart", run.step, run.restart)

    def step(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds a line."""
        self._write("train", step, values)

    def validation(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds a line."""
        self._write("validation", step, values)

    def saving(self, step: int) -> None:
        """Returns when all lines are on disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def end(self, summary: Mapping[str, Any] | None, why: str) -> None:
        """Writes what is left and closes the file."""
        self._close()

    def _write(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        assert self._file is not None
        self._file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()


def _cut(file: Path, step: int, validated: int, restarts: int) -> int:
    """Takes back what the run will write again, and a last line that was cut short.

    Returns:
      How many lines before that one were no metrics, and have been left out.
    """
    if not file.exists():
        return 0
    lines = file.read_bytes().split(b"\n")
    kept, damaged = [], 0
    for place, line in enumerate(lines):
        try:
            entry = json.loads(line)
            at = entry.get("restarts", 0) if entry["kind"] == "restart" else entry["step"]
            last = {"train": step, "validation": validated, "restart": restarts}[entry["kind"]]
            if at <= last:
                kept.append(line + b"\n")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            damaged += place < len(lines) - 1
    partial = file.with_name(file.name + ".partial")
    partial.write_bytes(b"".join(kept))
    partial.replace(file)
    return damaged
