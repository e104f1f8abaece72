"""What a run shows: a bar on a terminal, plain lines elsewhere, a table row a validation."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_COLUMNS = (
    ("epoch", 7, "{:.2f}"),
    ("step", 8, "{:d}"),
    ("train loss", 11, "{:.4f}"),
    ("train acc", 10, "{:.2%}"),
    ("val loss", 9, "{:.4f}"),
    ("val acc", 8, "{:.2%}"),
    ("rate", 9, "{:.2e}"),
    ("images/s", 9, "{:,.0f}"),
    ("best", 5, "{}"),
)
_PLAIN_LINE_SECONDS = 30.0


def say(console: Console, text: str) -> None:
    """Prints a line as it is; one that cannot be written is left out."""
    with contextlib.suppress(OSError):
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def on_terminal(console: Console) -> bool:
    """Whether lines can be drawn again, also where colours are forced upon a file."""
    return console.is_terminal and console.file.isatty()


class Display:
    """Shows how far a run is.

    Args:
      total: steps of the whole training.
      console: where to.
    """

    def __init__(self, total: int, console: Console) -> None:
        self.console = console
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
            disable=not on_terminal(console),
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
        if not on_terminal(self.console):
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
        rate = f"{images_per_second:,.0f}"
        wait = "" if input_wait is None else f" · {input_wait:.0%} waiting for input"
        self._progress.update(self._task, completed=step, loss=f"{loss:.4f}", rate=rate, wait=wait)
        now = time.monotonic()
        if not on_terminal(self.console) and now - self._told > _PLAIN_LINE_SECONDS:
            self._told = now
            self.say(f"  step {step} of {self._total}, loss {loss:.4f}, {rate} images/s{wait}")

    def row(self, values: dict[str, float | int | str | None]) -> None:
        """Prints a row of the table, under a heading the first time; None leaves a cell empty."""
        if not self._headed:
            self._headed = True
            self.say("  ".join(name.rjust(width) for name, width, _ in _COLUMNS))
        cells = []
        for name, width, form in _COLUMNS:
            value = values.get(name)
            cells.append(("" if value is None else form.format(value)).rjust(width))
        self.say("  ".join(cells).rstrip())
        self._told = time.monotonic()
