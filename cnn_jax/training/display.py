"""What a run shows: a bar on a terminal, plain lines elsewhere, a table row a validation."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from cnn_jax.tasks import Metric
from cnn_jax.terminal import live, say, width_of

_LOSS = Metric("loss", short="loss")
_PLAIN_LINE_SECONDS = 30.0


class Display:
    """Shows how far a run is.

    Args:
      total: steps of the whole training.
      console: where to.
      parts: what is shown of the training besides the loss.
      metric: what is shown of the validation besides the loss.
      unit: what examples are called.
    """

    def __init__(
        self,
        total: int,
        console: Console,
        parts: Sequence[Metric],
        metric: Metric,
        unit: str = "images",
    ) -> None:
        self._unit = f"{unit}/s"
        self.console = console
        shown = [_column("train", each) for each in (_LOSS, *parts)]
        shown += [_column("val", each) for each in dict.fromkeys((_LOSS, metric))]
        # Title of a column, the signs that it takes, and how its values are written.
        self._columns: dict[str, tuple[str, int, Callable[..., str]]] = {
            "epoch": ("epoch", 7, "{:.2f}".format),
            "step": ("step", 8, "{:d}".format),
            **{name: column for each in shown for name, column in each.items()},
            "rate": ("rate", 9, "{:.2e}".format),
            "images/s": (self._unit, len(self._unit) + 1, per_second),
            "best": ("best", 5, "{}".format),
        }
        # Of what a narrow terminal has no room for the first is left out first.
        less = [f"train {each.name}" for each in parts]
        less += ["val loss"] * (metric.name != _LOSS.name)
        self._left_out = ["images/s", "rate", "epoch", *less, "best", "train loss"]
        self._total = total
        self._heading: str | None = None
        self._told = time.monotonic()
        self._progress = Progress(
            *_bar(console.width, self._unit),
            console=console,
            transient=True,
            disable=not live(console),
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
        say(self.console, text)

    @contextlib.contextmanager
    def clock(self, text: str) -> Iterator[None]:
        """Within it a line says what is done, with a clock on a terminal."""
        if not live(self.console):
            self.say(f"{text} ...")
            yield
            return
        columns = TextColumn("{task.description} ...", markup=False), TimeElapsedColumn()
        with Progress(*columns, console=self.console, transient=True, refresh_per_second=4) as line:
            line.add_task(text, total=None)
            yield

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
        rate = per_second(images_per_second)
        wait = "" if input_wait is None else f" · {input_wait:.0%} waiting for input"
        self._progress.update(self._task, completed=step, loss=f"{loss:.4f}", rate=rate, wait=wait)
        now = time.monotonic()
        if not live(self.console) and now - self._told > _PLAIN_LINE_SECONDS:
            self._told = now
            self.say(f"  step {step} of {self._total}, loss {loss:.4f}, {rate} {self._unit}{wait}")

    def row(self, values: dict[str, float | int | str | None]) -> None:
        """Prints a row of the table, under a heading the first time; None leaves a cell empty."""
        names, gap, narrower = self._fitting(width_of(self.console))
        heading, row = "", ""
        for name in names:
            title, width, written = self._columns[name]
            value, room = values.get(name), width - narrower
            heading += gap + title.rjust(room)
            row += gap + ("" if value is None else written(value)).rjust(room)
        # Anew where somebody has changed the size of the terminal.
        if heading != self._heading:
            self._heading = heading
            self.say(heading.removeprefix(gap))
        self.say(row.removeprefix(gap).rstrip())
        self._told = time.monotonic()

    def _fitting(self, width: int | None) -> tuple[list[str], str, int]:
        """The columns that fit, what stands between two, and how much each is narrower."""
        names = list(self._columns)

        def total(gap: int, narrower: int) -> int:
            widths = [self._columns[name][1] - narrower for name in names]
            return sum(widths) + gap * (len(names) - 1)

        if width is None or width >= total(2, 0):
            return names, "  ", 0
        for left_out in self._left_out:
            if total(1, 1) <= width:
                break
            names.remove(left_out)
        return names, " ", 1


def _bar(width: int, unit: str) -> tuple[ProgressColumn, ...]:
    """What stands in the line of the bar: less of it on a narrow terminal, and no cut numbers."""
    done = TaskProgressColumn(), MofNCompleteColumn()
    left = TimeRemainingColumn(compact=True, elapsed_when_finished=True), TextColumn("left")
    if width < 80:
        return *done, TextColumn("loss {task.fields[loss]} ·"), *left
    if width < 120:
        told = f"{{task.fields[rate]}} {unit} · loss {{task.fields[loss]}} ·"
        return BarColumn(None), *done, TextColumn(told), *left
    told = f"{{task.fields[rate]}} {unit}{{task.fields[wait]}} · loss {{task.fields[loss]}} ·"
    return TextColumn("training"), BarColumn(), *done, TextColumn(told), *left


def per_second(rate: float) -> str:
    """How many examples a second, in whole numbers, or where they are few in two digits."""
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _column(part: str, metric: Metric) -> dict[str, tuple[str, int, Callable[..., str]]]:
    """The column of a metric of the training or the validation."""
    title = f"{part} {metric.short or metric.name}"
    return {f"{part} {metric.name}": (title, len(title) + 1, metric.form.format)}
