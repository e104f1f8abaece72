"""Files of text in UTF-8."""

from __future__ import annotations

from pathlib import Path

from cnn_jax.errors import UserError


def read_utf8(file: Path) -> str:
    """What is written in a file, without the mark that may begin it.

    Raises:
      UserError: it cannot be read, is not written in UTF-8, or holds bytes of 0, which no text has.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file} is not written in UTF-8 (byte {error.start}); save it as UTF-8"
        ) from None
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None
    if "\0" in text:  # as in UTF-16 without a mark
        line = 1 + text[: text.index("\0")].count("\n")
        raise UserError(f"{file} holds bytes of 0 in line {line:,}; save it as UTF-8")
    return text
