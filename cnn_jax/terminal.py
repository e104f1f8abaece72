"""Showing text as it is, on whatever stands behind stdout and stderr."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import sys
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_NEAREST = {
    "±": "+-", "×": "x", "·": "-", "–": "-", "—": "-", "…": "...", "→": "->", "≥": ">=", "≤": "<=",
    "─": "-", "━": "-", "│": "|", "┃": "|", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "├": "+",
    "┤": "+", "•": "*", "’": "'", "‘": "'", "“": '"', "”": '"',
}  # fmt: skip
"""What stands for our own signs, and for those of help texts, where they cannot be shown."""


def never_fail() -> None:
    """From now on stdout and stderr show whatever is printed.

    What they cannot encode is written by the nearest signs or by its escape; a file name that is
    not UTF-8 is so as well.
    """
    codecs.register_error("cnn_jax.nearest", _nearest)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="cnn_jax.nearest")


def _nearest(error: UnicodeError) -> tuple[str, int]:
    """How what a stream cannot encode is written."""
    assert isinstance(error, UnicodeEncodeError)
    signs = error.object[error.start : error.end]
    return "".join(_NEAREST.get(sign) or _escaped(sign) for sign in signs), error.end


def _escaped(sign: str) -> str:
    # Python keeps the bytes of a name that it cannot decode as surrogates.
    if 0xDC80 <= ord(sign) <= 0xDCFF:
        return f"\\x{ord(sign) - 0xDC00:x}"
    return sign.encode("unicode_escape").decode()


def one_line(text: str) -> str:
    """Text whose line breaks and other signs that move the cursor are written as escapes."""
    return "".join(sign if sign.isprintable() else _escaped(sign) for sign in text)


def live(console: Console) -> bool:
    """Whether a person looks at a terminal on which lines can be changed.

    Unlike rich's `is_terminal` that is not so of a log, although FORCE_COLOR may be set.
    """
    file = console.file
    shown = console.is_terminal and not console.is_dumb_terminal
    return shown and hasattr(file, "isatty") and file.isatty()


def width_of(console: Console) -> int | None:
    """Signs in a line: of a terminal, or $COLUMNS; None of a log or pipe, whose lines are whole."""
    if live(console) or os.environ.get("COLUMNS", "").isdecimal():
        return console.width
    return None


def say(console: Console, text: str) -> None:
    """Prints text as it is: no part of it is markup, an emoji or highlighted.

    On a terminal lines are broken between words; in a log they stay whole.
    """
    if (width := width_of(console)) is not None:
        text = "\n".join("\n".join(between_words(line, width)) for line in text.split("\n"))
    with contextlib.suppress(OSError):  # what cannot be written is left out
        console.print(Text(text), soft_wrap=True)


def between_words(line: str, width: int) -> list[str]:
    """A line in parts of so many signs, where words allow: no word is broken."""
    found = [""]
    for word in re.findall(r"\s*\S+", line):
        if found[-1] and cell_len(found[-1]) + cell_len(word) > width:
            found.append(word.lstrip())
        else:
            found[-1] += word
    return found


class Fitted:
    """Stdout with lines broken between words, for text that others print; colours count nothing."""

    def __init__(self, file: TextIO, width: int) -> None:
        self._file, self._width = file, width

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, text: str) -> int:
        """Writes whole lines."""
        for line in text.splitlines(keepends=True):
            extra = sum(map(len, re.findall(r"\x1b\[[0-9;]*m", line)))
            ending = "\n" * line.endswith("\n")
            parts = between_words(line.removesuffix("\n"), self._width + extra)
            self._file.write("\n".join(parts) + ending)
        return len(text)
