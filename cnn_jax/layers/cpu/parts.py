"""Images some rows at a time, so that what is read or written twice is still in the caches."""

from __future__ import annotations

PART = 2**22
"""Bytes of a part: caches hold so many."""

MOST_PARTS = 32
"""More are not worth the time that compiling them takes."""


def in_parts(rows: int, size: int, most_rows: int | None = None) -> list[tuple[int, int]]:
    """Rows, in parts of about `PART` bytes, but no more than `MOST_PARTS`.

    Args:
      rows: how many there are.
      size: bytes of all of them.
      most_rows: of a part, where there are not more than so many times `MOST_PARTS`.

    Returns:
      (first row, number of rows) of each part.
    """
    parts = max(1, -(-size // PART), -(-rows // (most_rows or max(1, rows))))
    count = -(-rows // min(parts, MOST_PARTS))
    return [(first, min(count, rows - first)) for first in range(0, rows, count)]
