"""A table that fits the terminal: columns of words take more lines, others are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from cnn_jax.terminal import between_words, width_of

_GAP = 2


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
      name: its heading.
      cells: a text a row.
      numbers: whether they are put to the right.
      wraps: whether a cell may take several lines, broken between words.
    """

    name: str
    cells: Sequence[str]
    numbers: bool = False
    wraps: bool = False

    @property
    def widest(self) -> int:
        """Signs of the widest line."""
        return max(cell_len(text) for text in (self.name, *self.cells))

    @property
    def narrowest(self) -> int:
        """Signs that it cannot do without."""
        if not self.wraps:
            return self.widest
        return max(cell_len(word) for text in (self.name, *self.cells) for word in text.split())


def print_table(columns: Sequence[Column], drop: Sequence[str] = ()) -> None:
    """Prints a table to stdout; in a pipe or a file nothing is broken or left out.

    Args:
      columns: all that there are.
      drop: names of those that are left out where the terminal is narrow, in this order; what
        was left out is said. Where the rest does not fit either, its lines are longer.
    """
    console = Console()
    shown, widths = fitted(columns, drop, width_of(console))
    for style, cells in (
        ("bold", [column.name for column in shown]),
        ("", ["─" * width for width in widths]),
        *[("", [column.cells[row] for column in shown]) for row in range(len(columns[0].cells))],
    ):
        for line in _lines(cells, shown, widths):
            console.print(Text(line, style), soft_wrap=True)
    if left := [column.name for column in columns if column not in shown]:
        said = f"left out, the terminal is narrow: {', '.join(left)} (--json has all)"
        for line in between_words(said, console.width):
            console.print(Text(line), soft_wrap=True)


def fitted(
    columns: Sequence[Column], drop: Sequence[str], width: int | None
) -> tuple[list[Column], list[int]]:
    """The columns that are shown, and how many signs each takes, of `width` in all."""
    shown = list(columns)
    widths = [column.widest for column in shown]
    if width is None:
        return shown, widths
    for name in drop:
        if _total([column.narrowest for column in shown]) <= width:
            break
        shown = [column for column in shown if column.name != name]
    widths = [column.widest for column in shown]
    while (over := _total(widths) - width) > 0:
        spare = [size - column.narrowest for size, column in zip(widths, shown, strict=True)]
        place = max(range(len(shown)), key=lambda i: (spare[i] > 0, widths[i]))
        if spare[place] <= 0:
            break
        widths[place] -= min(over, spare[place])
    return shown, widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _lines(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> list[str]:
    """A row, in as many lines as its longest cell takes."""
    parts = [
        between_words(cell, width) if column.wraps else [cell]
        for cell, column, width in zip(cells, columns, widths, strict=True)
    ]
    found = []
    for place in range(max(map(len, parts))):
        line = []
        for part, column, width in zip(parts, columns, widths, strict=True):
            text = part[place] if place < len(part) else ""
            room = " " * (width - cell_len(text))
            line.append(room + text if column.numbers else text + room)
        found.append((" " * _GAP).join(line).rstrip())
    return found
