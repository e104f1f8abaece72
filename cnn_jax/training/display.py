"""What a run shows: a bar on a terminal, plain lines elsewhere, a table row a validation."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from cnn_jax.tasks import Metric

_BEFORE = (("epoch", "epoch", 7, "{:.2f}"), ("step", "step", 8, "{:d}"))
_AFTER = (
    ("rate", "rate", 9, "{:.2e}"),
    ("images/s", "images/s", 9, "{:,.0f}"),
    ("best", "best", 5, "{}"),
)
_LOSS = Metric("loss", short="loss")
_PLAIN_LINE_SECONDS = 30.0


class Display:
    """Shows how far a run is.

    Args:
      total: steps of the whole training.
      console: where to.
      parts: what is shown of the training besides the loss.
      metric: what is shown of the validation besides the loss.
    """

    def __init__(
        self, total: int, console: Console, parts: Sequence[Metric], metric: Metric
    ) -> None:
        self.console = console
        self._columns = (
            *_BEFORE,
            *[_column("train", each) for each in (_LOSS, *parts)],
            *[_column("val", each) for each in dict.fromkeys((_LOSS, metric))],
            *_AFTER,
        )
        self._total = total
        self._headed = False
        self._told = time.monotonic()
        self._progress = Progress(
            TextColumn("training"),
            BarColumn(),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            TextColumn(
                "{task.fields[rate]} images/s{task.fields[wait]} · loss {task.fields[loss]} ·"
            ),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            TextColumn("left"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("training", total=total, rate="–", loss="–", wait="")

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def step(
        self, step: int, loss: float, images_per_second: float, input_wait: float | None = None
    ) -> None:
        """Moves the bar; where there is none, now and then prints a line.

        Args:
          step: updates made.
          loss: of the last.
          images_per_second: how fast they are.
          input_wait: part of the time that devices waited for input, where they may have to.
        """
        rate = f"{images_per_second:,.0f}"
        wait = "" if input_wait is None else f" · {input_wait:.0%} waiting for input"
        self._progress.update(self._task, completed=step, loss=f"{loss:.4f}", rate=rate, wait=wait)
        now = time.monotonic()
        if not self.console.is_terminal and now - self._told > _PLAIN_LINE_SECONDS:
            self._told = now
            self.say(f"  step {step} of {self._total}, loss {loss:.4f}, {rate} images/s{wait}")

    def row(self, values: dict[str, float | int | str | None]) -> None:
        """Prints a row of the table, under a heading the first time; None leaves a cell empty."""
        if not self._headed:
            self._headed = True
            self.say("  ".join(title.rjust(width) for _, title, width, _ in self._columns))
        cells = []
        for name, _, width, form in self._columns:
            value = values.get(name)
            cells.append(("" if value is None else form.format(value)).rjust(width))
        self.say("  ".join(cells).rstrip())
        self._told = time.monotonic()


def _column(part: str, metric: Metric) -> tuple[str, str, int, str]:
    """Name of the value, heading, width and form of a metric of the training or validation."""
    title = f"{part} {metric.short or metric.name}"
    return f"{part} {metric.name}", title, len(title) + 1, metric.form
