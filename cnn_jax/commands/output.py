"""How a command prints what it found: as a table, or as JSON for programs."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from cnn_jax.commands.table import Column, print_table
from cnn_jax.terminal import between_words, one_line, say

_WIDEST = 100
"""Signs in a line of a help page at most."""


def print_json(value: Any) -> None:
    """Prints a value as indented JSON; a number that JSON cannot hold, as nan, is null."""
    print(json.dumps(_held(value), indent=2, allow_nan=False))


def _held(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _held(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_held(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_rows(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    as_json: bool,
    empty: str,
    wrap: Sequence[str] = (),
    drop: Sequence[str] = (),
) -> None:
    """Prints rows as a table, or all they hold as JSON.

    Args:
      rows: what is listed.
      columns: the entries that the table shows.
      as_json: print JSON instead.
      empty: what is said if there are no rows.
      wrap: columns of words, which may take several lines where the terminal is narrow.
      drop: columns that are left out, one after the other, where it is narrower still.
    """
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        print(empty)
        return
    table = [
        Column(
            column.replace("_", " "),
            [_cell(row.get(column)) for row in rows],
            numbers=all(isinstance(row.get(column), int | float | None) for row in rows),
            wraps=column in wrap,
        )
        for column in columns
    ]
    print_table(table, [name.replace("_", " ") for name in drop])


def print_fields(fields: Mapping[str, Any]) -> None:
    """Prints names and values, a line each; of several sentences each has a line of its own."""
    console, width = Console(), max(len(name) for name in fields)
    for name, value in fields.items():
        sentences = name == "notes" and isinstance(value, list | tuple)
        lines = [str(each) for each in value] if sentences else [_cell(value)]
        for label, line in zip([name.replace("_", " "), *[""] * len(lines)], lines):  # noqa: B905
            say(console, f"{label:<{width}}  {line}")


def print_by_name(metrics: Mapping[str, Any]) -> None:
    """Prints metrics of single classes, tags or numbers, called METRIC/NAME, as a row a name."""
    rows: dict[str, dict[str, Any]] = {}
    for key, value in metrics.items():
        metric, slash, name = key.partition("/")
        if slash:
            rows.setdefault(name, {"name": name})[metric] = metric_text(metric, value)
    if rows:
        columns = dict.fromkeys(column for row in rows.values() for column in row)
        print_rows(list(rows.values()), list(columns), as_json=False, empty="")


def metric_text(name: str, value: Any) -> Any:
    """A metric as it is written everywhere; what is none stays as it is."""
    from cnn_jax.tasks import metric_named

    found = metric_named(name)
    return found.written(value) if found is not None and isinstance(value, float) else value


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
        case list() | tuple():
            return " ".join(_cell(entry) for entry in value)
    return one_line(str(value))


def show(lines: Iterable[tuple[str, str]]) -> None:
    """Prints lines, each with its style, broken between words where the terminal ends."""
    console, width = Console(), min(shutil.get_terminal_size().columns, _WIDEST)
    for style, line in lines:
        indent = " " * (len(line) - len(line.lstrip()))
        for part in between_words(line.strip(), width - len(indent)):
            console.print(Text(indent + part, style), soft_wrap=True)
