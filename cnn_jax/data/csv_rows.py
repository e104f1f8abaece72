"""The rows of a table whose cells may be quoted, as in CSV."""

from __future__ import annotations

import csv
import io
import itertools
from pathlib import Path

from cnn_jax.errors import UserError

_END = "the end of the table"


def csv_rows(file: Path, text: str, delimiter: str) -> list[list[str]]:
    """The rows of a table, without those that are blank; a quoted cell may hold several lines.

    Args:
      file: for messages.
      text: that is written in it.
      delimiter: which stands between cells.

    Raises:
      UserError: a quote is never closed, behind which all rows would be one cell, or a cell is
        longer than cells may be.
    """
    # Not `splitlines`, which would part cells at signs that stand in texts.
    reader = csv.reader(itertools.chain(io.StringIO(text, newline=""), [_END]), delimiter=delimiter)
    rows, begins = list[list[str]](), 1
    try:
        for row in reader:
            rows.append(row)
            last, begins = begins, reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{file} cannot be read as a table: {error}") from None
    if rows.pop() != [_END]:
        raise UserError(
            f"{file} cannot be read as a table: a quote in the row that begins in line {last:,} is "
            'never closed; write "" for a quote within quotes'
        )
    return [row for row in rows if row]
