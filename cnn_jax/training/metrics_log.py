"""Training and validation metrics as JSON lines and TensorBoard events."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary


class MetricsLog:
    """Writes metrics of a run; lines after the step it goes on from are taken back.

    Args:
      file: the JSON lines.
      tensorboard: the folder of TensorBoard's events.
      step: the number of updates that the run starts or goes on from.
      validated: the step of the last validation that the run knows of.
      restarts: how often it has gone back after a failure.

    Attributes:
      left_out: lines of an earlier start that were no metrics, and are gone.
    """

    def __init__(
        self, file: Path, tensorboard: Path, step: int, validated: int, restarts: int = 0
    ) -> None:
        self.left_out = _cut(file, step, validated, restarts)
        self._file = file.open("a")
        tensorboard.mkdir(exist_ok=True)
        # Not tensorboardX's SummaryWriter: it writes from a thread, which a full disk ends
        # unnoticed, and whose queue then blocks the run for ever.
        suffix = f".{os.getpid()}.{step}.{restarts}"
        self._events = EventsWriter(str(tensorboard / "events"), suffix)
        # TensorBoard forgets what an earlier start wrote from this step on.
        start = SessionLog(status=SessionLog.START)
        self._events.write_event(Event(wall_time=time.time(), step=step + 1, session_log=start))

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, kind: str, step: int, values: dict[str, Any]) -> None:
        """Adds a line.

        Args:
          kind: `train`, `validation` or `restart`.
          step: the number of updates made.
          values: numbers, dictionaries of numbers by layer, or words, which only the lines have.
        """
        self._file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        scalars = []
        for name, value in values.items():
            if isinstance(value, dict):
                scalars += [(f"{name}/{layer}", number) for layer, number in value.items()]
            elif not isinstance(value, str):
                scalars.append((f"{kind}/{name}", value))
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=x) for tag, x in scalars])
        self._events.write_event(Event(wall_time=time.time(), step=step, summary=summary))

    def flush(self) -> None:
        """Returns when all lines and events are on disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._events.flush()

    def close(self) -> None:
        """Writes what is left and closes the files."""
        self._file.close()
        self._events.close()


class SilentLog:
    """Writes nothing: of several processes one writes the metrics."""

    def __enter__(self) -> SilentLog:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def write(self, kind: str, step: int, values: dict[str, Any]) -> None:
        """Does nothing."""

    def flush(self) -> None:
        """Does nothing."""


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
