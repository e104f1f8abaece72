"""How a command prints what it found: as a table, or as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table


def print_json(value: Any) -> None:
    """Prints a value as indented JSON."""
    print(json.dumps(value, indent=2))


def print_rows(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool, empty: str
) -> None:
    """Prints rows as a table, or all they hold as JSON.

    Args:
      rows: what is listed.
      columns: the entries that the table shows.
      as_json: print JSON instead.
      empty: what is said if there are no rows.
    """
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        print(empty)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        numbers = all(isinstance(row.get(column), int | float | None) for row in rows)
        table.add_column(
            column.replace("_", " "), justify="right" if numbers else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    console = Console()
    if not console.is_terminal:
        # A pipe or file has no width: nothing is to be cut or broken there.
        console = Console(width=Console(width=10_000).measure(table).maximum)
    console.print(table)


def print_fields(fields: Mapping[str, Any]) -> None:
    """Prints names and values, a line each."""
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        print(f"{name.replace('_', ' '):<{width}}  {_cell(value)}")


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
    return str(value)
