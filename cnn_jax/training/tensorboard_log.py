"""Training and validation metrics, hyper-parameters and results as TensorBoard events."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.summary import hparams

from cnn_jax.training.callbacks import Callback, RunFacts
from cnn_jax.training.hyperparameters import chosen


class TensorBoard(Callback):
    """Writes a file of events a start, and the hyper-parameters of the HPARAMS page.

    These are the fields of the recipe that differ from the defaults, and a few more; TensorBoard
    itself takes those of several runs together.

    Args:
      folder: where the files are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._events: EventsWriter | None = None

    def start(self, run: RunFacts) -> None:
        """Begins a file."""
        self._close()
        self._folder.mkdir(exist_ok=True)
        # Not tensorboardX's SummaryWriter: it writes from a thread, which a full disk ends
        # unnoticed, and whose queue then blocks the run for ever.
        suffix = f".{os.getpid()}.{run.step}.{run.restarts}"
        self._events = EventsWriter(str(self._folder / "events"), suffix)
        # TensorBoard forgets what an earlier start wrote from this step on.
        start = SessionLog(status=SessionLog.START)
        self._write(run.step + 1, session_log=start)
        _, begun, self._ended = hparams(chosen(run.recipe), {})
        self._write(run.step, summary=begun)
        if run.restart is not None:
            self._scalars(run.step, "restart", run.restart)

    def step(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds an event."""
        self._scalars(step, "train", values)

    def validation(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds an event."""
        self._scalars(step, "validation", values)

    def saving(self, step: int) -> None:
        """Returns when all events are written."""
        if self._events is not None:
            self._events.flush()

    def end(self, summary: Mapping[str, Any] | None, why: str) -> None:
        """Adds the test metrics, and closes the file."""
        if self._events is not None and summary is not None:
            self._scalars(summary["steps"], "test", summary["test"] or {})
            self._write(summary["steps"], summary=self._ended)
        self._close()

    def _scalars(self, step: int, kind: str, values: Mapping[str, Any]) -> None:
        found = [Summary.Value(tag=tag, simple_value=x) for tag, x in scalars(kind, values)]
        self._write(step, summary=Summary(value=found))

    def _write(self, step: int, **what: Any) -> None:
        assert self._events is not None
        self._events.write_event(Event(wall_time=time.time(), step=step, **what))

    def _close(self) -> None:
        events, self._events = self._events, None
        if events is not None:
            events.close()


def scalars(kind: str, values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of some metrics by names such as `train/loss` or `grad_norms/conv1/kernel`."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            place = name if kind == "train" else f"{kind}/{name}"
            found = {f"{place}/{part}": number for part, number in value.items()}
        else:
            found = {f"{kind}/{name}": value}
        yield from ((tag, x) for tag, x in found.items() if isinstance(x, int | float))
