"""The one rule by which paths are read that a user gives."""

from __future__ import annotations

import os
from pathlib import Path

from cnn_jax.errors import UserError


def user_path(text: str | os.PathLike[str]) -> Path:
    """The path of a flag, a field, a data name or the environment: ~ and ~NAME are home folders.

    A shell expands only a ~ that begins a word, so `--workdir=~/r` comes here as it was typed.

    Raises:
      UserError: it is empty, or no home folder is known for it.
    """
    if not os.fspath(text):
        raise UserError("a path is empty; the folder you are in is written .")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UserError(
            f"{text}: no home folder is known for it; a file of that name is written ./{text}"
        ) from None
